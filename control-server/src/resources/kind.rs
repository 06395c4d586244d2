//! Types of resource, and the classes of clients that get different ones.

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

    /// Whether a SotW response must hold every subscribed resource (CS-04); these types know the wildcard too (CS-07).
    pub const fn is_full_state(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

/// What a client can do beyond what every client can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ClientClass {
    /// Nothing.
    #[default]
    Plain,
}

/// A type of resource as one class of clients gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    kind: ResourceKind,
}

impl Slot {
    /// All of them.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self { kind: ResourceKind::Cluster },
        Self { kind: ResourceKind::Endpoints },
        Self { kind: ResourceKind::Listener },
        Self { kind: ResourceKind::Route },
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = 4;

    /// Of a kind for a class; most kinds are the same for all.
    pub const fn new(kind: ResourceKind, _class: ClientClass) -> Self {
        Self { kind }
    }

    /// The kind.
    pub const fn kind(self) -> ResourceKind {
        self.kind
    }

    /// From 0 to [`COUNT`](Self::COUNT).
    pub(crate) const fn index(self) -> usize {
        self.kind as usize
    }
}

impl From<ResourceKind> for Slot {
    fn from(kind: ResourceKind) -> Self {
        Self::new(kind, ClientClass::Plain)
    }
}
