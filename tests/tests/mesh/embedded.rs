//! A mesh from YAML in this process, with greeters in this process.

use std::net::SocketAddr;

use control_server::embedded::Embedded;
use examples::service::{GreeterService, serve};
use mesh_core::config::{ClusterSettings, MeshConfig};
use mesh_core::runtime::{ConfigSource as _, Mesh};
use mesh_tonic::MeshChannel;
use tests::eventually;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tokio::net::TcpListener;

/// A client whose service has these endpoints, all of version v1, named `e0`, `e1` and so on; `documents` follow the service.
pub(crate) async fn client(endpoints: usize, documents: &str) -> MeshClient {
    let mut started = Vec::new();
    for number in 0..endpoints {
        started.push(Endpoint::new(endpoint(&format!("e{number}"), "v1").await, "v1"));
    }
    of_text(&(service(&started) + documents))
}

/// A client of these documents.
pub(crate) fn of_text(text: &str) -> MeshClient {
    let xds = Embedded::from_yaml(text).client().unwrap_or_else(|error| panic!("{error}"));
    let mesh = Mesh::new(xds.clone());
    let channel = MeshChannel::builder(yaml::target()).mesh(&mesh).build().unwrap();
    MeshClient { xds, mesh, channel }
}

/// The greeter's ServiceEntry, without a DestinationRule.
pub(crate) fn service(endpoints: &[Endpoint]) -> String {
    yaml::service_entry(endpoints)
}

/// A document to follow others, in the greeter's namespace.
pub(crate) fn document(version: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
    )
}

/// Starts a greeter in this process, which ends with the test.
pub(crate) async fn endpoint(name: &str, version: &str) -> SocketAddr {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(GreeterService::new(name, version), listener, std::future::pending()));
    address
}

/// The whole configuration that the client has of the greeter.
pub(crate) async fn configuration(client: &MeshClient) -> MeshConfig {
    let target = client.xds.bootstrap().target(&yaml::target()).unwrap();
    let mut watch = client.xds.watch(&target).unwrap();
    let complete = async {
        loop {
            match watch.borrow_and_update().config {
                Some(Ok(config)) => return MeshConfig::clone(&config),
                Some(Err(error)) => panic!("{error:?}"),
                None => assert!(watch.changed().await, "the client has ended"),
            }
        }
    };
    tokio::time::timeout(tests::PATIENCE, complete).await.expect("no configuration")
}

/// The settings of the greeter's cluster.
pub(crate) async fn settings(client: &MeshClient) -> ClusterSettings {
    let config = configuration(client).await;
    let name = format!("outbound|{}||{}", yaml::PORT, yaml::HOST);
    let cluster = config.clusters().get(name.as_str()).unwrap_or_else(|| panic!("no {name}"));
    ClusterSettings::clone(&cluster.as_ref().unwrap().settings)
}

/// Calls until each of so many endpoints has answered.
pub(crate) async fn until_all_answer(client: &MeshClient, endpoints: usize) {
    let mut seen = std::collections::BTreeSet::new();
    eventually("every endpoint answers", async || {
        seen.insert(client.hello().await.map_err(|status| status.to_string())?.endpoint);
        if seen.len() == endpoints { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}
