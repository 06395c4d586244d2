//! Compiled routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use crate::config::{
    ClusterChoice, FilterInstance, Forward, HashPolicy, HeaderMutations, HostRewrite, MeshConfig, Mirror,
    MutationOrder, Name, RetryPolicy, Route, RouteAction, RoutingPriority, VirtualHost,
};
use crate::filter::{CallPath, ChainCompiler, FilterChain, FilterScope, Level, RouteFilters};
use crate::policy::matcher::HeaderView;
use crate::policy::route::{NoMatch, RequestHead, RouteTable};
use crate::policy::timeout::TimeoutLimits;
use crate::policy::weighted_choice::WeightedChoice;
use crate::sharded::Refs;

use super::{Features, MirrorPlan};

/// A configuration's routes for one authority. They refer to clusters by number, so that a change of clusters does not
/// recompile them.
pub(super) struct Routes {
    virtual_hosts: Arc<[Arc<VirtualHost>]>,
    max_stream_duration: Option<Duration>,
    filters: Arc<[FilterInstance]>,
    headers: Arc<HeaderMutations>,
    header_order: MutationOrder,
    table: RouteTable,
    /// The virtual host that serves the authority: a target has only one.
    host: Option<usize>,
    /// The actions of that virtual host's routes.
    plans: Box<[Plan]>,
    clusters: Box<[Name]>,
}

/// The action of a route.
pub(super) enum Plan {
    Forward(ForwardPlan),
    Unsupported(&'static str),
}

/// How a call is sent on.
pub(super) struct ForwardPlan {
    weights: WeightedChoice,
    /// In the order of the weights.
    choices: Box<[Choice]>,
    pub(super) limits: TimeoutLimits,
    /// `None`: calls are not retried.
    pub(super) retry: Option<Arc<RetryPolicy>>,
    pub(super) hash_policies: Box<[HashPolicy]>,
    pub(super) priority: RoutingPriority,
}

/// One of the clusters of a route.
pub(super) struct Choice {
    /// The cluster's number.
    pub(super) cluster: usize,
    /// For logs and [`CallInfo`](crate::runtime::CallInfo).
    pub(super) path: Refs<CallPath>,
    /// `None`: calls have no filters.
    pub(super) filters: Option<Arc<RouteFilters>>,
    /// `None`: calls are only sent to the cluster.
    pub(super) features: Option<Arc<Features>>,
}

impl Routes {
    /// Compiles a configuration's routes. In `scope` filters keep state that outlives this configuration.
    pub(super) fn new(config: &MeshConfig, authority: &str, scope: &FilterScope) -> Self {
        let virtual_hosts = config.virtual_hosts().clone();
        let table = RouteTable::new(&virtual_hosts);
        let host = table.find_host(authority);
        let plans = Plans {
            config,
            authority: authority.into(),
            numbers: Numbers::default(),
            chains: ChainCompiler::new(config, scope),
        };
        let (plans, clusters) = plans.compile(host.and_then(|host| virtual_hosts.get(host)));
        Self {
            max_stream_duration: config.max_stream_duration(),
            filters: config.filters().clone(),
            headers: config.headers().clone(),
            header_order: config.header_order(),
            virtual_hosts,
            table,
            host,
            plans,
            clusters,
        }
    }

    /// Whether compiling `config` would have the same result.
    pub(super) fn are_those_of(&self, config: &MeshConfig) -> bool {
        let (own, others) = (&self.virtual_hosts, config.virtual_hosts());
        own.len() == others.len()
            && own.iter().zip(others.iter()).all(|(own, other)| Arc::ptr_eq(own, other))
            && self.max_stream_duration == config.max_stream_duration()
            && (Arc::ptr_eq(&self.filters, config.filters()) || self.filters == *config.filters())
            && (Arc::ptr_eq(&self.headers, config.headers()) || self.headers == *config.headers())
            && self.header_order == config.header_order()
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

/// The inputs of plans.
struct Plans<'a> {
    config: &'a MeshConfig,
    authority: Name,
    numbers: Numbers,
    chains: ChainCompiler<'a>,
}

impl Plans<'_> {
    /// The actions of a virtual host's routes, and the names of their clusters by number.
    fn compile(mut self, host: Option<&Arc<VirtualHost>>) -> (Box<[Plan]>, Box<[Name]>) {
        let plans = match host {
            Some(host) => host.routes.iter().map(|route| self.plan(host, route)).collect(),
            None => Box::default(),
        };
        (plans, self.numbers.names.into())
    }

    fn plan(&mut self, host: &VirtualHost, route: &Route) -> Plan {
        let forward = match &route.action {
            RouteAction::Forward(forward) => forward,
            // RT-21
            RouteAction::NonForwarding => return Plan::Unsupported("non_forwarding_action"),
            RouteAction::Unsupported(what) => return Plan::Unsupported(what),
        };
        // RT-39: a route's policy replaces the whole policy of the virtual host, so one without codes turns retries off
        let retry = forward.retry.as_ref().or(host.retry.as_ref());
        let name: Name = match route.name.as_str() {
            "" => route.matches.path.to_string().into(),
            name => name.into(),
        };
        Plan::Forward(ForwardPlan {
            choices: self.choices(&name, host, route, forward),
            weights: WeightedChoice::new(forward.clusters.weights()),
            limits: limits(forward, self.config.max_stream_duration()),
            retry: retry.filter(|retry| !retry.retries_nothing()).cloned(),
            hash_policies: forward.hash_policies.clone().into(),
            priority: forward.priority,
        })
    }

    /// The clusters that the route may choose.
    fn choices(
        &mut self,
        name: &Name,
        host: &VirtualHost,
        route: &Route,
        forward: &Forward,
    ) -> Box<[Choice]> {
        let host = Level { name: &host.name, filters: &host.filters, headers: &host.headers };
        let own = Level { name, filters: &route.filters, headers: &route.headers };
        let mut choice = |cluster: &Name, levels: &[Level<'_>], rewrite: Option<&HostRewrite>| {
            // Endpoints have the name of the settings: taken from there, both are the same `Arc`, and comparing them is cheap.
            let of_endpoints = match self.config.clusters().get(cluster) {
                Some(Ok(cluster)) => &cluster.settings.name,
                Some(Err(_)) | None => cluster,
            };
            let (cluster_of_path, authority) = (of_endpoints.clone(), self.authority.clone());
            let path = Refs::new(CallPath { route: name.clone(), cluster: cluster_of_path, authority });
            let filters =
                self.chains.chain(levels).map(|chain| RouteFilters { chain, path: path.value().clone() });
            let mirrors = mirrors(&mut self.numbers, name, &self.authority, forward);
            let features = Features::new(route, forward, rewrite, mirrors);
            Choice { cluster: self.numbers.number(cluster), path, filters: filters.map(Arc::new), features }
        };
        match &forward.clusters {
            ClusterChoice::One(cluster) => [choice(cluster, &[host, own], None)].into(),
            ClusterChoice::Weighted(entries) => entries
                .iter()
                .map(|entry| {
                    let (filters, headers) = (&entry.filters, &entry.headers);
                    let of_cluster = Level { name: &entry.name, filters, headers };
                    choice(&entry.name, &[host, own, of_cluster], entry.host.as_ref())
                })
                .collect(),
        }
    }
}

fn mirrors(numbers: &mut Numbers, route: &Name, authority: &Name, forward: &Forward) -> Box<[MirrorPlan]> {
    let plan = |mirror: &Mirror| {
        let path =
            CallPath { route: route.clone(), cluster: mirror.cluster.clone(), authority: authority.clone() };
        MirrorPlan {
            cluster: numbers.number(&mirror.cluster),
            path: Refs::new(path),
            fraction: mirror.fraction,
            host: mirror.host.clone(),
        }
    };
    forward.mirrors.iter().map(plan).collect()
}

impl ForwardPlan {
    /// The cluster that takes a call: drawn once per call (RT-22).
    #[inline(always)]
    pub(super) fn choose(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Option<&Choice> {
        let drawn = self.choices.get(self.weights.pick(rng))?;
        match &drawn.filters {
            Some(filters) if filters.chain.chooses_clusters() => {
                Some(self.wanted(&filters.chain, head).unwrap_or(drawn))
            }
            Some(_) | None => Some(drawn),
        }
    }

    /// HF-26: the cluster of the call's session, if the route has it.
    #[cold]
    fn wanted(&self, chain: &FilterChain, head: &RequestHead<'_>) -> Option<&Choice> {
        let (HeaderView::Grpc(headers) | HeaderView::Response(headers)) = head.headers;
        let wanted = chain.wanted_cluster(head.path, headers)?;
        self.choices.iter().find(|choice| choice.path.value().cluster == wanted)
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
