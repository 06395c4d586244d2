//! Faults of routes, injected by stock gRPC. `mesh` has the same cases for our own client.

use tests::faults::{CALLS, FaultCase, TIMEOUT_SECONDS};
use tests::stock::{Calls, Client};
use tests::yaml::everything;

use super::grpc::until_everything_is_accepted;
use super::stage::{Language, Stage};

/// A client that has its configuration. The first call of a new process may take seconds where the machine is busy.
async fn client(stage: &Stage) -> Client {
    let mut client = stage.client().await;
    client.call(Calls::new(1).timeout(1)).await;
    until_everything_is_accepted(&mut client).await;
    client
}

async fn faults_follow_their_shares(language: Language) {
    for case in FaultCase::all() {
        let rules: Vec<&str> = case.rules.iter().map(String::as_str).collect();
        let Some(stage) = Stage::with_rules(language, "faults", &["v1"], &rules).await else { return };
        let calls = Calls::new(CALLS).concurrently(100).timeout(TIMEOUT_SECONDS).wait_for_ready();
        let mut client = client(&stage).await;
        let report = client.call(calls).await;
        assert_eq!(case.check(&report.codes), Ok(()), "{report:?}");
    }
}

async fn call_may_be_delayed_and_then_aborted(language: Language) {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 500ms}, abort: {percentage: {value: 100}, httpStatus: 404}";
    let rule = format!("{{fault: {{{fault}}}, {}}}", everything());
    let Some(stage) = Stage::with_rules(language, "faults at once", &["v1"], &[&rule]).await else { return };
    let report = client(&stage).await.call(Calls::new(10).concurrently(10).wait_for_ready()).await;
    assert_eq!(report.code("UNIMPLEMENTED"), 10, "{report:?}");
    assert!(report.latency_ms["p50"] >= 490.0, "{report:?}");
}

async fn delay_counts_for_the_timeout_of_the_route(language: Language) {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 20s}";
    let rule = format!("{{timeout: 4s, fault: {{{fault}}}, {}}}", everything());
    let Some(stage) = Stage::with_rules(language, "timeout and delay", &["v1"], &[&rule]).await else {
        return;
    };
    let report = client(&stage).await.call(Calls::new(5).concurrently(5).timeout(30).wait_for_ready()).await;
    assert_eq!(report.code("DEADLINE_EXCEEDED"), 5, "{report:?}");
    assert!(report.latency_ms["max"] < 15_000.0, "{report:?}");
}

/// gRPC for Go and for Java counts the time of the route after the delay: the opposite of the test above.
async fn delay_does_not_count_for_the_timeout_of_the_route(language: Language) {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 2s}";
    let rule = format!("{{timeout: 1s, fault: {{{fault}}}, {}}}", everything());
    let Some(stage) = Stage::with_rules(language, "timeout after delay", &["v1"], &[&rule]).await else {
        return;
    };
    let report = client(&stage).await.call(Calls::new(5).concurrently(5).wait_for_ready()).await;
    assert_eq!(report.failed(), 0, "{report:?}");
    assert!(report.latency_ms["p50"] >= 1_990.0, "{report:?}");
}

// The same behaviour, whichever language the client is written in.
for_each! { python: super::Language::Python, node: super::Language::Node => [
    faults_follow_their_shares,
    call_may_be_delayed_and_then_aborted,
    delay_counts_for_the_timeout_of_the_route,
] }

for_each! { go: super::Language::Go, java: super::Language::Java => [
    faults_follow_their_shares,
    call_may_be_delayed_and_then_aborted,
    delay_does_not_count_for_the_timeout_of_the_route,
] }
