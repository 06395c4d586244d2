//! Faults of routes, injected by our client. `interop` has the same cases for stock gRPC and for Envoy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use examples::greeter::HelloRequest;
use tests::faults::{CALLS, FaultCase, TIMEOUT_SECONDS};
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint, everything};
use tests::{ConfigDir, ControlServer, Greeter};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

/// An endpoint, and a client of these rules that draws from this seed.
async fn mesh(rules: &[&str], seed: u64) -> (MeshClient, ControlServer, Greeter) {
    let greeter = Greeter::start("e0", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    config.write("route.yaml", &yaml::routes(rules));
    let control = ControlServer::start(config).await;
    (MeshClient::with_seed(&control, seed), control, greeter)
}

/// Calls at the same time, each with its status and how long it took.
async fn calls(client: &MeshClient, count: u32, timeout: Duration) -> Vec<(Code, Duration)> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let mut greeter = client.greeter();
        calls.spawn(async move {
            let mut request = Request::new(HelloRequest::default());
            request.set_timeout(timeout);
            let began = Instant::now();
            let status = greeter.say_hello(request).await.err().unwrap_or_else(|| Status::ok(""));
            (status.code(), began.elapsed())
        });
    }
    calls.join_all().await
}

/// gRPC's name of a status.
fn name(code: Code) -> String {
    let mut name = String::new();
    for (index, character) in format!("{code:?}").char_indices() {
        if character.is_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

/// On one thread, so that a seed draws the same again.
#[tokio::test]
async fn faults_follow_their_shares() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    for case in FaultCase::all() {
        let rules: Vec<&str> = case.rules.iter().map(String::as_str).collect();
        let (client, _control, _greeter) = mesh(&rules, seed).await;
        let mut counts = BTreeMap::new();
        for (code, _) in calls(&client, CALLS, Duration::from_secs(TIMEOUT_SECONDS.into())).await {
            let code = if code == Code::Ok { "OK".to_owned() } else { name(code) };
            *counts.entry(code).or_default() += 1;
        }
        assert_eq!(case.check(&counts), Ok(()), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_may_be_delayed_and_then_aborted() {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 500ms}, abort: {percentage: {value: 100}, httpStatus: 404}";
    let (client, _control, _greeter) = mesh(&[&format!("{{fault: {{{fault}}}, {}}}", everything())], 1).await;
    for (code, took) in calls(&client, 10, Duration::from_secs(20)).await {
        assert_eq!(code, Code::Unimplemented);
        assert!(took >= Duration::from_millis(500), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delay_counts_for_the_timeout_of_the_route() {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 20s}";
    let rule = format!("{{timeout: 1s, fault: {{{fault}}}, {}}}", everything());
    let (client, _control, _greeter) = mesh(&[&rule], 1).await;
    for (code, took) in calls(&client, 10, Duration::from_secs(60)).await {
        assert_eq!(code, Code::DeadlineExceeded);
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
}
