//! The clients that are compared, and the server that they call.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use benches::greeter::Greeter;
use benches::reporting::with_settings;
use bytes::Bytes;
use clap::ValueEnum;
use examples::greeter::echo_client::EchoClient;
use examples::greeter::greeter_client::GreeterClient;
use http_body::Body;
use mesh_core::config::{MaxRequests, MeshConfig};
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use tonic::client::GrpcService;
use tonic::transport::Channel;

use super::load::{self, Sample};
use super::offenders::{self, Kind};

/// What a generated client can be made of.
pub(crate) trait Service:
    GrpcService<
        tonic::body::Body,
        ResponseBody: Body<Data = Bytes, Error: Into<tonic::codegen::StdError> + Send> + Send,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Service for S
where
    S: GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as Body>::Error: Into<tonic::codegen::StdError> + Send,
{
}

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Client {
    /// tonic's own channel.
    Tonic,
    /// A channel through the mesh.
    Mesh,
}

impl Client {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Tonic => "tonic Channel",
            Self::Mesh => "MeshChannel",
        }
    }
}

/// A client under comparison: the channel that is measured, and one with a connection of its own.
#[derive(Debug)]
pub(crate) enum Peer {
    Tonic([Channel; 2]),
    Mesh([MeshChannel; 2]),
}

/// One round: alone, then while the offenders use the other connection, then beside them.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) alone: Sample,
    pub(crate) apart: Sample,
    pub(crate) beside: Sample,
}

impl Peer {
    pub(crate) fn name(&self) -> Client {
        match self {
            Self::Tonic(_) => Client::Tonic,
            Self::Mesh(_) => Client::Mesh,
        }
    }

    pub(crate) async fn round(&self, time: Duration, kinds: &[Kind]) -> Result<Round> {
        match self {
            Self::Tonic(channels) => round(channels, time, kinds).await,
            Self::Mesh(channels) => round(channels, time, kinds).await,
        }
    }
}

async fn round<S: Service>([measured, other]: &[S; 2], time: Duration, kinds: &[Kind]) -> Result<Round> {
    let client = EchoClient::new(measured.clone());
    let alone = load::run(&client, time).await?;
    let apart = beside(&client, other, time, kinds).await?;
    let beside = beside(&client, measured, time, kinds).await?;
    Ok(Round { alone, apart, beside })
}

/// The load while the offenders use this channel.
async fn beside<S: Service>(
    client: &EchoClient<S>,
    channel: &S,
    time: Duration,
    kinds: &[Kind],
) -> Result<Sample> {
    let offenders = offenders::start(&GreeterClient::new(channel.clone()), kinds);
    let sample = load::run(client, time).await;
    drop(offenders);
    // What the offenders have left behind is not to count for those that come next.
    tokio::time::sleep(Duration::from_secs(1)).await;
    sample
}

/// All clients, and the server, which ends with this value.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) all: Vec<Peer>,
    _server: Greeter,
}

/// Starts the server and connects the clients.
pub(crate) async fn start(clients: &[Client]) -> Result<Peers> {
    let server = Greeter::start().await?;
    let mut all = Vec::new();
    for client in clients {
        all.push(match client {
            Client::Tonic => Peer::Tonic([tonic(server.address).await?, tonic(server.address).await?]),
            Client::Mesh => Peer::Mesh([mesh(server.address)?, mesh(server.address)?]),
        });
    }
    Ok(Peers { all, _server: server })
}

async fn tonic(address: SocketAddr) -> Result<Channel> {
    Ok(Channel::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// Its circuit breaker is out of the way: a plain channel has none, and on a machine that stalls for a moment the calls
/// of a second would reach its default.
fn mesh(address: SocketAddr) -> Result<MeshChannel> {
    let config = MeshConfig::to_endpoints("greeter", [address]);
    let config = with_settings(&config, |settings| settings.limits.max_requests = MaxRequests(100_000));
    let mesh = Mesh::fixed(config);
    Ok(MeshChannel::builder("greeter").mesh(&mesh).build()?)
}
