//! One changed endpoint, from a response of an incremental control server to what calls see of it: the whole client,
//! over a stream in memory.

use anyhow::{Context, Result, anyhow, ensure};
use benches::call_path::{Nowhere, Plain};
use mesh_core::runtime::{Channel, ChannelSettings, Mesh, Target};
use xds_client::bootstrap::{Bootstrap, ChannelCredentials, ServerConfig, ServerFeatures};
use xds_client::transport::memory::{self, MemoryServer, MemoryStream};
use xds_client::transport::{AdsResponse, Variant};
use xds_client::{Options, start_with};

use super::change::{Kind, cost, settle};
use super::report::{CaseName, Sample};
use super::wire;

/// A channel whose client follows a control server in this process.
pub(crate) struct Client {
    count: u32,
    stream: MemoryStream,
    connector: Nowhere,
    number: u32,
    _server: MemoryServer,
    _channel: Channel<Plain, Nowhere>,
}

impl Client {
    /// A cluster of this many endpoints, all connected.
    pub(crate) async fn start(count: u32) -> Result<Self> {
        let mut features = ServerFeatures::default();
        features.incremental_xds = true;
        let server = ServerConfig::new("bench", ChannelCredentials::Insecure).with_features(features);
        let bootstrap = Bootstrap::builder().server(server).node_id("bench").build()?;
        let (transport, mut server) = memory::pair();
        let connector = Nowhere::default();
        let source = start_with(bootstrap, transport, Options::default())?;
        let mesh = Mesh::builder(source).connector(connector.clone()).build();
        let channel = Channel::new(&mesh, &Target::new("bench"), ChannelSettings::default())?;
        let mut stream = server.accept().await.context("no stream")?;
        while connector.connected() < count as usize {
            tokio::select! {
                request = stream.delta_request() => {
                    let request = request.context("the stream has ended")?;
                    if !request.resource_names_subscribe.is_empty() {
                        stream.respond(answer(&request.type_url, count)?);
                    }
                }
                () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {}
            }
        }
        settle().await;
        Ok(Self { count, stream, connector, number: 1_000_000, _server: server, _channel: channel })
    }

    pub(crate) fn name(&self, kind: Kind) -> CaseName {
        CaseName { policy: "whole client", change: kind.name(), endpoints: self.count as usize }
    }

    pub(crate) async fn measure(&mut self, kind: Kind, changes: u32) -> Result<Sample> {
        let connected = self.connector.connected();
        let sample = cost(changes, || self.change(kind)).await?;
        if kind == Kind::Address {
            let made = self.connector.connected() - connected;
            ensure!(made == changes as usize, "{made} connections for {changes} new endpoints");
        }
        while self.stream.try_request().is_some() {}
        Ok(sample)
    }

    fn change(&mut self, kind: Kind) -> Result<()> {
        self.number += 1;
        // a prime, so that changes fall everywhere
        let member = (u64::from(self.number) * 7919 % u64::from(self.count)) as u32;
        let (host, weight) = match kind {
            Kind::Address => (self.number, 1),
            Kind::Weight => (member, self.number),
        };
        // The ACK of the change before.
        while self.stream.try_request().is_some() {}
        let member = wire::member(member, host, weight, self.number);
        self.stream.respond(response(&wire::response(MEMBER, self.number, [member]))?);
        Ok(())
    }
}

/// Everything that there is of a type.
fn answer(type_url: &str, count: u32) -> Result<AdsResponse> {
    let of = |name, message: Vec<u8>| wire::resource(name, "1", type_url, &message);
    let resources = match type_url.rsplit('.').next().unwrap_or_default() {
        "Listener" => vec![of("bench", wire::listener("bench", "cluster"))],
        "Cluster" => vec![of("cluster", wire::cluster("cluster"))],
        "ClusterLoadAssignment" => vec![of("cluster", wire::collected("cluster"))],
        "LbEndpoint" => (0..count).map(|member| wire::member(member, member, 1, 1)).collect(),
        _ => return Err(anyhow!("asked for {type_url}")),
    };
    response(&wire::response(type_url, 1, resources))
}

fn response(bytes: &[u8]) -> Result<AdsResponse> {
    Ok(AdsResponse::decode(Variant::Delta, bytes)?)
}

const MEMBER: &str = "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint";
