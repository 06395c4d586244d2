//! `DestinationRule` objects by host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::conflict::{conflict, sort_by_precedence};
use super::memory::Memory;
use super::registry::ServiceRegistry;
use super::report::Report;
use crate::finding::Findings;
use crate::kinds::destination_rule::{DestinationRule, Subset};
use crate::kinds::traffic_policy::TrafficPolicy;
use crate::kinds::{Object, ObjectId, Spec};
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// The rule of every host that has one, and subsets whose rule was deleted.
#[derive(Debug, Default)]
pub(super) struct Rules {
    by_host: BTreeMap<String, Rule>,
}

/// The rule of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    object: Option<Arc<Object>>,
    retained: Vec<Subset>,
}

impl Rule {
    pub(super) fn id(&self) -> Option<&ObjectId> {
        self.object.as_ref().map(|object| &object.id)
    }

    /// Whether both are made from the same object.
    pub(super) fn is(&self, other: &Self) -> bool {
        let is_same = match (&self.object, &other.object) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same && self.retained == other.retained
    }

    pub(super) fn traffic_policy(&self) -> Option<&TrafficPolicy> {
        self.spec()?.traffic_policy.as_ref()
    }

    /// The subsets that the rule defines.
    pub(super) fn own_subsets(&self) -> impl Iterator<Item = &Subset> {
        self.spec().into_iter().flat_map(|rule| &rule.subsets)
    }

    /// These subsets, and those that are only still in use.
    pub(super) fn subsets(&self) -> impl Iterator<Item = &Subset> {
        self.own_subsets().chain(&self.retained)
    }

    pub(super) fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets().find(|subset| subset.name == name)
    }

    pub(super) fn warn_of_empty_subset(&self, index: usize, report: &mut Report) {
        if let Some(object) = &self.object {
            let path = FieldPath::spec().field("subsets").index(index).field("labels");
            report.warning(
                object,
                path,
                "no endpoint has these labels: calls to the subset fail until there is one",
            );
        }
    }

    fn spec(&self) -> Option<&DestinationRule> {
        match &self.object.as_ref()?.spec {
            Spec::DestinationRule(rule) => Some(rule),
            _ => None,
        }
    }
}

impl Rules {
    /// Every host has the oldest rule that names it. Objects in use are added to `used`.
    pub(super) fn new(
        objects: &[Sourced],
        registry: &ServiceRegistry,
        memory: &Memory,
        used: &mut Vec<Sourced>,
        report: &mut Report,
    ) -> Self {
        let mut chosen: Vec<Sourced> = objects
            .iter()
            .filter(|one| matches!(one.object.spec, Spec::DestinationRule(_)))
            .filter_map(|one| memory.choose(one, &problems(&one.object, registry), report))
            .collect();
        sort_by_precedence(&mut chosen, |one| &one.object);
        let mut rules = Self::default();
        for one in &chosen {
            rules.claim(&one.object, registry, report);
        }
        used.append(&mut chosen);
        rules
    }

    pub(super) fn get(&self, host: &str) -> Option<&Rule> {
        self.by_host.get(host)
    }

    /// Restores subsets that routes name and no rule defines any more.
    pub(super) fn retain(&mut self, named: BTreeSet<(String, String)>, memory: &Memory) {
        for (host, name) in named {
            let rule = self.by_host.entry(host.clone()).or_default();
            if rule.subset(&name).is_none()
                && let Some(subset) = memory.subsets.get(&(host, name))
            {
                rule.retained.push(subset.clone());
            }
        }
    }

    /// Every subset, for the next build.
    pub(super) fn all_subsets(&self) -> BTreeMap<(String, String), Subset> {
        let of_host = |(host, rule): (&String, &Rule)| -> Vec<((String, String), Subset)> {
            rule.subsets().map(|subset| ((host.clone(), subset.name.clone()), subset.clone())).collect()
        };
        self.by_host.iter().flat_map(of_host).collect()
    }

    fn claim(&mut self, object: &Arc<Object>, registry: &ServiceRegistry, report: &mut Report) {
        let Spec::DestinationRule(rule) = &object.spec else { return };
        let Some(host) = registry.find(&rule.host, &object.id.namespace) else { return };
        let claimed = self.by_host.entry(host.to_owned()).or_default();
        match &claimed.object {
            None => claimed.object = Some(Arc::clone(object)),
            Some(winner) => {
                let message = conflict(&winner.id, "is for this host already");
                report.error(object, FieldPath::spec().field("host"), message);
            }
        }
    }
}

/// The missing references of a rule.
fn problems(object: &Object, registry: &ServiceRegistry) -> Findings {
    let mut findings = Findings::default();
    let Spec::DestinationRule(rule) = &object.spec else { return findings };
    let path = FieldPath::spec();
    let Some(host) = registry.find(&rule.host, &object.id.namespace) else {
        findings.error(path.field("host"), registry.unknown(&rule.host, &object.id.namespace));
        return findings;
    };
    let Some(declaration) = registry.get(host) else { return findings };
    let own = rule.traffic_policy.iter().map(|policy| (policy, path.field("trafficPolicy")));
    let of_subsets = rule.subsets.iter().enumerate().filter_map(|(index, subset)| {
        let policy = subset.traffic_policy.as_ref()?;
        Some((policy, path.field("subsets").index(index).field("trafficPolicy")))
    });
    for (policy, path) in own.chain(of_subsets) {
        for (index, one) in policy.port_level_settings.iter().enumerate() {
            if !declaration.has_port(one.port.number) {
                let path = path.field("portLevelSettings").index(index).field("port").field("number");
                let message = format!(
                    "found the number {}, expected a port of {host}: {}",
                    one.port.number,
                    declaration.port_list()
                );
                findings.error(path, message);
            }
        }
    }
    findings
}
