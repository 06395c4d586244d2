//! The circuit breaker: what counts, and for how long.

use examples::greeter::HelloRequest;
use mesh_core::Mesh;
use mesh_core::config::{DropCategory, Forward, MaxRequests};
use mesh_core::policy::matcher::Fraction;
use mesh_core::runtime::{FixedSource, MeshError};
use mesh_tonic::WaitForReady;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::config::{Config, with_retries};
use crate::endpoint::Endpoint;
use crate::{asking, call, client, hello, raw};

fn limited(endpoint: &Endpoint, limit: u32) -> mesh_core::config::MeshConfig {
    let limit = MaxRequests(limit);
    Config::default().limited("greeter", &[endpoint.address], limit).to(Forward::to("greeter")).build()
}

fn is(status: &Status, question: fn(&MeshError) -> bool) -> bool {
    let source = std::error::Error::source(status);
    source.and_then(|source| source.downcast_ref::<MeshError>()).is_some_and(question)
}

fn is_overload(status: &Status) -> bool {
    is(status, MeshError::is_overload)
}

fn is_unsent(status: &Status) -> bool {
    is(status, MeshError::is_unsent)
}

#[tokio::test]
async fn stream_in_progress_keeps_its_place_until_its_trailers() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(limited(&endpoint, 1));
    let mut client = client(&mesh);
    let (sender, names) = mpsc::channel(1);
    let mut replies = client.chat(ReceiverStream::new(names)).await.unwrap().into_inner();
    sender.send(hello("you")).await.unwrap();
    replies.message().await.unwrap().unwrap();

    let status = call(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(is_overload(&status), "{status}");
    drop(sender);
    assert!(replies.message().await.unwrap().is_none());
    call(&mut client).await.unwrap();

    let dropped = client.say_hellos(HelloRequest { name: "you".to_owned(), count: 1000 }).await.unwrap();
    assert!(call(&mut client).await.is_err());
    drop(dropped);
    call(&mut client).await.unwrap();
}

#[tokio::test]
async fn places_are_given_back_however_a_call_ends() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(limited(&endpoint, 1));
    let mut client = client(&mesh);
    for _ in 0..3 {
        client.say_hello(asking("error-code-5")).await.unwrap_err();
        let mut late = asking("keep-open");
        late.set_timeout(std::time::Duration::from_millis(20));
        client.say_hello(late).await.unwrap_err();
        let mut abandoned = client.clone();
        let call = tokio::spawn(async move { abandoned.say_hello(asking("keep-open")).await });
        let before = endpoint.calls();
        crate::eventually("the call has arrived", || endpoint.calls() > before || call.is_finished()).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    call(&mut client).await.unwrap();
}

/// M1: the first attempt has reached the endpoint, and only the second one has not left.
#[tokio::test]
async fn retry_refused_by_circuit_breaker_does_not_count_as_unsent() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let address = raw::serve(move |_, respond| arrived.send(respond).unwrap()).await;
    let limited = |limit| {
        let config = Config::default().limited("greeter", &[address], MaxRequests(limit));
        config.to(with_retries("greeter", 3)).build()
    };
    let source = FixedSource::any(limited(1));
    let mut client = client(&Mesh::new(source.clone()));
    let mut retried = client.clone();
    let retried = tokio::spawn(async move { call(&mut retried).await });
    let respond = arrivals.recv().await.unwrap();
    source.set("greeter", limited(0));
    let refused = call(&mut client).await.unwrap_err();
    assert!(is_overload(&refused) && is_unsent(&refused), "it never left: {refused}");
    raw::push_back(respond, "1");
    let status = retried.await.unwrap().unwrap_err();
    assert!(is_overload(&status), "{status}");
    assert!(!is_unsent(&status), "an attempt has reached the endpoint: {status}");
    assert!(arrivals.try_recv().is_err(), "and no other one");
}

#[tokio::test]
async fn channels_of_all_targets_count_together_and_limits_change_while_calls_run() {
    let endpoint = Endpoint::start("a").await;
    let source = FixedSource::new();
    let set = |limit| {
        for target in ["greeter", "other"] {
            source.set(target, limited(&endpoint, limit));
        }
    };
    set(3);
    let mesh = Mesh::new(source.clone());
    let other = mesh_tonic::MeshChannel::builder("other").mesh(&mesh).build().unwrap();
    let mut other = examples::greeter::greeter_client::GreeterClient::new(other);
    let mut client = client(&mesh);
    let mut held = Vec::new();
    for holder in [&client, &other, &client] {
        let mut holder = holder.clone();
        held.push(tokio::spawn(async move { holder.say_hello(asking("keep-open")).await }));
        crate::eventually("the call has arrived", || endpoint.calls() == held.len()).await;
    }
    assert!(is_overload(&call(&mut client).await.unwrap_err()));
    assert!(is_overload(&call(&mut other).await.unwrap_err()));
    set(4);
    let mut passed = false;
    for _ in 0..100 {
        passed |= call(&mut client).await.is_ok();
        tokio::task::yield_now().await;
    }
    assert!(passed, "the new limit holds");
    set(2);
    tokio::task::yield_now().await;
    for call in held {
        call.abort();
    }
    let mut freed = false;
    for _ in 0..100 {
        freed |= call(&mut other).await.is_ok();
        tokio::task::yield_now().await;
    }
    assert!(freed, "those that are gone do not count");
}

/// Proves: LB-22, LB-77.
#[tokio::test]
async fn drops_apply_before_limit_while_an_endpoint_is_ready() {
    let endpoint = Endpoint::start("a").await;
    let refusing = mesh_core::testing::reserved_address();
    let category = |name: &str, fraction| DropCategory { category: name.into(), fraction };
    let (all, none) = (Fraction::ALL, Fraction::per_million(0));
    let rows = [
        (endpoint.address, vec![category("x", none), category("y", all), category("z", all)], "dropped (y)"),
        (endpoint.address, vec![category("x", none)], "0 calls are in flight"),
        (refusing, vec![category("x", all)], "refused"),
    ];
    for (address, drops, text) in rows {
        let config = Config::default()
            .dropping_and_limited("greeter", &[address], drops, MaxRequests(0))
            .to(with_retries("greeter", 2));
        let mut client = client(&Mesh::fixed(config.build()));
        let status = call(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains(text), "{text:?} is not in {:?}", status.message());
        if address == endpoint.address {
            let mut patient = tonic::Request::new(hello("you"));
            patient.extensions_mut().insert(WaitForReady(true));
            let status = client.say_hello(patient).await.unwrap_err();
            assert!(status.message().contains(text), "a patient call is refused as well: {status}");
        }
    }
    let half = Fraction::per_million(500_000);
    let config = Config::default()
        .dropping("greeter", &[endpoint.address], vec![category("x", half), category("y", half)])
        .to(with_retries("greeter", 5));
    let mut client = client(&Mesh::builder(FixedSource::any(config.build())).seed(22).build());
    let mut dropped = 0_usize;
    for _ in 0..1000 {
        dropped += usize::from(call(&mut client).await.is_err());
    }
    assert!(dropped.abs_diff(750) <= 50, "two draws, and no retry: {dropped}");
}
