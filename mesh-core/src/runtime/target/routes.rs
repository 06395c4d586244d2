//! Compiled routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use crate::config::{Forward, HashPolicy, MeshConfig, Name, RetryPolicy, Route, RouteAction, VirtualHost};
use crate::policy::route::{NoMatch, RequestHead, RouteTable, WeightedClusters};
use crate::policy::timeout::TimeoutLimits;

/// A configuration's routes for one authority. Clusters are numbers here, so that routes outlive changes of clusters.
pub(super) struct Routes {
    virtual_hosts: Arc<[Arc<VirtualHost>]>,
    max_stream_duration: Option<Duration>,
    table: RouteTable,
    /// The virtual host that serves the authority: a target has only one.
    host: Option<usize>,
    /// What that virtual host's routes do.
    plans: Box<[Plan]>,
    clusters: Box<[Name]>,
}

/// What a route does with a call.
pub(super) enum Plan {
    Forward(ForwardPlan),
    Unsupported(&'static str),
}

/// How a call is sent on.
pub(super) struct ForwardPlan {
    /// For those who read of a call.
    pub(super) name: Name,
    weights: WeightedClusters,
    /// Numbers of the clusters, in the order of the weights.
    clusters: Box<[usize]>,
    pub(super) limits: TimeoutLimits,
    /// `None`: never tried again.
    pub(super) retry: Option<Arc<RetryPolicy>>,
    pub(super) hash_policies: Box<[HashPolicy]>,
}

impl Routes {
    pub(super) fn new(config: &MeshConfig, authority: &str) -> Self {
        let virtual_hosts = config.virtual_hosts().clone();
        let max_stream_duration = config.max_stream_duration();
        let table = RouteTable::new(&virtual_hosts);
        let host = table.find_host(authority);
        let mut numbers = Numbers::default();
        let plans = match host.and_then(|host| virtual_hosts.get(host)) {
            Some(host) => {
                let plan = |route: &Arc<Route>| Plan::new(route, host, max_stream_duration, &mut numbers);
                host.routes.iter().map(plan).collect()
            }
            None => Box::default(),
        };
        let clusters = numbers.names.into();
        Self { virtual_hosts, max_stream_duration, table, host, plans, clusters }
    }

    /// Whether compiling `config` would give the same again.
    pub(super) fn are_those_of(&self, config: &MeshConfig) -> bool {
        let (own, others) = (&self.virtual_hosts, config.virtual_hosts());
        own.len() == others.len()
            && own.iter().zip(others.iter()).all(|(own, other)| Arc::ptr_eq(own, other))
            && self.max_stream_duration == config.max_stream_duration()
    }

    /// The clusters by their numbers.
    pub(super) fn cluster_names(&self) -> impl Iterator<Item = &Name> {
        self.clusters.iter()
    }

    pub(super) fn select(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<&Plan, NoMatch> {
        let host = self.host.ok_or(NoMatch::VirtualHost)?;
        let index = self.table.select_route(host, head, rng).ok_or(NoMatch::Route)?;
        self.plans.get(index.route).ok_or(NoMatch::Route)
    }
}

impl Plan {
    fn new(route: &Route, host: &VirtualHost, listener: Option<Duration>, numbers: &mut Numbers) -> Self {
        let forward = match &route.action {
            RouteAction::Forward(forward) => forward,
            RouteAction::Unsupported(what) => return Self::Unsupported(what),
        };
        // RT-39: wholesale, so that a route's policy without codes turns the virtual host's off
        let retry = forward.retry.as_ref().or(host.retry.as_ref());
        let name = match route.name.as_str() {
            "" => route.matches.path.to_string().into(),
            name => name.into(),
        };
        Self::Forward(ForwardPlan {
            name,
            weights: WeightedClusters::new(&forward.clusters),
            clusters: forward.clusters.names().map(|name| numbers.number(name)).collect(),
            limits: limits(forward, listener),
            retry: retry.filter(|retry| !retry.retry_on.is_empty() && retry.max_attempts.get() > 1).cloned(),
            hash_policies: forward.hash_policies.clone().into(),
        })
    }
}

impl ForwardPlan {
    /// The number of the cluster that takes a call: drawn once per call (RT-22).
    pub(super) fn choose(&self, rng: &mut dyn Rng) -> Option<usize> {
        self.clusters.get(self.weights.pick(rng)).copied()
    }
}

fn limits(forward: &Forward, listener: Option<Duration>) -> TimeoutLimits {
    TimeoutLimits {
        grpc_timeout_header_max: forward.grpc_timeout_header_max,
        max_stream_duration: forward.max_stream_duration,
        listener,
    }
}

/// Numbers clusters in the order in which routes name them.
#[derive(Default)]
struct Numbers {
    by_name: HashMap<Name, usize>,
    names: Vec<Name>,
}

impl Numbers {
    fn number(&mut self, name: &Name) -> usize {
        *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }
}
