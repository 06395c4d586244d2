//! What translation makes and discovery serves: encoded resources under their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// The types of resource that are served, in make-before-break order (CS-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// `envoy.config.cluster.v3.Cluster`
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`
    Endpoints,
    /// `envoy.config.listener.v3.Listener`
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`
    Route,
}

impl ResourceKind {
    /// All kinds, in make-before-break order.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Route];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The kind of a type URL.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// The name that people say: `cds`, `eds`, `lds` or `rds`.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Cluster => "cds",
            Self::Endpoints => "eds",
            Self::Listener => "lds",
            Self::Route => "rds",
        }
    }

    /// The kind of a short name or a type URL.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.short_name() == name || kind.type_url() == name)
    }

    /// Whether a SotW response must hold every subscribed resource (CS-04).
    pub const fn is_full_state(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

/// One resource, encoded once and shared by all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedResource {
    /// Its name.
    pub name: Arc<str>,
    /// The content's hash, in hexadecimal.
    pub version: Arc<str>,
    /// The encoded message (the `value` of its `Any`).
    pub bytes: Bytes,
}

/// Every resource of one revision. Unchanged resources are the same `Arc` from one revision to the next.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    /// Counts accepted changes.
    pub revision: u64,
    /// By kind and name.
    pub resources: BTreeMap<(ResourceKind, Arc<str>), Arc<EncodedResource>>,
}

impl ResourceSet {
    /// The resource of this kind and name.
    pub fn get(&self, kind: ResourceKind, name: &Arc<str>) -> Option<&Arc<EncodedResource>> {
        self.resources.get(&(kind, name.clone()))
    }

    /// Every resource of a kind, by name.
    pub fn of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<EncodedResource>> {
        self.resources
            .range((kind, Arc::from(""))..)
            .map_while(move |((other, _), resource)| (*other == kind).then_some(resource))
    }
}
