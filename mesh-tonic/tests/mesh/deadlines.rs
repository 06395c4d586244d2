//! Deadlines, over all attempts and until the last byte.

use std::time::{Duration, Instant};

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_core::config::{Forward, MeshConfig};
use mesh_core::policy::timeout::parse_grpc_timeout;
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshChannel, MeshErrorKind, WaitForReady};
use tonic::{Code, Request};

use crate::config::{Config, retrying};
use crate::endpoint::Endpoint;
use crate::{asking, client, hello};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn shortest_timeout_ends_call_and_is_sent_to_endpoint() {
    let endpoint = Endpoint::start("a").await;
    // application, channel's default, route, listener: each is the shortest once
    let rows = [
        (Some(ms(80)), Some(ms(10)), Some(ms(60_000)), None),
        (None, Some(ms(80)), Some(ms(60_000)), None),
        (Some(ms(60_000)), None, Some(ms(80)), Some(ms(10))),
        (Some(ms(60_000)), None, None, Some(ms(80))),
    ];
    for row in rows {
        let (application, channel, route, listener) = row;
        let mut forward = Forward::to("greeter");
        forward.max_stream_duration = route;
        let config = Config { max_stream_duration: listener, ..Config::default() }
            .cluster("greeter", &[endpoint.address])
            .to(forward);
        let mesh = Mesh::fixed(config.build());
        let mut builder = MeshChannel::builder("greeter").mesh(&mesh);
        if let Some(timeout) = channel {
            builder = builder.default_timeout(timeout);
        }
        let mut client = GreeterClient::new(builder.build().unwrap());
        let mut request = asking("keep-open");
        if let Some(timeout) = application {
            request.set_timeout(timeout);
        }
        let begin = Instant::now();
        let status = client.say_hello(request).await.unwrap_err();
        let took = begin.elapsed();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{row:?}: {status}");
        assert!(took >= ms(80) && took < ms(30_000), "{row:?}: {took:?}");
        for metadata in endpoint.take_seen() {
            let told = parse_grpc_timeout(metadata.get("grpc-timeout").unwrap().as_bytes()).unwrap();
            assert!(told <= ms(80) && told > ms(1), "{row:?}: {told:?}");
        }
    }
}

#[tokio::test]
async fn call_without_any_timeout_has_none() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    client(&mesh).say_hello(asking("sleep-50ms")).await.unwrap();
    assert!(endpoint.take_seen().iter().all(|metadata| metadata.get("grpc-timeout").is_none()));
}

/// Proves: RT-35.
#[tokio::test]
async fn timeout_spans_all_attempts() {
    let endpoint = Endpoint::start("a").await;
    let config = Config::default()
        .cluster("greeter", &[endpoint.address])
        .to(Forward::to("greeter").with_retry(retrying(5)));
    let mesh = Mesh::fixed(config.build());
    // Long, so that a busy machine still has time for the third attempt before the deadline.
    let mut request = asking("sleep-800ms,error-code-14");
    request.set_timeout(ms(2000));
    let begin = Instant::now();
    let status = client(&mesh).say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(begin.elapsed() < ms(3500), "five attempts would take 4 s");
    let told: Vec<_> = endpoint
        .take_seen()
        .iter()
        .map(|metadata| parse_grpc_timeout(metadata.get("grpc-timeout").unwrap().as_bytes()).unwrap())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.windows(2).all(|pair| pair[1] + ms(700) < pair[0]), "each is told what is left: {told:?}");
}

#[tokio::test]
async fn stream_ends_at_the_deadline() {
    let address = crate::raw::serve(|_, mut respond| {
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream.send_data(bytes::Bytes::from_static(&[0, 0, 0, 0, 0]), false).unwrap();
        std::mem::forget(stream);
    })
    .await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
    let mut request = Request::new(HelloRequest { name: "you".to_owned(), count: 5 });
    request.set_timeout(ms(100));
    let mut replies = client(&mesh).say_hellos(request).await.unwrap().into_inner();
    assert!(replies.message().await.unwrap().is_some());
    let status = replies.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

/// M2: as many streams as the circuit breaker allows by default, and their callers do not poll them.
#[tokio::test]
async fn unpolled_streams_give_up_their_places_at_their_deadlines() {
    let address = crate::raw::serve(|_, mut respond| {
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        std::mem::forget(respond.send_response(head, false).unwrap());
    })
    .await;
    let client = client(&Mesh::fixed(MeshConfig::to_endpoints("greeter", [address])));
    let end = Instant::now() + ms(4000);
    let open = || {
        let mut client = client.clone();
        let mut request = Request::new(HelloRequest { name: "you".to_owned(), count: 5 });
        request.set_timeout(end.saturating_duration_since(Instant::now()));
        async move { client.say_hellos(request).await.map(tonic::Response::into_inner) }
    };
    let mut streams = Vec::new();
    for _ in 0..1024 {
        streams.push(open().await.unwrap());
    }
    let refused = open().await.map(drop).unwrap_err();
    assert_eq!(crate::kind(&refused), Some(MeshErrorKind::CircuitBreaker), "{refused}");
    assert!(Instant::now() < end, "all of this took longer than the deadline");
    let mut late = client.clone();
    for _ in 0..1000 {
        match late.say_hellos(hello("you")).await {
            Ok(_) => return assert!(Instant::now() >= end, "no place is free before"),
            Err(_) => tokio::time::sleep(ms(10)).await,
        }
    }
    panic!("{} streams hold the circuit breaker full", streams.len());
}

#[tokio::test]
async fn waiting_call_fails_at_deadline_with_the_reason() {
    let address = reserved_address();
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
    let mut request = Request::new(hello("you"));
    request.extensions_mut().insert(WaitForReady(true));
    request.set_timeout(ms(100));
    let status = client(&mesh).say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let text = status.message();
    assert!(text.contains("waiting for an endpoint") && text.contains(&address.to_string()), "{text}");
}

#[tokio::test]
async fn call_past_deadline_is_not_sent() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mut client = client(&mesh);
    client.say_hello(hello("warm")).await.unwrap();
    let mut request = Request::new(hello("you"));
    request.set_timeout(Duration::ZERO);
    assert_eq!(client.say_hello(request).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(endpoint.calls(), 1);
}
