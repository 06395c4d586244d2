//! A leaf: a cluster with endpoints of its own, alone or as a part of an aggregate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::{
    ClientTls, Cluster, ClusterSettings, ConnectionSettings, Discovery, DropCategory, EndpointSet,
    LocalityId, Name,
};
use crate::policy::lb::{Balancer, LbLocality, LbPriority};
use crate::runtime::accounting::{Accounting, KeepReported};
use crate::runtime::circuit_breaker::ConnectionLimit;
use crate::runtime::connect::Connect;
use crate::shared::SharedList;

use super::Pool;
use super::endpoints::Endpoints;
use super::health::HealthChecks;
use super::listing::Listing;
use super::logical_dns::LogicalDns;
use super::outliers::Outliers;
use super::streams::EndpointStreams;
use super::subchannel::ConnectionExtras;

/// A cluster with endpoints of its own, as a part of a cluster's task.
#[derive(Debug)]
pub(super) struct Leaf {
    cluster: Cluster,
    pub(super) accounting: Arc<Accounting>,
    /// Keeps the leaf's load reported.
    keep_reported: Option<KeepReported>,
    /// How connections to its endpoints are made.
    pub(super) connection: Arc<ConnectionSettings>,
    pub(super) listing: Listing,
    pub(super) outliers: Outliers,
    pub(super) streams: EndpointStreams,
    pub(super) checks: HealthChecks,
    pub(super) dns: Option<LogicalDns>,
    pub(super) drops: Vec<DropCategory>,
    /// Why there are no endpoints.
    pub(super) note: Option<Arc<str>>,
}

/// Identifies a leaf of a task. A leaf that is removed and added again gets another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafId(pub(super) u64);

impl Leaf {
    /// A leaf without endpoints; [`discover`](Self::discover) adds them.
    pub(super) fn new<C: Connect>(now: Instant, id: LeafId, cluster: Cluster, pool: &Pool<C>) -> Self {
        let (accounting, keep_reported) = Accounting::new(now, &cluster.settings, &pool.counts);
        let accounting = Arc::new(accounting);
        Self {
            outliers: Outliers::new(&cluster.settings, &pool.counts),
            streams: EndpointStreams::new(&cluster.settings),
            checks: HealthChecks::new(&cluster.settings, &pool.counts.counters),
            connection: Arc::new(cluster.settings.connection.clone()),
            cluster,
            keep_reported,
            listing: Listing::new(id, accounting.clone()),
            accounting,
            dns: None,
            drops: Vec::new(),
            note: None,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.cluster.settings.name
    }

    /// How connections to its endpoints are secured.
    pub(super) fn tls(&self) -> Option<&Arc<ClientTls>> {
        self.cluster.settings.tls.as_ref()
    }

    /// What connections to an endpoint with this proxy have besides their settings.
    pub(super) fn connection_extras(&self, proxy: Option<SocketAddr>) -> ConnectionExtras {
        ConnectionExtras {
            limit: ConnectionLimit::of(&self.cluster.settings, &self.accounting.load),
            proxy: proxy.filter(|_| self.connection.through_proxies),
        }
    }

    pub(super) fn id(&self) -> LeafId {
        self.listing.leaf
    }

    /// Sets its configuration. Returns whether the balancer needs an update.
    pub(super) fn update<C: Connect>(
        &mut self,
        now: Instant,
        cluster: Cluster,
        endpoints: &mut Endpoints<C>,
        pool: &Pool<C>,
    ) -> bool {
        let before = std::mem::replace(&mut self.cluster, cluster);
        let settings = &self.cluster.settings;
        let is_accounting_new = !Accounting::is_same(&before.settings, settings);
        if is_accounting_new {
            // Running calls end in the accounting in which they started.
            let (accounting, keep_reported) = Accounting::new(now, settings, &pool.counts);
            self.accounting = Arc::new(accounting);
            self.keep_reported = keep_reported;
            endpoints.set_accounting(&mut self.listing, &self.accounting);
        }
        let connections = |settings: &ClusterSettings| {
            [&settings.limits, &settings.high_priority_limits].map(|limits| limits.max_connections)
        };
        let is_connection_new = *self.connection != settings.connection
            || connections(settings) != connections(&before.settings)
            // the counts are those of another cluster
            || settings.service_name != before.settings.service_name;
        if is_connection_new {
            self.connection = Arc::new(settings.connection.clone());
            endpoints.forget_subchannels(self.listing.leaf);
        }
        self.streams.configure(settings);
        self.checks.configure(settings);
        let is_policy_new = settings.lb_policy != before.settings.lb_policy
            || settings.locality_policy != before.settings.locality_policy;
        let is_discovery_new = !before.discovery.is_same(&self.cluster.discovery);
        let is_tls_new = settings.tls != before.settings.tls;
        if is_tls_new {
            self.replace_endpoints(endpoints);
        }
        if is_discovery_new || is_tls_new {
            self.discover(endpoints, pool);
        }
        is_accounting_new || is_connection_new || is_policy_new || is_discovery_new || is_tls_new
    }

    /// Sets the settings of outlier detection; ejections stay.
    pub(super) fn configure_outliers(
        &mut self,
        now: Instant,
        balancer: &mut dyn Balancer,
        rng: &mut dyn Rng,
    ) {
        self.outliers.configure(now, &self.cluster.settings, balancer, rng);
    }

    /// Sets the endpoints, from the configuration or from DNS.
    pub(super) fn discover<C: Connect>(&mut self, endpoints: &mut Endpoints<C>, pool: &Pool<C>) {
        let nowhere = EndpointSet::default();
        let discovery = self.cluster.discovery.clone();
        if let Discovery::LogicalDns { host, port } = discovery {
            if self.dns.as_ref().is_none_or(|dns| !dns.is(&host, port)) {
                self.dns = Some(LogicalDns::new(host, port, pool.settings.dns_interval));
                self.list(endpoints, &nowhere, None);
            }
            return;
        }
        self.dns = None;
        match discovery {
            Discovery::Endpoints(Ok(set)) => self.list(endpoints, &set, None),
            Discovery::Endpoints(Err(error)) => {
                self.list(endpoints, &nowhere, Some(error.to_string().into()));
            }
            Discovery::Aggregate(_) | Discovery::LogicalDns { .. } => {
                let note = "an aggregate cluster has no endpoints of its own";
                self.list(endpoints, &nowhere, Some(note.into()));
            }
        }
    }

    /// Forgets the endpoints, so that they are new to the balancer and none is reached by the connections of before. Running
    /// calls finish on these.
    // TLS-18
    fn replace_endpoints<C: Connect>(&mut self, endpoints: &mut Endpoints<C>) {
        self.list(endpoints, &EndpointSet::default(), None);
        self.listing.ids.clear();
        if let Some(set) = self.dns.as_ref().and_then(LogicalDns::endpoints) {
            self.list(endpoints, &set, None);
        }
    }

    /// Sets the result of a lookup. Returns whether the endpoints have changed.
    pub(super) fn on_answer<C: Connect>(
        &mut self,
        now: Instant,
        answer: Result<Vec<SocketAddr>, String>,
        endpoints: &mut Endpoints<C>,
        rng: &mut dyn Rng,
    ) -> bool {
        match self.dns.as_mut().and_then(|dns| dns.on_answer(now, answer, rng)) {
            Some(Ok(set)) => self.list(endpoints, &set, None),
            Some(Err(note)) => self.list(endpoints, &EndpointSet::default(), Some(note)),
            None => return false,
        }
        true
    }

    /// Removes its endpoints.
    pub(super) fn clear<C: Connect>(&mut self, endpoints: &mut Endpoints<C>) {
        self.dns = None;
        self.list(endpoints, &EndpointSet::default(), None);
    }

    fn list<C: Connect>(&mut self, endpoints: &mut Endpoints<C>, set: &EndpointSet, note: Option<Arc<str>>) {
        endpoints.update(&mut self.listing, set);
        for id in endpoints.keep_draining(&mut self.listing, set) {
            self.streams.on_disconnected(id);
            self.checks.remove(id);
        }
        let turnover = std::mem::take(&mut self.listing.turnover);
        for id in &turnover.left {
            self.streams.on_disconnected(*id);
            self.checks.remove(*id);
        }
        self.outliers.on_turnover(turnover);
        set.drops.clone_into(&mut self.drops);
        self.note = note;
    }

    /// Its priorities for the balancer.
    pub(super) fn priorities(&self) -> Vec<LbPriority> {
        let settings = &self.cluster.settings;
        match &self.dns {
            // A DNS name has its priority before its endpoint, so that the name is looked up when the priority is needed.
            Some(dns) if dns.endpoints().is_none() => {
                let (id, endpoints) = (LocalityId::default(), SharedList::default());
                let locality = LbLocality { id, weight: 1, endpoints };
                let priority = LbPriority::new(settings.clone(), vec![locality]);
                vec![LbPriority { is_discovered: !dns.is_pending(), ..priority }]
            }
            _ => self.listing.priorities(settings),
        }
    }
}
