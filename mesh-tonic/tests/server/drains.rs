//! The end of connections: updates, age, shutdown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::config::{
    Name, ResourceError, ServerChain, ServerConfig, ServerHttp, ServerListener, ServerRouteSource,
    ServerRoutes,
};
use mesh_tonic::{FixedServer, ServerSettings, ServingState};
use tonic::Code;

use crate::{OpenStream, Running, call, open_to_all, until_refused};

/// A listener whose chain has this name and takes its routes by name.
pub(crate) fn named(chain: &str, routes: Result<ServerRoutes, &str>) -> ServerConfig {
    let source = ServerRouteSource::Named("routes".into());
    let mut named = ServerChain::new(ServerRoutes::default());
    named.name = Some(chain.into());
    named.http = ServerHttp::new(source, []);
    let routes = routes.map(Arc::new).map_err(ResourceError::new);
    let routes: HashMap<Name, _> = [("routes".into(), routes)].into();
    ServerConfig::new(ServerListener::new([named]), routes).unwrap()
}

fn grace(grace: Duration) -> ServerSettings {
    let mut settings = ServerSettings::default();
    settings.drain_grace = grace;
    settings
}

/// L1: an update of the listener ends old connections after their calls; routes by name do not.
///
/// Proves: SV-08, SV-09, SV-10.
#[tokio::test]
async fn another_listener_drains_connections_and_other_routes_do_not() {
    let config = FixedServer::new(named("one", Ok(ServerRoutes::all())));
    let server = Running::start("a", &config, grace(Duration::from_secs(600))).await;
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    // the next call of the same connection sees the routes
    config.set(named("one", Ok(ServerRoutes::default())));
    crate::eventually("routes are gone", async || call(&mut client).await.is_err()).await;
    config.set(named("one", Err("does not exist")));
    let status = until_refused(&mut client).await;
    assert_eq!(status.code(), Code::Unavailable);
    config.set(named("one", Ok(ServerRoutes::all())));
    crate::eventually("routes are back", async || call(&mut client).await.is_ok()).await;
    stream.exchange().await.unwrap();
    assert_eq!(server.connections(), 1, "no connection has been drained");
    // another name is another listener
    config.set(named("two", Ok(ServerRoutes::all())));
    crate::eventually("calls use another connection", async || {
        call(&mut client).await.unwrap();
        server.connections() == 2
    })
    .await;
    stream.exchange().await.unwrap();
    stream.end().await.unwrap();
    crate::eventually("the old connection ends", async || server.connections() == 1).await;
    assert_eq!(server.handle.state(), ServingState::Serving);
}

#[tokio::test]
async fn calls_beyond_the_grace_of_a_drain_are_cut() {
    let config = FixedServer::new(named("one", Ok(ServerRoutes::all())));
    let server = Running::start("a", &config, grace(Duration::from_millis(50))).await;
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    config.set(named("two", Ok(ServerRoutes::all())));
    let cut = stream.replies.message().await.unwrap_err();
    assert_eq!(cut.code(), Code::Unavailable, "{cut}");
    assert_eq!(call(&mut client).await.unwrap(), "a");
}

/// L5, without a grace: streams go on for as long as they like, new calls use another connection.
#[tokio::test]
async fn connection_at_its_age_lets_its_stream_go_on() {
    let mut settings = ServerSettings::default();
    settings.max_connection_age = Some(Duration::from_millis(100));
    let server = Running::start("a", &FixedServer::new(open_to_all()), settings).await;
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    let mut most = 0;
    crate::eventually("several connections have come and gone", async || {
        // every call succeeds, whatever connection ends meanwhile
        call(&mut client).await.unwrap();
        most = most.max(server.accepted());
        most >= 4
    })
    .await;
    stream.exchange().await.unwrap();
    stream.end().await.unwrap();
}

/// L5, with a grace: what is left at its end is cut.
#[tokio::test]
async fn stream_beyond_the_grace_of_an_age_is_cut() {
    let mut settings = ServerSettings::default();
    settings.max_connection_age = Some(Duration::from_millis(50));
    settings.max_connection_age_grace = Some(Duration::from_millis(50));
    let server = Running::start("a", &FixedServer::new(open_to_all()), settings).await;
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    let cut = stream.replies.message().await.unwrap_err();
    assert_eq!(cut.code(), Code::Unavailable, "{cut}");
    call(&mut client).await.unwrap();
}

#[tokio::test]
async fn shutdown_waits_for_streams_and_refuses_new_connections() {
    let server = Running::start("a", &FixedServer::new(open_to_all()), ServerSettings::default()).await;
    let mut client = server.client();
    let mut stream = OpenStream::begin(&mut client).await;
    server.handle.begin_shutdown(Duration::from_secs(60));
    server.handle.wait_for(|state| *state == ServingState::Stopped).await;
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    stream.exchange().await.unwrap();
    stream.end().await.unwrap();
    server.handle.shutdown(Duration::from_secs(60)).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn shutdown_cuts_what_is_left_at_the_end_of_its_grace() {
    let server = Running::start("a", &FixedServer::new(open_to_all()), ServerSettings::default()).await;
    let mut stream = OpenStream::begin(&mut server.client()).await;
    server.handle.shutdown(Duration::from_millis(20)).await;
    assert_eq!(stream.replies.message().await.unwrap_err().code(), Code::Unavailable);
}
