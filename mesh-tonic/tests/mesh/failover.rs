//! Endpoints that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::{FixedSource, PoolSettings};
use mesh_core::testing::reserved_address;
use mesh_tonic::WaitForReady;
use tonic::{Code, Request};

use crate::endpoint::Endpoint;
use crate::{call, calls, client, eventually, hello, raw};

#[tokio::test]
async fn one_refusing_endpoint_of_two_fails_no_call() {
    let live = Endpoint::start("live").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [reserved_address(), live.address]));
    let mut client = client(&mesh);
    for number in 0..10_000 {
        call(&mut client).await.unwrap_or_else(|status| panic!("call {number}: {status}"));
    }
}

/// C1: an endpoint that says GOAWAY with every answer is connected again at once. A single backoff would be a minute.
#[tokio::test]
async fn connections_that_served_are_replaced_without_backoff() {
    let address = raw::serve_once_per_connection().await;
    let mut settings = PoolSettings::default();
    settings.subchannel.backoff.initial = Duration::from_secs(60);
    let source = FixedSource::any(MeshConfig::to_endpoints("greeter", [address]));
    let client = client(&Mesh::builder(source).connections(settings).build());
    let all = calls(&client, 8, 50);
    tokio::time::timeout(Duration::from_secs(40), all).await.expect("no call meets a backoff");
}

/// Y2: the endpoint takes connections and no calls.
#[tokio::test]
async fn waiting_calls_move_when_their_endpoint_leaves() {
    let full = raw::serve_at_once(0, |_, _| panic!("it takes no call")).await;
    let other = Endpoint::start("other").await;
    let source = FixedSource::any(MeshConfig::to_endpoints("greeter", [full]));
    let client = client(&Mesh::new(source.clone()));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let mut request = Request::new(hello("you"));
                request.set_timeout(Duration::from_secs(60));
                client.say_hello(request).await.map(|reply| reply.into_inner().endpoint)
            })
        })
        .collect();
    // A call that would not wait long tells when the others wait.
    let mut late = client.clone();
    let mut request = Request::new(hello("you"));
    request.set_timeout(Duration::from_millis(200));
    let status = late.say_hello(request).await.unwrap_err();
    assert!(status.message().contains("waiting for room"), "{status}");
    source.set("greeter", MeshConfig::to_endpoints("greeter", [other.address]));
    let all = async {
        for call in waiting {
            assert_eq!(call.await.unwrap().unwrap(), "other");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("long before their deadlines");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_under_load_fails_no_call() {
    let mut endpoints = Vec::new();
    for name in ["a", "b", "c"] {
        endpoints.push(Some(Endpoint::start(name).await));
    }
    let addresses: Vec<_> = endpoints.iter().flatten().map(|endpoint| endpoint.address).collect();
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", addresses.clone()));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, stop, done) = (client(&mesh), stop.clone(), done.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    call(&mut client).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, tonic::Status>(())
            })
        })
        .collect();
    eventually("all are connected", || endpoints.iter().flatten().all(|endpoint| endpoint.calls() > 0)).await;
    for round in 0..9 {
        let index = round % endpoints.len();
        endpoints[index].take().unwrap().stop().await;
        let restarted = Endpoint::start_at("again", addresses[index]).await;
        let before = done.load(Ordering::Relaxed);
        endpoints[index] = Some(restarted);
        eventually("calls go on", || done.load(Ordering::Relaxed) > before + 200).await;
        // a second's backoff at least lies between a refused attempt and the next one
        let endpoint = endpoints[index].as_ref().unwrap();
        eventually("the restarted endpoint takes calls", || endpoint.calls() > 0).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap().unwrap();
    }
}

/// Proves: LB-77.
#[tokio::test]
async fn fail_fast_calls_fail_and_waiting_ones_wait_for_an_endpoint() {
    let address = reserved_address();
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
    let mut client = client(&mesh);
    let status = call(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let text = status.message();
    assert!(text.contains(&address.to_string()) && text.contains("efused"), "{text}");

    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move {
        let mut request = Request::new(hello("you"));
        request.extensions_mut().insert(WaitForReady(true));
        waiting.say_hello(request).await
    });
    let patient =
        mesh_tonic::MeshChannel::builder("greeter").mesh(&mesh).wait_for_ready(true).build().unwrap();
    let mut patient = examples::greeter::greeter_client::GreeterClient::new(patient);
    let patient = tokio::spawn(async move { call(&mut patient).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished() && !patient.is_finished());
    let _endpoint = Endpoint::start_at("late", address).await;
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().endpoint, "late");
    assert_eq!(patient.await.unwrap().unwrap(), "late");
}
