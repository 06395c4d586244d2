//! The `DestinationRule` objects of a host, merged.

use super::Settings;
use super::attached::ServicePolicies;
use super::declaration::{Declaration, Port};
use super::index::Reader;
use super::key::Key;
use super::name::is_wildcard;
use super::policy::Policy;
use super::viewer::Viewer;
use crate::kinds::destination_rule::{DestinationRule, Subset};
use crate::kinds::traffic_policy::{ClientTls, TrafficPolicy};
use crate::kinds::{Object, ObjectId, Spec};

/// The rules of one host that count for a client; may be none.
///
/// Rules of the client's namespace count before those of the service's namespace, and these before those of the root
/// namespace; nothing is inherited from one to the next. Within a namespace the most specific host counts; rules for the same
/// host are merged: all subsets, and the first traffic policy.
#[derive(Debug, Default)]
pub(super) struct Rule<'a> {
    objects: Vec<(&'a ObjectId, &'a DestinationRule)>,
    /// The TLS that a rule for a wider host of the same namespace demands. It holds where the rules that count say nothing
    /// of TLS: otherwise a rule that only defines subsets would turn connections to plaintext.
    wider_tls: Option<(&'a ObjectId, &'a ClientTls)>,
    /// Our own policies, which say more.
    policies: ServicePolicies<'a>,
}

impl<'a> Rule<'a> {
    pub(super) fn of(
        declaration: &Declaration<'_>,
        viewer: &Viewer,
        reader: &Reader<'a>,
        settings: &Settings,
    ) -> Self {
        let (host, namespace) = (declaration.host(), declaration.namespace());
        let policies = ServicePolicies::of(declaration, reader, settings);
        let visible: Vec<_> =
            all(host, reader).filter(|(object, rule)| counts(object, rule, viewer)).collect();
        let root = settings.root_namespace.as_str();
        let own = viewer.namespace.as_deref().filter(|own| *own != root);
        let groups = own.into_iter().chain([namespace, root]);
        for group in groups {
            let mut of_group = visible.iter().filter(|(object, _)| object.id.namespace == group).peekable();
            let Some((_, first)) = of_group.peek() else { continue };
            let host = &first.host;
            let is_as_specific = |rule: &DestinationRule| {
                if is_wildcard(host) { rule.host == *host } else { !is_wildcard(&rule.host) }
            };
            let mut same: Vec<_> = of_group.filter(|(_, rule)| is_as_specific(rule)).collect();
            // A rule for some clients of the namespace counts before the rules for all of them.
            same.sort_by_key(|(_, rule)| rule.client_labels().is_empty());
            let objects = same.into_iter().map(|(object, rule)| (&object.id, *rule)).collect();
            let of_group = visible.iter().filter(|(object, _)| object.id.namespace == group);
            let mut tls = of_group
                .filter_map(|(object, rule)| Some((&object.id, rule.traffic_policy.as_ref()?.tls.as_ref()?)));
            return Self { objects, wider_tls: tls.next(), policies };
        }
        Self { policies, ..Self::default() }
    }

    /// The object whose policy counts.
    pub(super) fn id(&self) -> Option<&'a ObjectId> {
        let with_policy = self.objects.iter().find(|(_, rule)| rule.traffic_policy.is_some());
        with_policy.or_else(|| self.objects.first()).map(|(id, _)| *id)
    }

    /// Every object that counts, the one with the policy first.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        let all = self.id().into_iter().chain(self.objects.iter().map(|(id, _)| *id));
        let mut ids: Vec<ObjectId> = Vec::new();
        for id in all.chain(self.wider_tls.map(|(id, _)| id)).chain(self.policies.ids().iter().copied()) {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    fn traffic_policy(&self) -> Option<&'a TrafficPolicy> {
        self.objects.iter().find_map(|(_, rule)| rule.traffic_policy.as_ref())
    }

    /// The policy of a port, or of a subset's endpoints there; and the object that it comes from.
    pub(super) fn policy(&self, subset: Option<&Subset>, port: &Port<'_>) -> (Policy, Option<&'a ObjectId>) {
        let of_subset = subset.and_then(|subset| subset.traffic_policy.as_ref());
        let mut policy =
            Policy::new(self.traffic_policy(), of_subset, port.number, &self.policies.of_port(port.name));
        match self.wider_tls.filter(|_| policy.tls.is_none()) {
            Some((id, tls)) => {
                policy.tls = Some(tls.clone());
                (policy, Some(id))
            }
            None => (policy, self.id()),
        }
    }

    /// The subsets, each name once.
    pub(super) fn subsets(&self) -> Vec<&'a Subset> {
        let mut subsets: Vec<&'a Subset> = Vec::new();
        for subset in self.objects.iter().flat_map(|(_, rule)| &rule.subsets) {
            if !subsets.iter().any(|known| known.name == subset.name) {
                subsets.push(subset);
            }
        }
        subsets
    }

    pub(super) fn subset(&self, name: &str) -> Option<&'a Subset> {
        let mut subsets = self.objects.iter().flat_map(|(_, rule)| &rule.subsets);
        subsets.find(|subset| subset.name == name)
    }
}

/// Every rule for a host, of all namespaces: those with its name first, then wildcards by how specific they are.
pub(super) fn all<'a>(
    host: &str,
    reader: &Reader<'a>,
) -> impl Iterator<Item = (&'a Object, &'a DestinationRule)> {
    let mut found = Vec::new();
    for object in reader.for_host(host, Key::RuledHost) {
        let Spec::DestinationRule(rule) = &object.spec else { continue };
        // A short name may mean another host.
        let is_meant =
            is_wildcard(&rule.host) || reader.find(&rule.host, &object.id.namespace).as_deref() == Some(host);
        if is_meant {
            found.push((object, &**rule));
        }
    }
    found.into_iter()
}

fn counts(object: &Object, rule: &DestinationRule, viewer: &Viewer) -> bool {
    let (namespace, labels) = (&object.id.namespace, rule.client_labels());
    let is_for_labels = labels.is_empty() || (viewer.is_of(namespace) && viewer.has(labels));
    is_for_labels && viewer.sees(&rule.export_to, namespace)
}
