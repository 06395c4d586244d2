//! A route: which requests it takes, and where they go.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::policy::matcher::{CapturingRegex, Fraction, HeaderMatcher, PathMatcher, QueryMatcher};

use super::{
    ConfigError, FilterOverrides, HeaderMutations, HostRewrite, Mirror, Name, RetryPolicy, Rewrite,
    RoutingPriority,
};

/// A rule of a virtual host.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// For logs and errors; may be empty.
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What happens to them.
    pub action: RouteAction,
    /// Overrides of filters.
    pub filters: FilterOverrides,
    /// Changes of headers.
    // RT-66
    pub headers: HeaderMutations,
}

impl Route {
    /// A route without a name, without overrides of filters and changes of headers.
    pub fn new(matches: RouteMatch, action: RouteAction) -> Self {
        let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
        Self { name: String::new(), matches, action, filters, headers }
    }
}

/// Matches when path, all headers and parameters and the fraction match; the fraction is drawn last.
// RT-07
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The request's path, without a query.
    pub path: PathMatcher,
    /// All must match.
    pub headers: Vec<HeaderMatcher>,
    /// All must match. With one, the route takes no call of a gRPC client, as in gRPC.
    // RT-17, RDS-06
    pub query_parameters: Vec<QueryMatcher>,
    /// Takes requests with gRPC's content type only: `application/grpc`, alone or with a suffix after `+`.
    // RT-19
    pub grpc_only: bool,
    /// A share of what else matches; `None`: all of it.
    pub fraction: Option<Fraction>,
}

impl RouteMatch {
    /// Takes every request with such a path.
    pub fn new(path: PathMatcher) -> Self {
        let (headers, query_parameters) = (Vec::new(), Vec::new());
        Self { path, headers, query_parameters, grpc_only: false, fraction: None }
    }

    /// Takes every request.
    pub fn any() -> Self {
        Self::new(PathMatcher::Prefix { prefix: String::new(), ignore_case: false })
    }
}

/// What happens to a matched request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RouteAction {
    /// Sent to a cluster.
    Forward(Forward),
    /// Handed to the application of the server that took the call. On a client the call fails with UNAVAILABLE.
    // RDS-13, RT-21
    NonForwarding,
    /// An action that neither side can take: the call fails with UNAVAILABLE. The text names it.
    // RT-21
    Unsupported(&'static str),
}

/// Where and how a request is sent on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Forward {
    /// To which cluster.
    pub clusters: ClusterChoice,
    /// `max_stream_duration`: zero is no limit, `None` leaves it to the listener.
    // RT-33
    pub max_stream_duration: Option<Duration>,
    /// `grpc_timeout_header_max`: wins over the former when present; zero is no limit.
    // RT-33
    pub grpc_timeout_header_max: Option<Duration>,
    /// When a call is tried again; `None` leaves it to the virtual host.
    pub retry: Option<Arc<RetryPolicy>>,
    /// What a request's hash is made of, for hashing balancers (gRFC A42).
    pub hash_policies: Vec<HashPolicy>,
    /// Send the chosen endpoint's host name as the authority, if it has one (gRFC A81).
    // RT-59
    pub auto_host_rewrite: bool,
    /// What changes in the path and the authority.
    pub rewrite: Rewrite,
    /// Where copies of the requests go.
    pub mirrors: Vec<Mirror>,
    /// Which limits of the cluster hold for the calls.
    // LB-28
    pub priority: RoutingPriority,
}

impl Forward {
    /// Everything to one cluster, with no limits and no retries of its own.
    pub fn to(cluster: impl Into<Name>) -> Self {
        Self::new(ClusterChoice::One(cluster.into()))
    }

    /// To one of the clusters of `clusters`, with no limits and no retries of its own.
    pub fn new(clusters: ClusterChoice) -> Self {
        Self {
            clusters,
            max_stream_duration: None,
            grpc_timeout_header_max: None,
            retry: None,
            hash_policies: Vec::new(),
            auto_host_rewrite: false,
            rewrite: Rewrite::default(),
            mirrors: Vec::new(),
            priority: RoutingPriority::Default,
        }
    }

    /// Every cluster that requests or copies of them may be sent to.
    pub fn cluster_names(&self) -> impl Iterator<Item = &Name> {
        self.clusters.names().chain(self.mirrors.iter().map(|mirror| &mirror.cluster))
    }

    /// With copies of its requests to another cluster.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Mirror) -> Self {
        self.mirrors.push(mirror);
        self
    }

    /// With calls of this priority.
    #[must_use]
    pub fn with_priority(self, priority: RoutingPriority) -> Self {
        Self { priority, ..self }
    }

    /// With this rewrite.
    #[must_use]
    pub fn with_rewrite(self, rewrite: Rewrite) -> Self {
        Self { rewrite, ..self }
    }

    /// With retries by this policy.
    #[must_use]
    pub fn with_retry(self, policy: impl Into<Arc<RetryPolicy>>) -> Self {
        Self { retry: Some(policy.into()), ..self }
    }
}

/// Which cluster takes a call, decided once per call.
// RT-22
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClusterChoice {
    /// Always this one.
    One(Name),
    /// One of these by weight. Made by [`ClusterChoice::weighted`].
    Weighted(Arc<[WeightedCluster]>),
}

/// A cluster and its share.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightedCluster {
    /// The cluster.
    pub name: Name,
    /// Its share of the total; not zero.
    pub weight: u32,
    /// Overrides of filters, for calls to this cluster.
    pub filters: FilterOverrides,
    /// Changes of headers, for calls to this cluster.
    // RT-66
    pub headers: HeaderMutations,
    /// The authority of calls to this cluster; `None`: the route's own rewrite counts.
    pub host: Option<HostRewrite>,
}

impl WeightedCluster {
    /// A cluster with this share, without overrides of filters and changes of headers.
    pub fn new(name: impl Into<Name>, weight: u32) -> Self {
        let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
        Self { name: name.into(), weight, filters, headers, host: None }
    }
}

impl ClusterChoice {
    /// A choice by weight; entries of weight zero are dropped.
    ///
    /// # Errors
    /// [`ConfigError::InvalidWeights`] when nothing is left or the total exceeds `u32::MAX`.
    // RDS-11
    pub fn weighted(entries: impl IntoIterator<Item = WeightedCluster>) -> Result<Self, ConfigError> {
        let entries: Arc<[_]> = entries.into_iter().filter(|entry| entry.weight > 0).collect();
        if entries.is_empty() {
            return Err(ConfigError::InvalidWeights { reason: "the total weight is 0" });
        }
        let total: u64 = entries.iter().map(|entry| u64::from(entry.weight)).sum();
        if total > u64::from(u32::MAX) {
            return Err(ConfigError::InvalidWeights { reason: "the total weight exceeds 4294967295" });
        }
        Ok(Self::Weighted(entries))
    }

    /// Every cluster that may be chosen.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let (one, many) = match self {
            Self::One(name) => (Some(name), &[][..]),
            Self::Weighted(entries) => (None, &entries[..]),
        };
        one.into_iter().chain(many.iter().map(|entry| &entry.name))
    }

    /// The weights of the [`names`](Self::names); none if there is only one cluster.
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> {
        let entries = match self {
            Self::One(_) => &[][..],
            Self::Weighted(entries) => entries,
        };
        entries.iter().map(|entry| entry.weight)
    }
}

/// One part of a request's hash (gRFC A42).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HashPolicy {
    /// A header's values, joined by `,`, after an optional rewrite.
    Header {
        /// Which header.
        name: HeaderName,
        /// Every match is replaced by the text, in which `${1}` is the first group and `$$` is `$`.
        rewrite: Option<(CapturingRegex, String)>,
        /// Stop here when some hash exists.
        terminal: bool,
    },
    /// A number that is the channel's own and constant.
    ChannelId {
        /// Stop here when some hash exists.
        terminal: bool,
    },
}
