//! `DestinationRule`: how calls to a host are spread and limited, and the subsets of its endpoints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{self, Wildcard};
use super::effect;
use super::traffic_policy::{EFFECTS, POOL_EFFECTS, TrafficPolicy};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// Policies for one host.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DestinationRule {
    pub(crate) host: String,
    pub(crate) traffic_policy: Option<TrafficPolicy>,
    #[serde(default)]
    pub(crate) subsets: Vec<Subset>,
    #[serde(default)]
    pub(crate) export_to: Vec<String>,
    pub(crate) workload_selector: Option<ClientSelector>,
}

/// Endpoints by their labels, and the settings that differ for them.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subset {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) traffic_policy: Option<TrafficPolicy>,
}

/// The clients that a rule is for, in its own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientSelector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) match_labels: BTreeMap<String, String>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<DestinationRule> {
    let rule: DestinationRule = decode(spec, path, findings)?;
    rule.check(path, findings);
    for policy in policies(spec) {
        effect::warn_at(EFFECTS, policy.0, &policy.1, findings);
        effect::warn_at(POOL_EFFECTS, policy.0, &policy.1, findings);
    }
    Some(rule)
}

/// Every traffic policy of a rule as written, with its path.
fn policies(spec: &Node) -> Vec<(&Node, FieldPath)> {
    let path = FieldPath::spec();
    let own = spec.field("trafficPolicy").map(|node| (node, path.field("trafficPolicy")));
    let subsets = path.field("subsets");
    let of_subsets = spec.items("subsets").enumerate().filter_map(move |(index, subset)| {
        Some((subset.field("trafficPolicy")?, subsets.index(index).field("trafficPolicy")))
    });
    own.into_iter()
        .chain(of_subsets)
        .flat_map(|(policy, path)| {
            let ports = path.field("portLevelSettings");
            let of_ports = policy.items("portLevelSettings").enumerate();
            let of_ports = of_ports.map(move |(index, node)| (node, ports.index(index)));
            std::iter::once((policy, path)).chain(of_ports)
        })
        .collect()
}

impl DestinationRule {
    /// The labels of the clients that it is for; empty: all.
    pub(crate) fn client_labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.workload_selector.as_ref().map_or(&NONE, |selector| &selector.match_labels)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.host != "*" {
            check::host(&self.host, Wildcard::Allowed, &path.field("host"), findings);
        }
        if let Some(policy) = &self.traffic_policy {
            policy.check(&path.field("trafficPolicy"), findings);
        }
        for (index, subset) in self.subsets.iter().enumerate() {
            let path = path.field("subsets").index(index);
            if !is_subset_name(&subset.name) {
                let message = format!("found `{}`, expected letters, digits, `-`, `_` and `.`", subset.name);
                findings.error(path.field("name"), message);
            }
            if let Some(policy) = &subset.traffic_policy {
                policy.check(&path.field("trafficPolicy"), findings);
            }
        }
        let names = self.subsets.iter().map(|subset| &subset.name);
        check::unique(names, |index| path.field("subsets").index(index).field("name"), findings);
        check::export_to(&self.export_to, &path.field("exportTo"), findings);
    }
}

/// A subset's name becomes part of a cluster's, between bars.
fn is_subset_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
