//! A filter of one's own on every call: `cargo run -p examples --bin custom-filter`.
//!
//! Without a control plane it starts an endpoint and configures the mesh itself. With a bootstrap in the environment
//! (`GRPC_XDS_BOOTSTRAP`) it calls `xds:///greeter` once, and the control plane may configure the filter.

use std::io::{self, Write};
use std::net::SocketAddr;

use anyhow::Context;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::service::{GreeterService, serve};
use examples::team_filter::{Team, TeamType};
use mesh_core::Mesh;
use mesh_core::config::{FilterInstance, MeshConfig};
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;
use tonic::Request;
use xds_client::bootstrap::Bootstrap;
use xds_client::resource::FilterRegistry;
use xds_client::transport::GrpcTransport;
use xds_client::{Options, start_with};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let has_bootstrap = ["GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG"]
        .iter()
        .any(|variable| std::env::var_os(variable).is_some());
    let mesh = if has_bootstrap { by_control_plane()? } else { by_hand().await? };
    let mut client = GreeterClient::new(MeshChannel::builder("greeter").mesh(&mesh).build()?);
    let hello = || HelloRequest { name: "you".to_owned(), count: 0 };
    let reply = client.say_hello(hello()).await?.into_inner();
    writeln!(io::stdout(), "{}", reply.message)?;
    let mut claiming = Request::new(hello());
    claiming.metadata_mut().insert("x-team", "somebody else".parse()?);
    match client.say_hello(claiming).await {
        Ok(_) => writeln!(io::stdout(), "no filter objects: the control plane has configured none")?,
        Err(status) => writeln!(io::stdout(), "{:?}: {}", status.code(), status.message())?,
    }
    Ok(())
}

/// The control plane may send a filter of the type `mesh.examples.Team`.
fn by_control_plane() -> anyhow::Result<Mesh> {
    let options = Options::default().with_filters(FilterRegistry::default().with(TeamType));
    let client = start_with(Bootstrap::from_env()?, GrpcTransport::new(&options), options)?;
    Ok(Mesh::new(client))
}

/// The program says itself what the mesh does.
async fn by_hand() -> anyhow::Result<Mesh> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(GreeterService::new("only", "v1"), listener, std::future::pending()));
    let team = Team::new("shop").context("it is a header's value")?;
    let config = MeshConfig::to_endpoints("greeter", [address]);
    Ok(Mesh::fixed(config.with_filters([FilterInstance::new("team", team)])))
}
