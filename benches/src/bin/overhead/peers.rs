//! The clients that are compared, and the servers that they call.

use std::net::SocketAddr;

use anyhow::Result;
use benches::greeter::Greeter;
use examples::greeter::echo_client::EchoClient;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use serde::Serialize;
use tonic::transport::Channel;

use super::measure::{Batch, Sample, run};
use super::policies::{self, LoadReports};

/// How many endpoints the balancing clients have.
const ENDPOINTS: usize = 4;

/// A peer's name. Ordered by endpoints, tonic first, the mesh with policies last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) endpoints: u32,
    order: u32,
    pub(crate) label: &'static str,
    pub(crate) policies: Policies,
}

/// What a client has to do besides sending calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policies {
    /// Routing, balancing and a circuit breaker at its default, if it is a mesh.
    None,
    /// Every policy that `overhead` measures together.
    All,
}

impl Policies {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
        }
    }
}

/// tonic's channel to one endpoint.
pub(crate) const PLAIN: Name =
    Name { endpoints: 1, order: 0, label: "tonic Channel", policies: Policies::None };
/// tonic's balancing channel.
pub(crate) const BALANCED: Name =
    Name { endpoints: 4, order: 0, label: "tonic balance_list", policies: Policies::None };
const MESH_ONE: Name = Name { endpoints: 1, order: 1, label: "MeshChannel", policies: Policies::None };
const MESH: Name = Name { endpoints: 4, order: 1, label: "MeshChannel", policies: Policies::None };
const MESH_ONE_ALL: Name = Name { policies: Policies::All, ..MESH_ONE };
const MESH_ALL: Name = Name { policies: Policies::All, ..MESH };

/// A client under comparison.
#[derive(Debug)]
pub(crate) enum Peer {
    Tonic(Name, EchoClient<Channel>),
    Mesh(Name, EchoClient<MeshChannel>),
}

impl Peer {
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Tonic(name, _) | Self::Mesh(name, _) => *name,
        }
    }

    pub(crate) async fn run(&self, batch: Batch) -> Result<Sample> {
        match self {
            Self::Tonic(_, client) => run(client, batch).await,
            Self::Mesh(_, client) => run(client, batch).await,
        }
    }
}

/// All clients, and the servers, which end with this value.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) all: Vec<Peer>,
    /// Where the meshes with policies report their load.
    pub(crate) reports: [LoadReports; 2],
    _servers: Vec<Greeter>,
}

/// Starts the servers and connects the clients.
pub(crate) async fn start() -> Result<Peers> {
    let mut servers = Vec::new();
    for _ in 0..ENDPOINTS {
        servers.push(Greeter::start().await?);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let endpoint = |address: &SocketAddr| Channel::from_shared(format!("http://{address}"));
    let plain = endpoint(&addresses[0])?.tcp_nodelay(true).connect().await?;
    let balanced =
        Channel::balance_list(addresses.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?.into_iter());
    let (one_all, one_reports) = policies::channel(&addresses[..1]).await?;
    let (all, reports) = policies::channel(&addresses).await?;
    let all = vec![
        Peer::Tonic(PLAIN, EchoClient::new(plain)),
        Peer::Mesh(MESH_ONE, EchoClient::new(mesh(&addresses[..1])?)),
        Peer::Mesh(MESH_ONE_ALL, EchoClient::new(one_all)),
        Peer::Tonic(BALANCED, EchoClient::new(balanced)),
        Peer::Mesh(MESH, EchoClient::new(mesh(&addresses)?)),
        Peer::Mesh(MESH_ALL, EchoClient::new(all)),
    ];
    Ok(Peers { all, reports: [one_reports, reports], _servers: servers })
}

/// A channel through the whole mesh: routing, balancing, circuit breaking and load accounting.
fn mesh(addresses: &[SocketAddr]) -> Result<MeshChannel> {
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("echo", addresses.iter().copied()));
    Ok(MeshChannel::builder("echo").mesh(&mesh).build()?)
}
