//! Configurations by hand.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DomainPattern, DropCategory, Endpoint, EndpointSet, FilterInstance,
    Forward, LbPolicy, Locality, MaxRequests, MeshConfig, Name, Priority, ResourceError, RetryBackoff,
    RetryPolicy, RetryableCodes, Route, RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::filter::FilterConfig;
use mesh_core::policy::retry::RetryBudget;

pub(crate) type Entry = (Name, Result<Cluster, ResourceError>);

/// What all tests vary.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) clusters: Vec<Entry>,
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) domain: Option<DomainPattern>,
    pub(crate) max_stream_duration: Option<Duration>,
    pub(crate) filters: Vec<FilterInstance>,
}

impl Config {
    pub(crate) fn route(self, matches: RouteMatch, forward: Forward) -> Self {
        self.action(matches, RouteAction::Forward(forward))
    }

    pub(crate) fn action(mut self, matches: RouteMatch, action: RouteAction) -> Self {
        self.routes.push(Arc::new(Route::new(matches, action)));
        self
    }

    /// With this filter after the others.
    pub(crate) fn filter(mut self, name: &str, config: impl FilterConfig) -> Self {
        self.filters.push(FilterInstance::new(name, config));
        self
    }

    /// A route for everything.
    pub(crate) fn to(self, forward: Forward) -> Self {
        self.route(RouteMatch::any(), forward)
    }

    pub(crate) fn cluster(self, name: &str, addresses: &[SocketAddr]) -> Self {
        self.limited(name, addresses, MaxRequests::default())
    }

    pub(crate) fn limited(self, name: &str, addresses: &[SocketAddr], max_requests: MaxRequests) -> Self {
        self.dropping_and_limited(name, addresses, Vec::new(), max_requests)
    }

    pub(crate) fn dropping(self, name: &str, addresses: &[SocketAddr], drops: Vec<DropCategory>) -> Self {
        self.dropping_and_limited(name, addresses, drops, MaxRequests::default())
    }

    pub(crate) fn dropping_and_limited(
        self,
        name: &str,
        addresses: &[SocketAddr],
        drops: Vec<DropCategory>,
        max_requests: MaxRequests,
    ) -> Self {
        let settings = ClusterSettings::new(name).with_max_requests(max_requests);
        let set = endpoints(addresses, drops);
        self.entry(name, Ok(Cluster::new(settings, Discovery::Endpoints(Ok(set)))))
    }

    /// The last cluster chooses its endpoints by this policy.
    pub(crate) fn with_lb_policy(mut self, policy: LbPolicy) -> Self {
        if let Some((_, Ok(cluster))) = self.clusters.last_mut() {
            let settings = ClusterSettings::clone(&cluster.settings).with_lb_policy(policy);
            cluster.settings = Arc::new(settings);
        }
        self
    }

    /// The last cluster limits retries so.
    pub(crate) fn with_retry_budget(mut self, budget: RetryBudget) -> Self {
        if let Some((_, Ok(cluster))) = self.clusters.last_mut() {
            let settings = ClusterSettings::clone(&cluster.settings).with_retry_budget(budget);
            cluster.settings = Arc::new(settings);
        }
        self
    }

    pub(crate) fn entry(mut self, name: &str, cluster: Result<Cluster, ResourceError>) -> Self {
        self.clusters.push((name.into(), cluster));
        self
    }

    pub(crate) fn build(self) -> MeshConfig {
        let domains = vec![self.domain.unwrap_or(DomainPattern::Any)];
        let mut host = VirtualHost::new("host", domains, self.routes);
        host.retry = self.retry;
        let clusters = self.clusters.into_iter().collect();
        let config = MeshConfig::new(vec![Arc::new(host)], clusters, self.max_stream_duration).unwrap();
        config.with_filters(self.filters)
    }
}

fn endpoints(addresses: &[SocketAddr], drops: Vec<DropCategory>) -> Arc<EndpointSet> {
    let endpoints = addresses.iter().copied().map(Endpoint::new).collect();
    let mut set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints))])]);
    set.drops = drops;
    Arc::new(set)
}

/// Retries UNAVAILABLE after a millisecond.
pub(crate) fn retrying(attempts: u32) -> Arc<RetryPolicy> {
    let backoff = RetryBackoff { initial: Duration::from_millis(1), max: Duration::from_millis(2) };
    let attempts = NonZeroU32::new(attempts).unwrap();
    Arc::new(RetryPolicy::new(RetryableCodes::UNAVAILABLE, attempts).with_backoff(backoff))
}

/// To `cluster`, with retries.
pub(crate) fn with_retries(cluster: &str, attempts: u32) -> Forward {
    Forward::to(cluster).with_retry(retrying(attempts))
}
