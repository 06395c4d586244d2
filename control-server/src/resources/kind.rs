//! Types of resource, and the classes of clients that get different ones.

/// The types of resource that are served, in make-before-break order (CS-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// `envoy.config.cluster.v3.Cluster`
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`
    Endpoints,
    /// `envoy.config.endpoint.v3.LbEndpoint`, a member of a collection
    LbEndpoint,
    /// `envoy.config.listener.v3.Listener`
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`
    Route,
}

impl ResourceKind {
    /// All kinds, in make-before-break order.
    pub const ALL: [Self; 5] =
        [Self::Cluster, Self::Endpoints, Self::LbEndpoint, Self::Listener, Self::Route];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::LbEndpoint => "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The kind of a type URL.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// The usual short name: `cds`, `eds`, `leds`, `lds` or `rds`.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Cluster => "cds",
            Self::Endpoints => "eds",
            Self::LbEndpoint => "leds",
            Self::Listener => "lds",
            Self::Route => "rds",
        }
    }

    /// The kind of a short name or a type URL.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.short_name() == name || kind.type_url() == name)
    }

    /// Whether a SotW response must hold every subscribed resource (CS-04); these types know the wildcard too (CS-07).
    pub const fn is_full_state(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

/// The features of a client beyond those of every client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ClientClass {
    /// Nothing.
    #[default]
    Plain,
    /// Its endpoints may be resources of their own: incremental clients with the feature
    /// `xds.endpoint.supports_lb_endpoint_collection`.
    Collections,
}

/// A type of resource as one class of clients gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    kind: ResourceKind,
    class: ClientClass,
}

impl Slot {
    /// Of a kind for a class. Only [`ResourceKind::Endpoints`] are not the same for all.
    pub const fn new(kind: ResourceKind, class: ClientClass) -> Self {
        match kind {
            ResourceKind::Endpoints => Self { kind, class },
            _ => Self { kind, class: ClientClass::Plain },
        }
    }

    /// The kind.
    pub const fn kind(self) -> ResourceKind {
        self.kind
    }

    /// All of them.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::new(ResourceKind::Cluster, ClientClass::Plain),
        Self::new(ResourceKind::Endpoints, ClientClass::Plain),
        Self::new(ResourceKind::LbEndpoint, ClientClass::Plain),
        Self::new(ResourceKind::Listener, ClientClass::Plain),
        Self::new(ResourceKind::Route, ClientClass::Plain),
        Self::new(ResourceKind::Endpoints, ClientClass::Collections),
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = 6;

    /// Its index in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        match self.class {
            ClientClass::Plain => self.kind as usize,
            ClientClass::Collections => Self::COUNT - 1,
        }
    }
}

impl From<ResourceKind> for Slot {
    /// As every client gets it.
    fn from(kind: ResourceKind) -> Self {
        Self::new(kind, ClientClass::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_kinds_have_distinct_slots() {
        assert!(Slot::ALL.iter().enumerate().all(|(index, slot)| slot.index() == index));
    }
}
