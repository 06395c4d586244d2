//! The limits of a cluster besides that of its calls in flight.

use std::num::NonZeroU32;
use std::sync::Arc;

use mesh_core::Mesh;
use mesh_core::config::{
    CallLimits, Cluster, ClusterSettings, Forward, MaxRequests, MeshConfig, RoutingPriority,
};
use mesh_core::runtime::{FixedSource, QueuedCalls};
use mesh_tonic::{MeshChannel, MeshErrorKind, WaitForReady};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::queues::{Slow, Source};
use crate::{Client, call, client, eventually, hello, kind, raw};

/// One cluster with one endpoint.
fn config(
    address: std::net::SocketAddr,
    priority: RoutingPriority,
    change: impl FnOnce(&mut ClusterSettings),
) -> MeshConfig {
    let mut config = Config::default().cluster("greeter", &[address]);
    if let Some((_, Ok(Cluster { settings, .. }))) = config.clusters.last_mut() {
        change(Arc::make_mut(settings));
    }
    config.to(Forward::to("greeter").with_priority(priority)).build()
}

fn start(calls: &mut JoinSet<Result<(), Status>>, client: &Client, wait: bool) {
    let mut client = client.clone();
    calls.spawn(async move {
        let mut request = Request::new(hello("you"));
        request.extensions_mut().insert(WaitForReady(wait));
        client.say_hello(request).await.map(drop)
    });
}

/// An endpoint that accepts connections, and serves them only once it is told to.
async fn silent() -> (std::net::SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begin = Arc::new(Notify::new());
    let begins = begin.clone();
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        begins.notified().await;
        let mut connection = h2::server::handshake(io).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(async move { raw::echo(request, respond) });
        }
    });
    (address, begin)
}

/// Proves: LB-27.
#[tokio::test]
async fn call_fails_when_as_many_as_the_limit_wait_for_a_connection() {
    for wait in [false, true] {
        let (address, begin) = silent().await;
        let config = config(address, RoutingPriority::Default, |settings| {
            settings.limits = CallLimits::default().with_max_pending(2);
        });
        let client = client(&Mesh::fixed(config.for_target("greeter")));
        let mut calls = JoinSet::new();
        (0..3).for_each(|_| start(&mut calls, &client, wait));
        // the first that ends: the others wait for the endpoint
        let refused = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(
            (refused.code(), kind(&refused)),
            (Code::Unavailable, Some(MeshErrorKind::CircuitBreaker))
        );
        assert!(refused.message().contains("2 calls wait for a connection already"), "{refused}");
        begin.notify_one();
        while let Some(served) = calls.join_next().await {
            served.unwrap().unwrap();
        }
        let mut later = client.clone();
        call(&mut later).await.unwrap();
    }
}

/// Proves: LB-27.
#[tokio::test]
async fn calls_that_wait_for_room_count_as_pending_until_they_are_sent() {
    let slow = Slow::start().await;
    let config = config(slow.address, RoutingPriority::Default, |settings| {
        settings.limits = CallLimits::default().with_max_pending(1);
    });
    let source = Source(FixedSource::only(config.for_target("greeter")), Arc::default());
    let client = client(&Mesh::builder(source.clone()).build());
    let mut calls = JoinSet::new();
    start(&mut calls, &client, false);
    eventually("the call runs", || slow.calls() == 1).await;
    start(&mut calls, &client, false);
    let queued = [QueuedCalls::new("greeter", 1)];
    eventually("the call waits", || source.1.clusters() == queued).await;
    let refused = call(&mut client.clone()).await.unwrap_err();
    assert_eq!(kind(&refused), Some(MeshErrorKind::CircuitBreaker));
    slow.answer(1);
    calls.join_next().await.unwrap().unwrap().unwrap();
    eventually("the other call runs", || slow.calls() == 2).await;
    start(&mut calls, &client, false);
    eventually("a third call waits", || source.1.clusters() == queued).await;
    slow.answer(2);
    while let Some(served) = calls.join_next().await {
        served.unwrap().unwrap();
    }
}

/// Proves: LB-27.
#[tokio::test]
async fn cluster_makes_no_further_connection_over_its_limit() {
    for (most, expected) in [(None, 3), (Some(2), 2), (Some(0), 1)] {
        let slow = Slow::start().await;
        let config = config(slow.address, RoutingPriority::Default, |settings| {
            settings.connection.max_connections = NonZeroU32::new(3).unwrap();
            settings.limits.max_connections = most;
        });
        let source = Source(FixedSource::only(config.for_target("greeter")), Arc::default());
        let client = client(&Mesh::builder(source.clone()).build());
        let mut calls = JoinSet::new();
        (0..6).for_each(|_| start(&mut calls, &client, false));
        eventually("calls run", || slow.calls() == expected).await;
        let queued = [QueuedCalls::new("greeter", 6 - expected as u64)];
        eventually("the others wait", || source.1.clusters() == queued).await;
        slow.answer(100);
        while let Some(served) = calls.join_next().await {
            served.unwrap().unwrap();
        }
        assert_eq!(slow.connections(), expected, "limit {most:?}");
    }
}

/// Proves: LB-28.
#[tokio::test]
async fn calls_of_high_priority_have_limits_of_their_own() {
    let endpoint = Endpoint::start("a").await;
    let source = FixedSource::new();
    let limits = |settings: &mut ClusterSettings| {
        settings.limits = CallLimits::default().with_max_requests(MaxRequests(0));
        settings.high_priority_limits = CallLimits::default().with_max_requests(MaxRequests(1));
    };
    source.set("greeter", config(endpoint.address, RoutingPriority::Default, limits));
    source.set("urgent", config(endpoint.address, RoutingPriority::High, limits));
    let mesh = Mesh::new(source);
    let mut default = client(&mesh);
    let urgent = MeshChannel::builder("urgent").mesh(&mesh).build().unwrap();
    let mut urgent = Client::new(urgent);
    for _ in 0..3 {
        call(&mut urgent).await.unwrap();
        let refused = call(&mut default).await.unwrap_err();
        assert!(refused.message().contains("0 calls are in flight"), "{refused}");
    }
    let mut held = urgent.clone();
    let before = endpoint.calls();
    let held = tokio::spawn(async move { held.say_hello(crate::asking("keep-open")).await });
    eventually("the call runs", || endpoint.calls() > before).await;
    let refused = call(&mut urgent).await.unwrap_err();
    assert!(refused.message().contains("1 calls are in flight"), "{refused}");
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    call(&mut urgent).await.unwrap();
}
