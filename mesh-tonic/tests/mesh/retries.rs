//! Retries on the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use examples::greeter::greeter_client::GreeterClient;
use h2::Reason;
use mesh_core::Mesh;
use mesh_core::config::{DropCategory, Forward, MeshConfig, RetryBackoff, RetryPolicy, RetryableCodes};
use mesh_core::policy::matcher::Fraction;
use mesh_core::policy::retry::RetryBudget;
use mesh_core::runtime::FixedSource;
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshChannel, ReplayLimit};
use tonic::Code;

use crate::config::{Config, retrying, with_retries};
use crate::endpoint::Endpoint;
use crate::{asking, client, hello, raw};

fn to_one(endpoint: &Endpoint, attempts: u32) -> MeshConfig {
    Config::default().cluster("greeter", &[endpoint.address]).to(with_retries("greeter", attempts)).build()
}

/// Proves: RT-44.
#[tokio::test]
async fn retries_say_how_many_attempts_came_before() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(to_one(&endpoint, 4));
    client(&mesh).say_hello(asking("error-code-14,succeed-on-retry-attempt-2")).await.unwrap();
    let previous: Vec<_> = endpoint
        .take_seen()
        .iter()
        .map(|metadata| {
            metadata.get("grpc-previous-rpc-attempts").map(|value| value.to_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(previous, [None, Some("1".to_owned()), Some("2".to_owned())]);
}

#[tokio::test]
async fn call_fails_with_its_last_failure() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(to_one(&endpoint, 3));
    let status = client(&mesh).say_hello(asking("error-code-14")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "as rpc-behavior asked"));
    assert_eq!(endpoint.calls(), 3);
    let status = client(&mesh).say_hello(asking("error-code-5")).await.unwrap_err();
    assert_eq!((status.code(), endpoint.calls()), (Code::NotFound, 4), "not a code of the policy");
}

/// Proves: RT-39.
#[tokio::test]
async fn routes_policy_replaces_the_virtual_hosts() {
    let endpoint = Endpoint::start("a").await;
    let three = retrying(3).max_attempts;
    let never = Arc::new(RetryPolicy::new(RetryableCodes::none(), three));
    for (route, expected) in [(None, 3), (Some(retrying(2)), 2), (Some(never), 1)] {
        let mut forward = Forward::to("greeter");
        forward.retry = route;
        let config = Config { retry: Some(retrying(3)), ..Config::default() }
            .cluster("greeter", &[endpoint.address])
            .to(forward);
        let mesh = Mesh::fixed(config.build());
        client(&mesh).say_hello(asking("error-code-14")).await.unwrap_err();
        assert_eq!(endpoint.take_seen().len(), expected);
    }
}

#[tokio::test]
async fn pushback_sets_the_wait() {
    for (pushback, expected, least) in [("100", 2, 100), ("-1", 1, 0), ("nonsense", 1, 0)] {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let address = raw::serve(move |_, respond| {
            counter.fetch_add(1, Ordering::Relaxed);
            raw::push_back(respond, pushback);
        })
        .await;
        let config = Config::default().cluster("greeter", &[address]).to(with_retries("greeter", 2));
        let mesh = Mesh::fixed(config.build());
        let begin = Instant::now();
        let status = client(&mesh).say_hello(hello("you")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(count.load(Ordering::Relaxed), expected, "{pushback}");
        assert!(begin.elapsed() >= Duration::from_millis(least));
    }
}

/// Proves: RT-43, RT-51, RT-58.
#[tokio::test]
async fn call_is_committed_by_its_response_head_or_a_long_request() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let address = raw::serve(move |_, mut respond| {
        counter.fetch_add(1, Ordering::Relaxed);
        let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "14".parse().unwrap());
        respond.send_response(head, false).unwrap().send_trailers(trailers).unwrap();
    })
    .await;
    let config = Config::default().cluster("greeter", &[address]).to(with_retries("greeter", 4));
    let mesh = Mesh::fixed(config.build());
    assert_eq!(client(&mesh).say_hello(hello("you")).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(count.load(Ordering::Relaxed), 1, "the head had come");

    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(to_one(&endpoint, 4));
    for (length, expected) in [(100, 4), (2000, 1)] {
        let channel =
            MeshChannel::builder("greeter").mesh(&mesh).replay_limit(ReplayLimit(1000)).build().unwrap();
        let mut request = asking("error-code-14");
        request.get_mut().name = "x".repeat(length);
        // the endpoint has read the whole request: it answers after that
        GreeterClient::new(channel).say_hello(request).await.unwrap_err();
        assert_eq!(endpoint.take_seen().len(), expected, "{length} bytes");
    }
}

#[tokio::test]
async fn streamed_requests_are_replayed() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(to_one(&endpoint, 3));
    let mut request = tonic::Request::new(tokio_stream::iter(["x", "y", "z"].map(hello)));
    let behavior = "error-code-14,succeed-on-retry-attempt-2".parse().unwrap();
    request.metadata_mut().insert("rpc-behavior", behavior);
    let reply = client(&mesh).gather_hellos(request).await.unwrap().into_inner();
    assert_eq!((reply.message.as_str(), endpoint.calls()), ("hello x, y, z", 3));
}

#[tokio::test]
async fn retry_goes_to_another_endpoint() {
    let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
    let config = Config::default().cluster("greeter", &[a.address, b.address]).to(with_retries("greeter", 2));
    let mesh = Mesh::fixed(config.build());
    let mut client = client(&mesh);
    crate::eventually("both are connected", || a.connections() + b.connections() == 2).await;
    for _ in 0..50 {
        client.say_hello(asking("hostname=a,error-code-14")).await.unwrap();
    }
}

/// Proves: RT-45.
#[tokio::test]
async fn transparent_retry_repeats_refused_call_once_and_unsent_always() {
    for forward in [Forward::to("greeter"), with_retries("greeter", 2)] {
        for (refused, succeeds) in [(1, true), (2, forward.retry.is_some()), (9, false)] {
            let count = Arc::new(AtomicUsize::new(0));
            let counter = count.clone();
            let address = raw::serve(move |request, mut respond| {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                // the transparent retry does not count
                assert_eq!(request.headers().contains_key("grpc-previous-rpc-attempts"), number > 1);
                match number < refused {
                    true => respond.send_reset(Reason::REFUSED_STREAM),
                    false => raw::echo(request, respond),
                }
            })
            .await;
            let config = Config::default().cluster("greeter", &[address]).to(forward.clone());
            let mesh = Mesh::fixed(config.build());
            let result = client(&mesh).say_hello(hello("you")).await;
            assert_eq!(result.is_ok(), succeeds, "{refused} refusals: {result:?}");
            let attempts = if forward.retry.is_some() { 3 } else { 2 };
            assert_eq!(count.load(Ordering::Relaxed), attempts.min(refused + 1));
        }
    }
    // unsent: every connection is gone after one call, and each call finds that out for itself
    let address = raw::serve_once_per_connection().await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [address]));
    let mut client = client(&mesh);
    for _ in 0..5 {
        client.say_hello(hello("you")).await.unwrap();
    }
}

/// Proves: RT-46, RT-47.
#[tokio::test]
async fn drops_are_final_and_unreachable_endpoints_may_be_retried() {
    let endpoint = Endpoint::start("a").await;
    let everything = vec![DropCategory { category: "all".into(), fraction: Fraction::ALL }];
    let config = Config::default()
        .dropping("greeter", &[endpoint.address], everything)
        .to(with_retries("greeter", 3))
        .build();
    let mesh = Mesh::fixed(config);
    let mut client = client(&mesh);
    let mut request = tonic::Request::new(hello("you"));
    request.extensions_mut().insert(mesh_tonic::WaitForReady(true));
    let status = client.say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("dropped (all)"), "{status}");

    let address = reserved_address();
    let backoff = RetryBackoff { initial: Duration::from_secs(2), max: Duration::from_secs(2) };
    let patient = Forward::to("greeter").with_retry(RetryPolicy::clone(&retrying(5)).with_backoff(backoff));
    let mesh = Mesh::fixed(Config::default().cluster("greeter", &[address]).to(patient).build());
    let mut client = crate::client(&mesh);
    let waiting = tokio::spawn(async move { crate::call(&mut client).await });
    let _endpoint = Endpoint::start_at("late", address).await;
    assert_eq!(waiting.await.unwrap().unwrap(), "late");
}

/// The cluster's own limit comes before the mesh's budget, which would allow three.
// LB-27, LB-28
#[tokio::test]
async fn clusters_own_limit_decides_how_many_calls_are_retried() {
    let rows = [(RetryBudget::default(), 2), (RetryBudget::at_most(1), 2), (RetryBudget::at_most(0), 1)];
    for (limit, attempts) in rows {
        let endpoint = Endpoint::start("a").await;
        let cluster = Config::default().cluster("greeter", &[endpoint.address]).with_retry_budget(limit);
        let mesh = Mesh::fixed(cluster.to(with_retries("greeter", 2)).build());
        client(&mesh).say_hello(asking("error-code-14")).await.unwrap_err();
        assert_eq!(endpoint.calls(), attempts, "{limit:?}");
    }
}

#[tokio::test]
async fn retry_budget_limits_requests_in_an_outage() {
    let endpoint = Endpoint::start("a").await;
    let mut budget = RetryBudget::default();
    budget.minimum = 0;
    let mesh = Mesh::builder(FixedSource::any(to_one(&endpoint, 3))).retry_budget(budget).build();
    let client = client(&mesh);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    client.say_hello(asking("sleep-1ms,error-code-14")).await.unwrap_err();
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let requests = endpoint.calls();
    assert!((2100..=2500).contains(&requests), "{requests} requests for 2000 calls");
}
