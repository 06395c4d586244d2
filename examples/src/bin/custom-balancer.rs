//! A load-balancing policy of one's own: `cargo run -p examples --bin custom-balancer`.
//!
//! Without a control plane it starts three endpoints of different weights, calls the heaviest one, and stops it: the next calls go to
//! the second. With a control plane: `Options::with_lb_policies`, as docs/load-balancing.md says.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::heaviest::Heaviest;
use examples::service::{GreeterService, serve};
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint, EndpointSet, LbPolicy, Locality, MeshConfig, Priority,
};
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut endpoints = Vec::new();
    let mut stops = Vec::new();
    for (name, weight) in [("light", 1), ("heavy", 5), ("middle", 3)] {
        let (address, stop) = start(name).await?;
        let mut endpoint = Endpoint::new(address);
        endpoint.weight = NonZeroU32::MIN.saturating_add(weight - 1);
        endpoints.push(endpoint);
        stops.push(stop);
    }
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints))])]);
    // Endpoints of less than 2 are not used at all.
    let policy = LbPolicy::Custom(Heaviest::policy(2));
    let settings = ClusterSettings::new("greeter").with_lb_policy(policy);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    let routes = MeshConfig::to_endpoints("greeter", []).virtual_hosts().to_vec();
    let config = MeshConfig::new(routes, [("greeter".into(), Ok(cluster))].into(), None)?;
    let mesh = Mesh::fixed(config.for_target("greeter"));

    let mut client = GreeterClient::new(MeshChannel::builder("greeter").mesh(&mesh).build()?);
    until_answers(&mut client, "heavy").await?;
    drop(stops.remove(1));
    until_answers(&mut client, "middle").await
}

/// A greeter of this name; it stops when the second value is dropped.
async fn start(name: &str) -> anyhow::Result<(SocketAddr, oneshot::Sender<()>)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { _ = stopped.await };
    tokio::spawn(serve(GreeterService::new(name, "v1"), listener, stopped));
    Ok((address, stop))
}

/// Calls until this endpoint answers: connections come and go in the background.
async fn until_answers(client: &mut GreeterClient<MeshChannel>, expected: &str) -> anyhow::Result<()> {
    loop {
        let reply = client.say_hello(HelloRequest { name: "you".to_owned(), count: 0 }).await?.into_inner();
        if reply.endpoint == expected {
            return Ok(writeln!(io::stdout(), "{} answers", reply.endpoint)?);
        }
    }
}
