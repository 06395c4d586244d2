//! `ReferenceGrant` of the Gateway API: objects of other namespaces may refer to objects of this one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// Every `from` may refer to every `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ReferenceGrant {
    pub(crate) from: Vec<GrantFrom>,
    pub(crate) to: Vec<GrantTo>,
}

/// Objects of one kind in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct GrantFrom {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
}

/// Objects of one kind in the grant's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct GrantTo {
    pub(crate) group: String,
    pub(crate) kind: String,
    /// `None`: all of the kind.
    pub(crate) name: Option<String>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<ReferenceGrant> {
    let grant: ReferenceGrant = decode(spec, path, findings)?;
    for (field, length) in [("from", grant.from.len()), ("to", grant.to.len())] {
        if !(1..=16).contains(&length) {
            findings.error(path.field(field), format!("found {length} items, expected 1 to 16"));
        }
    }
    Some(grant)
}

impl ReferenceGrant {
    /// Whether a route of `kind` and `namespace` may use the service `name` of the grant's own namespace.
    pub(crate) fn lets_route_use_service(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let from = |from: &GrantFrom| {
            from.group == "gateway.networking.k8s.io"
                && from.kind == kind.name()
                && from.namespace == namespace
        };
        let to = |to: &GrantTo| {
            to.group.is_empty() && to.kind == "Service" && to.name.as_deref().is_none_or(|one| one == name)
        };
        self.from.iter().any(from) && self.to.iter().any(to)
    }
}
