//! A client's state, for tests, tools and CSDS.

use mesh_core::config::Name;
use mesh_core::counters::CounterValue;
use mesh_core::policy::outlier::MethodCounts;
use mesh_core::runtime::{EjectedEndpoint, EjectionStore, QueuedCalls, RemainingCapacity, UnhealthyEndpoint};

use crate::bootstrap::ServerConfig;
use crate::protocol::{AdsState, ResourceStatus, ServerId, UpdateCounts};

/// A client's state at a moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The xDS node id.
    pub node_id: Name,
    /// The preferred control server's URI.
    pub server: Name,
    /// Whether the preferred control server is connected.
    // OB-09
    pub connected: bool,
    /// Why not, if the client has tried to connect.
    pub outage: Option<String>,
    /// Whether any resource in use was read from the snapshot of an earlier run.
    pub stale: bool,
    /// Every control server of the bootstrap, each once.
    pub servers: Vec<ServerStatus>,
    /// Every watched resource, by type and name.
    pub resources: Vec<ResourceStatus>,
    /// Endpoints that get no calls at the moment because of outlier detection, by cluster.
    pub ejected: Vec<EjectedEndpoint>,
    /// Endpoints that get no calls at the moment because their health checks fail, by cluster.
    pub unhealthy: Vec<UnhealthyEndpoint>,
    /// How often outliers were found and ejected, by method.
    pub ejections: Vec<MethodCounts>,
    /// How many calls wait for room on connections, by cluster.
    pub queued: Vec<QueuedCalls>,
    /// What is left of the limits of clusters with `track_remaining`.
    pub remaining: Vec<RemainingCapacity>,
    /// What filters, servers and connections have counted, by family and labels.
    pub counters: Vec<CounterValue>,
}

/// The state of one control server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its URI.
    pub uri: Name,
    /// Whether a stream to it is needed now.
    pub needed: bool,
    /// Whether it is connected.
    // OB-09
    pub connected: bool,
    /// Why not, if the client has tried to connect.
    pub outage: Option<String>,
    /// How often it was lost.
    pub failures: u64,
    /// Resources that it sent, by type.
    pub updates: Vec<(&'static str, UpdateCounts)>,
}

impl Status {
    pub(super) fn of(
        ads: &AdsState,
        servers: &[ServerConfig],
        node_id: Name,
        ejections: &EjectionStore,
    ) -> Self {
        let servers: Vec<_> =
            ads.servers().zip(servers).map(|(id, server)| of_server(ads, id, server)).collect();
        let resources = ads.resources();
        let first = servers.first();
        Self {
            node_id,
            server: first.map_or_else(|| "".into(), |first| first.uri.clone()),
            connected: first.is_some_and(|first| first.connected),
            outage: first.and_then(|first| first.outage.clone()),
            stale: resources.iter().any(|resource| resource.stale),
            servers,
            resources,
            ejected: ejections.ejected(),
            unhealthy: ejections.unhealthy(),
            ejections: ejections.counts().methods().collect(),
            queued: Vec::new(),
            remaining: Vec::new(),
            counters: Vec::new(),
        }
    }
}

fn of_server(ads: &AdsState, id: ServerId, server: &ServerConfig) -> ServerStatus {
    ServerStatus {
        uri: server.uri().into(),
        needed: ads.stream_wanted(id),
        connected: ads.is_connected(id),
        outage: ads.server_outage(id).map(|outage| outage.reason.to_string()),
        failures: ads.failures(id),
        updates: ads.updates(id).collect(),
    }
}
