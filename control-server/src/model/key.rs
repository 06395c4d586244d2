//! The keys under which objects are filed: a lookup by key needs no scan.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use twox_hash::XxHash64;

use super::gateway_route;
use super::name::{SUFFIX, candidates, cluster_local, is_wildcard};
use crate::kinds::endpoint_slice::SERVICE_NAME;
use crate::kinds::mesh_policy::{AttachedPolicy, TargetKind};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::{Kind, Object, ObjectId, Refused, Spec};

/// A property of objects that others refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Declares this host.
    Host(String),
    /// Declares a host with this first label, of a service inside the cluster.
    ShortName(String),
    /// A declaration of this namespace and name.
    Declaration(String, String),
    /// A workload of this namespace with a label of this name and value.
    Workload(String, String, String),
    /// Selects workloads of this namespace; the label is the first one of the selector.
    Selector(String, String, String),
    /// Routes calls to this host, which may be a wildcard.
    RoutedHost(String),
    /// Has the rules that others of this namespace and name delegate to.
    Delegate(String, String),
    /// Has policies or subsets for this host, which may be a wildcard.
    RuledHost(String),
    /// Is refused, and is for this host, which may be a wildcard.
    RefusedHost(String),
    /// The endpoints of the `Service` of this namespace and name.
    Slices(String, String),
    /// A grant of this namespace.
    Grants(String),
    /// A policy for the servers of this namespace.
    Policies(String),
    /// Declares a host in this namespace.
    Declared(String),
    /// A route of the Gateway API whose parent is the service of this namespace and name.
    Parent(String, String),
    /// A policy of this namespace that is attached to what has this name.
    Attached(String, TargetKind, String),
    /// A route of this namespace and name.
    Named(String, String),
    /// A limit of calls to the service of this namespace and name.
    Limited(String, String),
    /// Settings of the whole mesh, in this namespace.
    MeshWide(String),
}

impl Key {
    /// Identifies the key in the record of who reads what. Two keys with one hash cost needless work, nothing else.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = XxHash64::with_seed(0);
        std::hash::Hash::hash(self, &mut hasher);
        hasher.finish()
    }

    /// The wildcard host of the key.
    pub(super) fn wildcard(&self) -> Option<&str> {
        match self {
            Self::RoutedHost(host) | Self::RuledHost(host) | Self::RefusedHost(host) if is_wildcard(host) => {
                Some(host)
            }
            _ => None,
        }
    }
}

/// The keys of an object that is refused. One that declares a host leaves it undeclared, and needs none.
pub(super) fn refused_keys(refused: &Refused) -> Vec<Key> {
    match refused.id.kind {
        Kind::VirtualService | Kind::DestinationRule | Kind::GrpcRoute | Kind::HttpRoute => {
            named(&refused.hosts, &refused.id.namespace, Key::RefusedHost)
        }
        kind if kind.is_security() => vec![Key::Policies(refused.id.namespace.clone())],
        _ => Vec::new(),
    }
}

/// A key for every host that the names may mean.
fn named(hosts: &[String], namespace: &str, key: fn(String) -> Key) -> Vec<Key> {
    let exact = hosts.iter().filter(|host| !is_wildcard(host));
    let exact = exact.flat_map(|host| candidates(host, namespace)).map(key);
    let wildcards = hosts.iter().filter(|host| is_wildcard(host)).map(|host| key(host.to_ascii_lowercase()));
    exact.chain(wildcards).collect()
}

/// Every key of an object.
pub(super) fn keys(object: &Object) -> Vec<Key> {
    let (namespace, name) = (&object.id.namespace, &object.id.name);
    match &object.spec {
        Spec::ServiceEntry(entry) => {
            declaration_keys(object, entry.workload_selector.as_ref().map(|selector| &selector.labels))
        }
        Spec::Service(service) => declaration_keys(object, Some(&service.selector)),
        Spec::EndpointSlice(_) => {
            let service = object.metadata.labels.get(SERVICE_NAME);
            service.map(|service| Key::Slices(namespace.clone(), service.clone())).into_iter().collect()
        }
        Spec::ReferenceGrant(_) => vec![Key::Grants(namespace.clone())],
        Spec::WorkloadEntry(entry) => workload_keys(namespace, entry),
        Spec::VirtualService(service) if !service.routes_calls() => Vec::new(),
        Spec::VirtualService(service) if service.is_delegate() => {
            vec![Key::Delegate(namespace.clone(), name.clone()), route_key(object)]
        }
        Spec::VirtualService(service) => {
            let mut keys = named(&service.hosts, namespace, Key::RoutedHost);
            keys.push(route_key(object));
            keys
        }
        Spec::DestinationRule(rule) => named(std::slice::from_ref(&rule.host), namespace, Key::RuledHost),
        Spec::GrpcRoute(_) | Spec::HttpRoute(_) => {
            let parents = gateway_route::parents(object).map(|(_, parent)| {
                let of = parent.namespace.as_ref().unwrap_or(namespace);
                Key::Parent(of.clone(), parent.name.to_ascii_lowercase())
            });
            parents.chain([route_key(object)]).collect()
        }
        Spec::TrafficPolicy(policy) => attached_keys(namespace, policy),
        Spec::MeshConfig(_) => vec![Key::MeshWide(namespace.clone())],
        Spec::RateLimitPolicy(policy) => {
            let targets = policy.target_refs.iter().filter(|_| policy.is_for_clients());
            let limited =
                targets.map(|target| Key::Limited(namespace.clone(), target.name.to_ascii_lowercase()));
            let of_servers = policy.is_for_servers().then(|| Key::Policies(namespace.clone()));
            limited.chain(of_servers).collect()
        }
        Spec::PeerAuthentication(_) | Spec::RequestAuthentication(_) | Spec::AuthorizationPolicy(_) => {
            vec![Key::Policies(namespace.clone())]
        }
    }
}

fn route_key(object: &Object) -> Key {
    Key::Named(object.id.namespace.clone(), object.id.name.to_ascii_lowercase())
}

/// A key for everything that a policy is attached to.
fn attached_keys(namespace: &str, policy: &AttachedPolicy) -> Vec<Key> {
    let targets = policy.target_refs.iter();
    let key = |target: &crate::kinds::mesh_policy::PolicyTarget| {
        Some(Key::Attached(namespace.to_owned(), target.kind()?, target.name.to_ascii_lowercase()))
    };
    targets.filter_map(key).collect()
}

fn declaration_keys(object: &Object, selector: Option<&BTreeMap<String, String>>) -> Vec<Key> {
    let (namespace, name) = (&object.id.namespace, &object.id.name);
    let mut keys = vec![Key::Declaration(namespace.clone(), name.clone()), Key::Declared(namespace.clone())];
    for host in hosts(object) {
        keys.extend(cluster_local(&host).map(|(short, _)| Key::ShortName(short.to_owned())));
        keys.push(Key::Host(host));
    }
    let label = selector.and_then(|labels| labels.iter().next());
    keys.extend(label.map(|(label, value)| Key::Selector(namespace.clone(), label.clone(), value.clone())));
    keys
}

fn workload_keys(namespace: &str, entry: &WorkloadEntry) -> Vec<Key> {
    let key = |(label, value): (&String, &String)| {
        Key::Workload(namespace.to_owned(), label.clone(), value.clone())
    };
    entry.labels.iter().map(key).collect()
}

/// The hosts that an object declares.
pub(super) fn hosts(object: &Object) -> Vec<String> {
    match &object.spec {
        Spec::ServiceEntry(entry) => {
            let exact = entry.hosts.iter().filter(|host| !is_wildcard(host));
            exact.map(|host| host.to_ascii_lowercase()).collect()
        }
        Spec::Service(_) => vec![service_host(&object.id)],
        _ => Vec::new(),
    }
}

/// The host of a `Service`.
fn service_host(id: &ObjectId) -> String {
    format!("{}.{}{SUFFIX}", id.name, id.namespace)
}
