//! A mesh from YAML in the process, without a control-server: `cargo run -p examples --bin embedded`.
//!
//! It starts two endpoints and splits calls between them, then calls ten times.

use std::io::{self, Write};
use std::net::SocketAddr;

use control_server::embedded::Embedded;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::service::{GreeterService, serve};
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (v1, v2) = (endpoint("v1").await?, endpoint("v2").await?);
    let yaml = SHOP.replace("PORT_OF_V1", &v1.to_string()).replace("PORT_OF_V2", &v2.to_string());

    let mesh = Embedded::from_yaml(yaml).mesh()?;
    let channel = MeshChannel::builder("xds:///greeter.shop").mesh(&mesh).build()?;
    let mut client = GreeterClient::new(channel);

    for _ in 0..10 {
        let reply = client.say_hello(HelloRequest { name: "you".to_owned(), count: 0 }).await?.into_inner();
        writeln!(io::stdout(), "{} from {}", reply.message, reply.version)?;
    }
    Ok(())
}

/// Starts a greeter; returns its port.
async fn endpoint(version: &str) -> io::Result<u16> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(serve(GreeterService::new(version, version), listener, std::future::pending()));
    Ok(port)
}

const SHOP: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter, namespace: shop}
spec:
  hosts: [greeter.shop]
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC}]
  endpoints:
  - {address: 127.0.0.1, ports: {grpc: PORT_OF_V1}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {grpc: PORT_OF_V2}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter, namespace: shop}
spec:
  host: greeter.shop
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter, namespace: shop}
spec:
  hosts: [greeter.shop]
  http:
  - route: [{destination: {host: greeter.shop, subset: v2}}]
";
