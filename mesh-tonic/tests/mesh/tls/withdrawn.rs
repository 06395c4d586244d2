//! Connections whose peer is not accepted any more.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::Mesh;
use mesh_core::certificate::{CertificateSource, Material, Roots};
use mesh_core::config::{
    ClientCertificates, ClientTls, PeerValidation, RootSource, ServerChain, ServerConfig, ServerRoutes,
    ServerTls,
};
use mesh_tonic::{FixedServer, MeshServer, ServerHandle};
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::{Code, Status};

use super::rotation::{Chat, GREETER};
use super::{Authority, Leaf, Rotating, client_tls, config, trusting};
use crate::{Client, call, client};

/// A `MeshServer` that speaks TLS; dropping it ends it.
struct SecureServer {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl SecureServer {
    async fn start(identity: CertificateSource, clients: PeerValidation) -> Self {
        let tls = ServerTls::new(identity, ClientCertificates::Required(clients));
        let chain = ServerChain::new(ServerRoutes::all()).with_tls(tls);
        let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
        let server = MeshServer::builder().fixed(&config, "127.0.0.1:0").await.unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        let greeter = Routes::new(GreeterServer::new(GreeterService::new("secure", "v1")));
        Self { address, handle, task: tokio::spawn(server.serve(greeter)) }
    }
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn roots(roots: Roots) -> Material {
    Material::default().with_roots(roots)
}

fn validation(source: CertificateSource) -> PeerValidation {
    PeerValidation::new(RootSource::Provider(source))
}

const CLIENT: &str = "spiffe://td/client";

/// A stream that has just been opened is cut, and says why.
async fn cut(chat: &mut Chat) -> Status {
    loop {
        if let Err(status) = chat.exchange().await {
            return status;
        }
    }
}

/// V4: the server withdraws the client's root.
#[tokio::test]
async fn server_cuts_clients_whose_root_it_trusts_no_more() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let rotating = Rotating::default();
    let trusted = validation(rotating.source(roots(authority.both_roots(&other))));
    let server = SecureServer::start(authority.leaf(GREETER).source(), trusted).await;
    let mesh = |own: &Authority| {
        Mesh::fixed(config(server.address, Some(client_tls(&authority, &own.leaf(CLIENT)))))
    };
    let (withdrawn, kept) = (mesh(&authority), mesh(&other));
    let (mut withdrawn, mut kept) = (client(&withdrawn), client(&kept));
    let mut ended = Chat::open(&mut withdrawn).await;
    let mut running = Chat::open(&mut kept).await;
    ended.say().await;
    running.say().await;

    rotating.publish(&roots(other.roots()));
    assert_eq!(cut(&mut ended).await.code(), Code::Unavailable);
    let status = call(&mut withdrawn).await.unwrap_err();
    assert!(status.message().contains("it does not trust the authority of our certificate"), "{status}");
    running.say().await;
    call(&mut kept).await.unwrap();
    assert_eq!(server.handle.accepted_connections(), 2, "others keep their connections");
}

/// V4: the client withdraws the server's root, after the server has got a certificate of another one.
#[tokio::test]
async fn client_leaves_an_endpoint_whose_root_it_trusts_no_more_and_loses_no_new_call() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let identity = Rotating::default();
    let material =
        |authority: &Authority| Material::default().with_identity(authority.leaf(GREETER).identity());
    let server = SecureServer::start(identity.source(material(&first)), trusting(&first)).await;
    let trusted = Rotating::default();
    let tls = ClientTls::new(validation(trusted.source(roots(first.roots()))))
        .with_identity(first.leaf(CLIENT).source());
    let mesh = Mesh::fixed(config(server.address, Some(tls)));
    let mut client = client(&mesh);
    let mut chat = Chat::open(&mut client).await;
    chat.say().await;

    identity.publish(&material(&second));
    trusted.publish(&roots(first.both_roots(&second)));
    chat.say().await;
    call(&mut client).await.unwrap();
    assert_eq!(server.handle.accepted_connections(), 1, "both roots accept the old certificate");

    trusted.publish(&roots(second.roots()));
    let status = cut(&mut chat).await;
    let cause = "its endpoint is not accepted any more: TLS: the server's certificate is refused: \
                 its chain does not end at a trusted root (CERTIFICATE_AUTHORITY_INVALID)";
    assert!(status.message().contains(cause), "{status}");
    for _ in 0..10 {
        call(&mut client).await.expect("new calls go over a new connection");
    }
    assert_eq!(server.handle.accepted_connections(), 2);
}

fn expiring(authority: &Authority, uri: &str, seconds: u64) -> Leaf {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    authority.leaf_with(uri, |params| params.not_after = end.into())
}

/// A client and a server, with a chat that is open; one of them, `server` or `client`, has shown a certificate that expires
/// soon, and would show another one now.
async fn before_expiry(side: &str) -> (SecureServer, Mesh, Client, Chat) {
    let authority = Authority::new("root");
    // On a machine that is too slow for the first ones, they expire before the first call.
    for seconds in [3, 10, 30, 90] {
        let rotating = Rotating::default();
        let material = |leaf: &Leaf| Material::default().with_identity(leaf.identity());
        let source = rotating.source(material(&expiring(&authority, GREETER, seconds)));
        let fixed = authority.leaf(GREETER).source();
        let (own, servers) = if side == "server" { (fixed, source) } else { (source, fixed) };
        let server = SecureServer::start(servers, trusting(&authority)).await;
        let tls = ClientTls::new(trusting(&authority)).with_identity(own);
        let mesh = Mesh::fixed(config(server.address, Some(tls)));
        let mut client = client(&mesh);
        if call(&mut client).await.is_err() {
            continue;
        }
        let mut chat = Chat::open(&mut client).await;
        chat.say().await;
        let count = server.handle.accepted_connections();
        rotating.publish(&material(&authority.leaf(GREETER)));
        if count == 1 {
            return (server, mesh, client, chat);
        }
    }
    panic!("no certificate was valid long enough for a call");
}

/// V4: expiry ends no call, on either side.
#[tokio::test]
async fn expired_peers_get_new_calls_over_another_connection_and_running_ones_go_on() {
    for side in ["server", "client"] {
        let (server, _mesh, mut client, mut chat) = before_expiry(side).await;
        while server.handle.accepted_connections() == 1 {
            call(&mut client).await.expect("no call fails");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        chat.say().await;
        call(&mut client).await.unwrap();
        assert_eq!(server.handle.connections(), 2, "{side}: the old one lives until its last call");
        drop(chat);
        while server.handle.connections() == 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
