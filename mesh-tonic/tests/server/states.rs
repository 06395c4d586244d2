//! Serving and not serving, and who is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mesh_core::config::{ChainMatch, IpPrefix, ServerChain, ServerConfig, ServerListener, ServerRoutes};
use mesh_tonic::{BindError, FixedServer, Mesh, MeshServer, ServerSettings, ServingState, SourceError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xds_client::bootstrap::{Bootstrap, ServerConfig as XdsServer};

use crate::{OpenStream, Running, call, client, open_to_all};

/// Connects, sends the preface of HTTP/2 and returns what the server sends until it closes; an error counts as the end.
pub(crate) async fn bytes_before_the_end(address: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    got
}

/// Proves: SV-02.
#[tokio::test]
async fn server_without_a_configuration_closes_connections_without_a_byte() {
    let config = FixedServer::waiting();
    let server = Running::start("a", &config, ServerSettings::default()).await;
    assert_eq!(bytes_before_the_end(server.address).await, b"");
    assert_eq!(server.handle.state(), ServingState::Waiting);
    config.set(open_to_all());
    server.handle.wait_for(|state| *state == ServingState::Serving).await;
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
}

/// L2: a running call ends well when the listener goes, and again later.
///
/// Proves: SV-04, SV-07.
#[tokio::test]
async fn removed_listener_lets_running_calls_end_and_comes_back() {
    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = states.clone();
    let config = FixedServer::new(open_to_all());
    let builder = MeshServer::builder().on_state(move |state| seen.lock().unwrap().push(state.clone()));
    let server = Running::serve(builder.fixed(&config, "127.0.0.1:0").await.unwrap(), "a");
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    let gone = SourceError::new("the listener is gone");
    config.fail(gone.clone());
    server.handle.wait_for(|state| matches!(state, ServingState::NotServing(_))).await;
    assert_eq!(bytes_before_the_end(server.address).await, b"");
    // A channel that has seen the GOAWAY has no connection left for new calls.
    let failed = crate::until_refused(&mut client).await;
    assert_eq!(failed.code(), tonic::Code::Unavailable);
    stream.exchange().await.unwrap();
    stream.end().await.unwrap();
    config.set(open_to_all());
    server.handle.wait_for(|state| *state == ServingState::Serving).await;
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
    server.handle.shutdown(std::time::Duration::from_secs(60)).await;
    let expected =
        [ServingState::Serving, ServingState::NotServing(gone), ServingState::Serving, ServingState::Stopped];
    assert_eq!(*states.lock().unwrap(), expected);
}

/// Proves: SV-05.
#[tokio::test]
async fn listener_for_another_address_is_not_served() {
    let at = |address: &str| {
        let mut listener = ServerListener::new([ServerChain::new(ServerRoutes::all())]);
        listener.address = Some(address.parse().unwrap());
        ServerConfig::new(listener, Default::default()).unwrap()
    };
    let config = FixedServer::new(at("127.0.0.1:1"));
    let server = Running::start("a", &config, ServerSettings::default()).await;
    let state = server.handle.wait_for(|state| *state != ServingState::Waiting).await;
    let ServingState::NotServing(error) = state else { panic!("{state:?}") };
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1,") && text.contains(&server.address.to_string()), "{text}");
    assert_eq!(bytes_before_the_end(server.address).await, b"");
    config.set(at("0.0.0.0:0"));
    server.handle.wait_for(|state| matches!(state, ServingState::NotServing(now) if *now != error)).await;
    for address in [format!("127.0.0.1:{}", server.address.port()), "127.0.0.1:0".to_owned()] {
        config.set(at(&address));
        server.handle.wait_for(|state| *state == ServingState::Serving).await;
        assert_eq!(call(&mut server.client()).await.unwrap(), "a", "{address}");
        config.fail(error.clone());
        server.handle.wait_for(|state| *state != ServingState::Serving).await;
    }
}

/// A connection that no chain takes, and no default chain.
#[tokio::test]
async fn connection_without_a_chain_is_closed_without_a_byte() {
    let mut elsewhere = ChainMatch::default();
    elsewhere.sources = vec![IpPrefix::new("192.0.2.0".parse().unwrap(), 24)];
    let only = ServerChain::new(ServerRoutes::all()).matching(elsewhere);
    let mut listener = ServerListener::new([only]);
    let config = FixedServer::new(ServerConfig::new(listener.clone(), Default::default()).unwrap());
    let server = Running::start("a", &config, ServerSettings::default()).await;
    server.handle.wait_for(|state| *state == ServingState::Serving).await;
    assert_eq!(bytes_before_the_end(server.address).await, b"");
    listener.default_chain = Some(ServerChain::new(ServerRoutes::all()).into());
    config.set(ServerConfig::new(listener, Default::default()).unwrap());
    let mut client = client([server.address]);
    crate::eventually("the default chain takes it", async || call(&mut client).await.is_ok()).await;
}

/// A control plane that cannot be reached is no error, and the server waits for it.
///
/// Proves: SV-03.
#[tokio::test]
async fn server_starts_without_its_control_plane_and_waits() {
    let away = mesh_core::testing::reserved_address();
    let with = |template: Option<&str>| {
        let builder =
            Bootstrap::builder().server(XdsServer::insecure(format!("dns:///{away}"))).node_id("server");
        let bootstrap = match template {
            None => builder,
            Some(template) => builder.server_listener_template(template),
        };
        Mesh::new(xds_client::start(bootstrap.build().unwrap()).unwrap())
    };
    let mesh = with(Some("servers/%s"));
    let server = Running::serve(MeshServer::bind(&mesh, "127.0.0.1:0").await.unwrap(), "a");
    assert_eq!(bytes_before_the_end(server.address).await, b"");
    assert_ne!(server.handle.state(), ServingState::Serving);
    // a bootstrap without a name for listeners can never serve
    let error = MeshServer::bind(&with(None), "127.0.0.1:0").await.unwrap_err();
    assert!(matches!(error, BindError::Source(_)), "{error:?}");
}
