//! Calls that the mesh refuses.

use std::time::Duration;

use http::StatusCode;
use mesh_core::config::{
    Cluster, Discovery, DropCategory, EndpointSet, FilterInstance, MaxRequests, MeshConfig, ResourceError,
};
use mesh_core::filter::{RateLimitPolicy, TokenLimit};
use mesh_core::policy::matcher::Fraction;
use mesh_core::runtime::MeshErrorKind;

use crate::reporting::with_settings;

use super::config::{Routes, config};

/// Why the mesh refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The cluster has as many calls in flight as it may have: none.
    CircuitBreaker,
    /// The control plane's drop policy drops every call.
    Dropped,
    /// The cluster has no endpoint.
    NoEndpoint,
    /// The control plane does not have the cluster.
    NoCluster,
    /// No route matches the request.
    NoRoute,
    /// A filter's rate limit is used up.
    RateLimit,
}

impl Refusal {
    /// All of them, with a name for reports.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::CircuitBreaker, "refused_by_circuit_breaker"),
        (Self::Dropped, "dropped"),
        (Self::NoEndpoint, "no_endpoint"),
        (Self::NoCluster, "no_cluster"),
        (Self::NoRoute, "no_route"),
        (Self::RateLimit, "refused_by_rate_limit"),
    ];

    /// The response that the caller gets, or the kind of the error.
    pub(super) fn result(self) -> Result<StatusCode, MeshErrorKind> {
        match self {
            Self::CircuitBreaker => Err(MeshErrorKind::CircuitBreaker),
            Self::Dropped => Err(MeshErrorKind::Dropped),
            Self::NoEndpoint => Err(MeshErrorKind::NoEndpoint),
            Self::NoCluster => Err(MeshErrorKind::Cluster),
            Self::NoRoute => Err(MeshErrorKind::NoRoute),
            Self::RateLimit => Ok(StatusCode::TOO_MANY_REQUESTS),
        }
    }

    /// How many endpoints its cluster has.
    pub(super) fn endpoints(self) -> usize {
        match self {
            Self::CircuitBreaker | Self::Dropped | Self::NoRoute => 10,
            Self::NoEndpoint | Self::NoCluster | Self::RateLimit => 0,
        }
    }

    /// A configuration that leads to it.
    pub(super) fn config(self) -> MeshConfig {
        let config = config(Routes::Exact, 1, self.endpoints());
        match self {
            Self::CircuitBreaker => {
                with_settings(&config, |settings| settings.limits.max_requests = MaxRequests(0))
            }
            Self::Dropped => with_drops(&config),
            Self::NoEndpoint | Self::NoRoute => config,
            Self::RateLimit => config.with_filters([used_up()]),
            Self::NoCluster => {
                let error = ResourceError::new("cluster \"cluster\": the control plane does not have it");
                let clusters = config.clusters().keys().map(|name| (name.clone(), Err(error.clone())));
                MeshConfig::new(config.virtual_hosts().to_vec(), clusters.collect(), None)
                    .expect("every cluster is there")
            }
        }
    }
}

/// A rate limit that lets nothing pass.
fn used_up() -> FilterInstance {
    let limit = TokenLimit::new(0, 1, Duration::from_secs(1)).expect("a bucket without room");
    FilterInstance::new("limit", RateLimitPolicy::new("limit", limit))
}

/// The same configuration, whose clusters drop every call.
fn with_drops(config: &MeshConfig) -> MeshConfig {
    let clusters = config.clusters().iter().map(|(name, cluster)| {
        let cluster = cluster.clone().map(|cluster| {
            let Discovery::Endpoints(Ok(set)) = &cluster.discovery else { return cluster };
            let drops = vec![DropCategory { category: "overload".into(), fraction: Fraction::ALL }];
            let mut set = EndpointSet::clone(set);
            set.drops = drops;
            Cluster::new(cluster.settings, Discovery::Endpoints(Ok(set.into())))
        });
        (name.clone(), cluster)
    });
    MeshConfig::new(config.virtual_hosts().to_vec(), clusters.collect(), None)
        .expect("every cluster is there")
}
