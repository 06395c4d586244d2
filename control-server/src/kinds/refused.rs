//! Objects with errors, as far as they can be read.

use super::object::{Kind, ObjectId};
use super::origin::Origin;
use crate::yaml::{Node, Value};

/// An object with errors. What it was meant to do to its hosts is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) id: ObjectId,
    /// The hosts that it names, as it writes them, for example `orders`; without those that cannot be read.
    pub(crate) hosts: Vec<String>,
    pub(crate) origin: Origin,
}

impl Refused {
    pub(super) fn new(id: ObjectId, node: &Node, origin: Origin) -> Self {
        let hosts = node.field("spec").map(|spec| hosts(id.kind, spec)).unwrap_or_default();
        Self { id, hosts, origin }
    }
}

fn hosts(kind: Kind, spec: &Node) -> Vec<String> {
    match kind {
        Kind::VirtualService | Kind::ServiceEntry => {
            spec.items("hosts").filter_map(|host| text(host)).map(str::to_owned).collect()
        }
        Kind::DestinationRule => spec.text("host").map(str::to_owned).into_iter().collect(),
        Kind::GrpcRoute => spec.items("parentRefs").filter_map(parent).collect(),
        Kind::WorkloadEntry | Kind::Service | Kind::EndpointSlice | Kind::ReferenceGrant => Vec::new(),
    }
}

/// A route's parent as a host: `name`, or `name.namespace` for one in another namespace. A gateway is no host.
fn parent(reference: &Node) -> Option<String> {
    let name = reference.text("name").filter(|_| reference.text("kind") == Some("Service"))?;
    let namespace = reference.text("namespace");
    Some(namespace.map_or_else(|| name.to_owned(), |namespace| format!("{name}.{namespace}")))
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}
