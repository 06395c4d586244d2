//! Channels as users make them: to endpoints by hand, in memory, with connections and a user agent of their own.

use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_tonic::{
    Http2Settings, Keepalive, Mesh, MeshChannel, MeshConfig, MeshErrorKind, PoolSettings, Target,
};
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::Server;

use crate::endpoint::Endpoint;
use crate::{call, hello, kind, until_no_endpoint};

#[tokio::test]
async fn channel_to_endpoints_needs_nothing_else() {
    let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await];
    let addresses = endpoints.each_ref().map(|endpoint| endpoint.address);
    for target in ["greeter", "xds:///greeter"] {
        let channel = MeshChannel::to_endpoints(target, addresses).unwrap();
        assert_eq!(channel.target(), &Target::new("greeter"));
        let mut client = GreeterClient::new(channel);
        let mut answered = std::collections::BTreeSet::new();
        for _ in 0..200 {
            answered.insert(call(&mut client).await.unwrap());
        }
        assert_eq!(answered.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }
    let error = MeshChannel::to_endpoints("dns:///greeter", addresses).unwrap_err();
    assert!(error.to_string().contains("scheme must be xds"), "{error}");
}

#[tokio::test]
async fn server_in_memory_is_called_and_its_end_is_an_error() {
    let (channel, incoming) = MeshChannel::in_memory("greeter").unwrap();
    let mut client = GreeterClient::new(channel);
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { call(&mut client).await }
    });
    let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = Server::builder().add_service(greeter).serve_with_incoming_shutdown(incoming, stopped);
    let server = tokio::spawn(server);
    assert_eq!(waiting.await.unwrap().unwrap(), "a", "a call waits for the server");
    assert_eq!(call(&mut client).await.unwrap(), "a");
    drop(stop);
    server.await.unwrap().unwrap();
    let status = until_no_endpoint(&mut client).await;
    assert_eq!((status.code(), kind(&status)), (Code::Unavailable, Some(MeshErrorKind::NoEndpoint)));
    assert!(status.message().contains("the server in memory takes no connections any more"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn timeouts_take_no_real_time_with_a_server_in_memory() {
    let (channel, incoming) = MeshChannel::in_memory("greeter").unwrap();
    let slow = GreeterServer::new(GreeterService::new("a", "v1").delay(Duration::from_secs(3600)));
    let _server = tokio::spawn(Server::builder().add_service(slow).serve_with_incoming(incoming));
    let began = std::time::Instant::now();
    let mut request = tonic::Request::new(hello("you"));
    request.set_timeout(Duration::from_secs(1800));
    let status = GreeterClient::new(channel).say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn user_agent_has_the_prefix_unless_the_call_has_its_own() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let build = |prefix: Option<&str>| {
        let builder = MeshChannel::builder("greeter").mesh(&mesh);
        let builder = match prefix {
            Some(prefix) => builder.user_agent(prefix),
            None => builder,
        };
        builder.build()
    };
    let own = concat!("mesh-tonic/", env!("CARGO_PKG_VERSION"));
    for (prefix, expected) in [(None, own.to_owned()), (Some("shop/1.4"), format!("shop/1.4 {own}"))] {
        let mut client = GreeterClient::new(build(prefix).unwrap());
        client.say_hello(hello("you")).await.unwrap();
        assert_eq!(endpoint.take_seen()[0].get("user-agent").unwrap(), expected.as_str());
    }
    let error = build(Some("shop\n")).unwrap_err();
    assert!(format!("{error:?}").contains("user agent \"shop\\n\" cannot be sent"), "{error:?}");
}

/// They belong to the mesh, which is given: nothing is passed over.
#[tokio::test]
async fn settings_of_the_mesh_are_refused_beside_a_given_mesh() {
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", []));
    let builder = || MeshChannel::builder("greeter").mesh(&mesh);
    let second = Duration::from_secs(1);
    for (name, builder) in [
        ("http2", builder().http2(Http2Settings::default())),
        ("keepalive", builder().keepalive(Keepalive::new(second))),
        ("connect_timeout", builder().connect_timeout(second)),
        ("connections", builder().connections(PoolSettings::default())),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("it is for its MeshBuilder"), "{name}: {error}");
    }
    let error = builder().snapshot("file").build().unwrap_err().to_string();
    assert!(error.contains("it is for the xds_client::Options of its client"), "{error}");
}
