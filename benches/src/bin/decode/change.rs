//! One changed endpoint, from a new configuration to what calls see of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use benches::call_path::{Nowhere, Plain};
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint, EndpointSet, Endpoints, LbPolicy, Locality, LocalityId,
    MeshConfig, Name, Priority, RingHash, VirtualHost,
};
use mesh_core::runtime::{
    Channel, ChannelSettings, ConfigSource, ConfigState, ConfigWatch, Mesh, SourceError, Target,
};
use tokio::sync::watch;

use super::report::{CaseName, Sample};

/// How many endpoints a cluster has.
pub(crate) const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// How a cluster spreads its calls, with a name for the report.
pub(crate) const POLICIES: [(LbPolicy, &str); 4] = [
    (LbPolicy::RoundRobin, "round_robin"),
    (LbPolicy::LeastRequest { choice_count: 2 }, "least_request"),
    (LbPolicy::PickFirst { shuffle: false }, "pick_first"),
    (LbPolicy::RingHash(RingHash::new(1024, 4096)), "ring_hash"),
];

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One endpoint has another address: one leaves, another one is connected.
    Address,
    /// One endpoint has another weight.
    Weight,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Address, Self::Weight];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Weight => "weight",
        }
    }
}

/// A channel with one cluster whose configuration the bench publishes.
pub(crate) struct Subject {
    policy: &'static str,
    endpoints: Endpoints,
    count: usize,
    settings: Arc<ClusterSettings>,
    hosts: Vec<Arc<VirtualHost>>,
    states: watch::Sender<ConfigState>,
    connector: Nowhere,
    /// Counts changes, so that each is another one.
    number: u32,
    _channel: Channel<Plain, Nowhere>,
}

/// Gives every target what the bench publishes.
#[derive(Debug)]
struct Source(watch::Receiver<ConfigState>);

impl ConfigSource for Source {
    fn watch(&self, _: &Target) -> Result<ConfigWatch, SourceError> {
        Ok(ConfigWatch::new(self.0.clone(), ()))
    }
}

impl Subject {
    /// A cluster of this many endpoints, all connected if the policy connects them.
    pub(crate) async fn start((policy, name): (LbPolicy, &'static str), count: usize) -> Result<Self> {
        let hosts = MeshConfig::to_endpoints("cluster", []).virtual_hosts().to_vec();
        let is_connecting = matches!(policy, LbPolicy::RoundRobin | LbPolicy::LeastRequest { .. });
        let settings = Arc::new(ClusterSettings::new("cluster").with_lb_policy(policy));
        let (states, watched) = watch::channel(ConfigState::default());
        let connector = Nowhere::default();
        let mesh = Mesh::builder(Source(watched)).connector(connector.clone()).build();
        let target = Target::new("cluster");
        let channel = Channel::new(&mesh, &target, ChannelSettings::default())?;
        let members = (0..count).map(|member| (name_of(member), Endpoint::new(address(member as u32))));
        let endpoints = Endpoints::named(members);
        let number = 1_000_000;
        let subject = Self {
            policy: name,
            endpoints,
            count,
            settings,
            hosts,
            states,
            connector,
            number,
            _channel: channel,
        };
        subject.publish()?;
        let expected = if is_connecting { count } else { 0 };
        while subject.connector.connected() < expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        settle().await;
        Ok(subject)
    }

    pub(crate) fn name(&self, kind: Kind) -> CaseName {
        CaseName { policy: self.policy, change: kind.name(), endpoints: self.count }
    }

    pub(crate) async fn measure(&mut self, kind: Kind, changes: u32) -> Result<Sample> {
        let connected = self.connector.connected();
        let sample = cost(changes, || self.change(kind)).await?;
        if kind == Kind::Address && matches!(self.settings.lb_policy, LbPolicy::RoundRobin) {
            let made = self.connector.connected() - connected;
            ensure!(made == changes as usize, "{made} connections for {changes} new endpoints");
        }
        Ok(sample)
    }

    fn change(&mut self, kind: Kind) -> Result<()> {
        self.number += 1;
        // a prime, so that changes fall everywhere
        let member = name_of((self.number as usize * 7919) % self.count);
        let before = self.endpoints.get(&member).ok_or_else(|| anyhow!("{member} is not there"))?;
        let endpoint = match kind {
            Kind::Address => Endpoint::new(address(self.number)),
            Kind::Weight => {
                let mut endpoint = before.clone();
                endpoint.weight = NonZeroU32::MIN.saturating_add(self.number);
                endpoint
            }
        };
        self.endpoints = self.endpoints.with(&member, Some(endpoint));
        self.publish()
    }

    fn publish(&self) -> Result<()> {
        let locality = Locality::new(LocalityId::default(), NonZeroU32::MIN, self.endpoints.clone());
        let set = EndpointSet::new(vec![Priority::new([Arc::new(locality)])]);
        let cluster = Cluster::new(self.settings.clone(), Discovery::Endpoints(Ok(Arc::new(set))));
        let clusters = HashMap::from([(self.settings.name.clone(), Ok(cluster))]);
        let config = MeshConfig::new(self.hosts.clone(), clusters, None)?;
        self.states.send_replace(ConfigState::of(config));
        Ok(())
    }
}

/// What a change costs, without what waiting for its end costs.
pub(crate) async fn cost(changes: u32, mut change: impl FnMut() -> Result<()>) -> Result<Sample> {
    let before = Sample::now();
    for _ in 0..changes {
        settle().await;
    }
    let idle = Sample::now() - before;
    let before = Sample::now();
    for _ in 0..changes {
        change()?;
        settle().await;
    }
    Ok((Sample::now() - before - idle) / changes)
}

/// Lets every task run as long as it has something to do.
pub(crate) async fn settle() {
    for _ in 0..24 {
        tokio::task::yield_now().await;
    }
}

fn name_of(member: usize) -> Name {
    format!("xdstp://bench/envoy.config.endpoint.v3.LbEndpoint/cluster/{member:05}").into()
}

fn address(number: u32) -> SocketAddr {
    let [a, b, c, d] = (0x0a00_0000 + number).to_be_bytes();
    SocketAddr::from(([a, b, c, d], 50051))
}
