//! What README.md shows works as it stands there.

use std::net::SocketAddr;
use std::path::Path;

use control_server::state::PipelineState;
use examples::hello::hello_client::HelloClient;
use examples::hello::hello_server::{Hello, HelloServer};
use examples::hello::{SayReply, SayRequest};
use mesh_tonic::MeshChannel;
use tests::mesh::MeshClient;
use tests::{ConfigDir, ControlServer, eventually};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use xds_client::Options;

/// The fenced blocks of `language`, joined as documents.
fn blocks(page: &str, language: &str) -> String {
    let opening = format!("```{language}\n");
    let blocks: Vec<_> = page.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    blocks.join("---\n")
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

#[tokio::test]
async fn configuration_in_the_readme_is_accepted() {
    let yaml = blocks(&readme(), "yaml");
    assert!(!yaml.is_empty());
    let config = ConfigDir::new();
    config.write("readme.yaml", &yaml);
    let control = ControlServer::start(config).await;
    let state: PipelineState = eventually("the files are read", async || {
        let state: PipelineState = control.admin("/v1/config").await;
        if state.synced { Ok(state) } else { Err(format!("{state:?}")) }
    })
    .await;
    assert!(state.diagnostics.is_empty(), "{:?}", state.diagnostics);
    assert_eq!(state.objects.len(), 3, "{:?}", state.objects);
}

/// The service of the page, which says where it is.
struct HelloService(SocketAddr);

#[tonic::async_trait]
impl Hello for HelloService {
    async fn say(&self, _: Request<SayRequest>) -> Result<Response<SayReply>, Status> {
        Ok(Response::new(SayReply { text: self.0.to_string() }))
    }
}

/// An endpoint of it on a free port.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(HelloServer::new(HelloService(address)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// What stands between `before` and the next `"`.
fn quoted<'t>(text: &'t str, before: &str) -> &'t str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once('"')).map_or("", |(quoted, _)| quoted)
}

#[tokio::test]
async fn service_of_the_readme_is_called_by_hand_and_through_its_configuration() {
    let (readme, addresses) = (readme(), [serve().await, serve().await]);
    let target = quoted(&readme, "MeshChannel::to_endpoints(\"");
    let channel = MeshChannel::to_endpoints(target, addresses).unwrap();
    let reply = HelloClient::new(channel).say(SayRequest { name: "you".to_owned() }).await.unwrap();
    assert!(addresses.map(|address| address.to_string()).contains(&reply.into_inner().text));

    let mut yaml = blocks(&readme, "yaml");
    for (port, address) in ["50051", "50052"].into_iter().zip(addresses) {
        let endpoint = format!("ports: {{ grpc: {port} }}");
        assert!(yaml.contains(&endpoint), "{endpoint}");
        yaml = yaml.replace(&endpoint, &format!("ports: {{ grpc: {} }}", address.port()));
    }
    let config = ConfigDir::new();
    config.write("readme.yaml", &yaml);
    let control = ControlServer::start(config).await;
    let target = quoted(&readme, "MeshChannel::connect(\"");
    let client = MeshClient::with_target(&control.bootstrap("readme"), Options::default(), target);
    let reply = HelloClient::new(client.channel).say(SayRequest { name: "you".to_owned() }).await.unwrap();
    assert!(addresses.map(|address| address.to_string()).contains(&reply.into_inner().text));
}
