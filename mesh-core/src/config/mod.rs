//! The mesh's configuration: immutable, validated, complete (gRFC A74).
//!
//! A [`MeshConfig`] is one target's whole configuration. It is built by a configuration source (an xDS client, a
//! fixed configuration, a test), never changed, and swapped whole. Durations, regular expressions and addresses are
//! already parsed. Identical parts of two successive configurations are the same `Arc`, so that "unchanged" is a
//! pointer comparison.

mod cluster;
mod connection;
mod endpoint;
mod endpoints;
mod error;
mod filter;
mod header_mutation;
mod health_check;
mod lb_policy;
mod lb_weights;
mod limits;
mod locality;
mod mirror;
mod outlier;
mod retry;
mod rewrite;
mod route;
mod server;
mod tls;
mod virtual_host;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use cluster::{Cluster, ClusterSettings, Discovery, LocalityPolicy, ReportedMetric};
pub use connection::{ConnectionSettings, Http2Keepalive, TcpKeepalive};
pub use endpoint::{
    DropCategory, Endpoint, EndpointAddresses, EndpointDetails, EndpointSet, HealthStatus, Priority,
};
pub(crate) use endpoints::Member;
pub use endpoints::{Endpoints, EndpointsIter};
pub use error::{ConfigError, ResourceError};
pub use filter::{FilterInstance, FilterOverride, FilterOverrides};
pub use header_mutation::{AppendAction, HeaderMutation, HeaderMutations, MutationOrder};
pub(crate) use header_mutation::{Change, is_protected};
pub use health_check::{
    CheckConnection, EndpointCheck, GrpcProbe, HealthCheck, HealthCheckIntervals, HealthProbe, HttpProbe,
    ProbeVersion, TcpProbe,
};
pub use lb_policy::{LbPolicy, Maglev, PeakEwma, RingHash, SubsetMethod, Subsetting};
pub use lb_weights::{ReportedWeights, SlowStart, WeightSource, WeightedLeastRequest, WeightedRoundRobin};
pub use limits::{CallLimits, MaxRequests, RoutingPriority};
pub use locality::{Locality, LocalityId};
pub use mirror::{Mirror, MirrorHost};
pub use outlier::{
    ConsecutiveEjection, FailurePercentageEjection, LocalOriginEjection, OutlierDetection,
    SuccessRateEjection,
};
pub use retry::{
    OtherEndpoints, RateLimitedBackoff, ResetFormat, ResetHeader, RetryBackoff, RetryConditions, RetryPolicy,
    RetryableCodes,
};
pub use rewrite::{HostRewrite, PathRewrite, RegexRewrite, Rewrite};
pub use route::{ClusterChoice, Forward, HashPolicy, Route, RouteAction, RouteMatch, WeightedCluster};
pub use server::{
    ChainMatch, IpPrefix, ServerChain, ServerConfig, ServerHttp, ServerListener, ServerRouteSource,
    ServerRoutes, SourceType, TransportProtocol,
};
pub use tls::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls, Sni, TlsVersions};
pub use virtual_host::{DomainPattern, VirtualHost};

/// A resource's name: a cluster, an endpoint service, a route. Cheap to clone and to compare.
pub type Name = Arc<str>;

/// Everything the mesh needs to serve one target.
///
/// Invariant (gRFC A74): every cluster that a route or an aggregate names is a key of [`clusters`](Self::clusters),
/// either with its configuration or with the error that says why there is none. [`MeshConfig::new`] checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshConfig {
    /// Virtual hosts in configured order.
    virtual_hosts: Arc<[Arc<VirtualHost>]>,
    clusters: HashMap<Name, Result<Cluster, ResourceError>>,
    max_stream_duration: Option<Duration>,
    target: Option<Name>,
    /// In the order in which requests pass them.
    filters: Arc<[FilterInstance]>,
    headers: Arc<HeaderMutations>,
    header_order: MutationOrder,
}

impl MeshConfig {
    /// A configuration from its parts.
    ///
    /// `max_stream_duration` is the listener's default for routes that set none (gRFC A31); `None` is no limit.
    ///
    /// # Errors
    /// [`ConfigError::UnknownCluster`] when a route or an aggregate cluster names a cluster that is not a key of
    /// `clusters`.
    pub fn new(
        virtual_hosts: Vec<Arc<VirtualHost>>,
        clusters: HashMap<Name, Result<Cluster, ResourceError>>,
        max_stream_duration: Option<Duration>,
    ) -> Result<Self, ConfigError> {
        let known = |name: &Name| match clusters.contains_key(name) {
            true => Ok(()),
            false => Err(ConfigError::UnknownCluster { cluster: name.clone() }),
        };
        for route in virtual_hosts.iter().flat_map(|host| &host.routes) {
            if let RouteAction::Forward(forward) = &route.action {
                forward.cluster_names().try_for_each(known)?;
            }
        }
        for cluster in clusters.values().flatten() {
            if let Discovery::Aggregate(children) = &cluster.discovery {
                children.iter().try_for_each(known)?;
            }
        }
        Ok(Self {
            virtual_hosts: virtual_hosts.into(),
            clusters,
            max_stream_duration,
            target: None,
            filters: Arc::default(),
            headers: Arc::default(),
            header_order: MutationOrder::default(),
        })
    }

    /// With these HTTP filters, in the order in which requests pass them; responses pass them in the reverse order.
    #[must_use]
    pub fn with_filters(mut self, filters: impl Into<Arc<[FilterInstance]>>) -> Self {
        self.filters = filters.into();
        self
    }

    /// With changes of the headers of every call, applied with those of the virtual host, the route and the weighted
    /// cluster in this order.
    #[must_use]
    pub fn with_headers(mut self, headers: impl Into<Arc<HeaderMutations>>, order: MutationOrder) -> Self {
        self.headers = headers.into();
        self.header_order = order;
        self
    }

    /// For the target of this name: every call to one cluster, with these endpoints and every default. The cluster has the
    /// target's name.
    pub fn to_endpoints(target: &str, endpoints: impl IntoIterator<Item = SocketAddr>) -> Self {
        let endpoints = endpoints.into_iter().map(Endpoint::new).collect();
        let priority = Priority { localities: vec![Arc::new(Locality::of(endpoints))] };
        let set = EndpointSet { priorities: vec![priority], drops: Vec::new() };
        let settings = Arc::new(ClusterSettings::new(target));
        let name = settings.name.clone();
        let route = Route::new(RouteMatch::any(), RouteAction::Forward(Forward::to(name.clone())));
        let host = VirtualHost::new(target, vec![DomainPattern::Any], vec![Arc::new(route)]);
        let cluster = Cluster { settings, discovery: Discovery::Endpoints(Ok(Arc::new(set))) };
        Self {
            virtual_hosts: Arc::new([Arc::new(host)]),
            clusters: HashMap::from([(name, Ok(cluster))]),
            max_stream_duration: None,
            target: Some(target.into()),
            filters: Arc::default(),
            headers: Arc::default(),
            header_order: MutationOrder::default(),
        }
    }

    /// Says for which target it has been made.
    #[must_use]
    pub fn for_target(mut self, name: impl Into<Name>) -> Self {
        self.target = Some(name.into());
        self
    }

    /// The name of the target that it has been made for; `None`: not set, and its virtual hosts decide which calls it takes.
    pub fn target(&self) -> Option<&Name> {
        self.target.as_ref()
    }

    /// Virtual hosts in configured order; the best domain match wins, ties go to the first.
    pub fn virtual_hosts(&self) -> &Arc<[Arc<VirtualHost>]> {
        &self.virtual_hosts
    }

    /// Every cluster that a route can reach, by name.
    pub fn clusters(&self) -> &HashMap<Name, Result<Cluster, ResourceError>> {
        &self.clusters
    }

    /// The listener's default for a stream's whole duration; `None` is no limit (gRFC A31).
    pub fn max_stream_duration(&self) -> Option<Duration> {
        self.max_stream_duration
    }

    /// The HTTP filters, in the order in which requests pass them.
    pub fn filters(&self) -> &Arc<[FilterInstance]> {
        &self.filters
    }

    /// Changes of the headers of every call.
    pub fn headers(&self) -> &Arc<HeaderMutations> {
        &self.headers
    }

    /// In which order changes of headers are applied.
    pub fn header_order(&self) -> MutationOrder {
        self.header_order
    }
}
