//! Objects with errors, as far as they can be read.

use std::collections::BTreeMap;

use super::object::{Kind, ObjectId};
use super::origin::Origin;
use crate::yaml::{Node, Value};

/// An object with errors. What it was meant to do to its hosts is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) id: ObjectId,
    /// The hosts that it names, as it writes them, for example `orders`; without those that cannot be read.
    pub(crate) hosts: Vec<String>,
    /// All hosts that it restricts or pins can be read; a policy of servers is for its namespace at most.
    pub(crate) names_hosts: bool,
    /// The labels of the workloads that it selects; empty: it has no selector, or one that cannot be read.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) origin: Origin,
}

impl Refused {
    pub(super) fn new(id: ObjectId, node: &Node, origin: Origin) -> Self {
        let spec = node.field("spec");
        let hosts = spec.map(|spec| hosts(id.kind, spec)).unwrap_or_default();
        let names_hosts = !id.kind.restricts_calls() || spec.is_some_and(|spec| names_hosts(id.kind, spec));
        let labels = spec.and_then(labels).unwrap_or_default();
        Self { id, hosts, names_hosts, labels, origin }
    }
}

fn hosts(kind: Kind, spec: &Node) -> Vec<String> {
    match kind {
        Kind::VirtualService | Kind::ServiceEntry => {
            spec.items("hosts").filter_map(|host| text(host)).map(str::to_owned).collect()
        }
        Kind::DestinationRule => spec.text("host").map(str::to_owned).into_iter().collect(),
        Kind::GrpcRoute | Kind::HttpRoute => spec.items("parentRefs").filter_map(parent).collect(),
        Kind::WorkloadEntry
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::ReferenceGrant
        | Kind::PeerAuthentication
        | Kind::RequestAuthentication
        | Kind::AuthorizationPolicy
        | Kind::TrafficPolicy
        | Kind::MeshConfig
        | Kind::RateLimitPolicy => Vec::new(),
    }
}

/// Whether no host that an object is for is left out of [`hosts`].
fn names_hosts(kind: Kind, spec: &Node) -> bool {
    let is_missing = |name: &str| spec.field(name).is_none_or(|node| node.value == Value::Null);
    let is_list_of = |name: &str, can_be_read: fn(&Node) -> bool| {
        !is_missing(name) && spec.items(name).len() > 0 && spec.items(name).all(can_be_read)
    };
    match kind {
        // Without hosts it has rules for others, which fail while it is missing; a misspelt field is no missing one.
        Kind::VirtualService if is_missing("hosts") => !spec.has_field_like("hosts"),
        Kind::VirtualService => is_list_of("hosts", |host| text(host).is_some()),
        Kind::DestinationRule => spec.text("host").is_some(),
        Kind::GrpcRoute | Kind::HttpRoute => is_list_of("parentRefs", |parent| {
            let is_text = |name| parent.field(name).is_none_or(|node| text(node).is_some());
            parent.text("name").is_some() && is_text("kind") && is_text("namespace")
        }),
        kind => kind.is_security(),
    }
}

/// The labels of a selector, if all of them can be read.
fn labels(spec: &Node) -> Option<BTreeMap<String, String>> {
    let Value::Mapping(entries) = &spec.field("selector")?.field("matchLabels")?.value else { return None };
    entries.iter().map(|(key, value)| Some((key.name.clone(), text(value)?.to_owned()))).collect()
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
