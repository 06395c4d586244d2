//! The workloads that a policy of `security.istio.io` is for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check;
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, Value};

/// Workloads by their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Selector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) match_labels: BTreeMap<String, String>,
}

/// The workloads of a service, in the place of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetRef {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    group: String,
    kind: String,
    pub(crate) name: String,
    namespace: Option<String>,
}

/// What a [`TargetRef`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Service,
    ServiceEntry,
    /// A gateway, which is no part of this mesh.
    Gateway,
}

impl TargetRef {
    /// `None`: a kind that no policy can be for; [`check`] refuses it.
    pub(crate) fn target_kind(&self) -> Option<TargetKind> {
        match (self.group.as_str(), self.kind.as_str()) {
            ("" | "core", "Service") => Some(TargetKind::Service),
            ("networking.istio.io", "ServiceEntry") => Some(TargetKind::ServiceEntry),
            ("gateway.networking.k8s.io", "Gateway" | "GatewayClass") => Some(TargetKind::Gateway),
            _ => None,
        }
    }
}

/// Checks who a policy is for. A part of it that is written and empty is refused: read as absent, it would make the policy one
/// for every workload of the namespace.
pub(super) fn check(
    spec: &Node,
    selector: Option<&Selector>,
    targets: &[TargetRef],
    namespace: &str,
    findings: &mut Findings,
) {
    let path = FieldPath::spec();
    for name in ["selector", "targetRefs"] {
        if let Some(node) = spec.field(name) {
            refuse_nothing(node, &path.field(name), findings);
        }
    }
    let targets_path = path.field("targetRefs");
    if selector.is_some() && !targets.is_empty() {
        findings.error(targets_path.clone(), "found both selector and targetRefs, expected one of them");
    }
    if targets.len() > MAX_TARGETS {
        let message = format!("found {} items, expected at most {MAX_TARGETS}", targets.len());
        findings.error(targets_path.clone(), message);
    }
    for (index, target) in targets.iter().enumerate() {
        let path = targets_path.index(index);
        match target.target_kind() {
            None => {
                let message = format!(
                    "found {} of group `{}`, expected Service of group ``, ServiceEntry of group networking.istio.io, or Gateway",
                    target.kind, target.group
                );
                findings.error(path.field("kind"), message);
            }
            Some(TargetKind::Gateway) => {
                findings.warning(path.field("kind"), "has no effect: this mesh has no gateways");
            }
            Some(TargetKind::Service | TargetKind::ServiceEntry) => {
                check::name(&target.name, &path.field("name"), findings);
            }
        }
        if target.namespace.as_deref().is_some_and(|other| other != namespace) {
            findings
                .error(path.field("namespace"), "expected the namespace of the policy itself, or nothing");
        }
    }
}

/// Refuses every empty list in a part of a policy: read as absent, it would drop a condition.
pub(super) fn refuse_nothing(node: &Node, path: &FieldPath, findings: &mut Findings) {
    match &node.value {
        Value::Sequence(items) if items.is_empty() => {
            findings
                .error(path.clone(), "found an empty list, expected an item: leave out the field otherwise");
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_nothing(item, &path.index(index), findings);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                refuse_nothing(value, &path.key(&key.name), findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {}
    }
}

const MAX_TARGETS: usize = 16;
