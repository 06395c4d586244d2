//! Faults and header changes of our routes, made by a real Envoy.

use examples::greeter::greeter_client::GreeterClient;
use tests::envoy::Envoy;
use tests::faults::{CALLS, FaultCase, TIMEOUT_SECONDS};
use tests::headers::{HeaderCase, HeaderEndpoint};
use tests::stock::Calls;
use tests::yaml::{self, Endpoint, everything};
use tests::{ConfigDir, ControlServer, eventually};
use xds_client::transport::Variant;

use super::envoy::Stage;

async fn faults_follow_their_shares(variant: Variant) {
    for case in FaultCase::all() {
        let rules: Vec<&str> = case.rules.iter().map(String::as_str).collect();
        let Some(mut stage) = Stage::start("faults in Envoy", variant, &rules, &[("v1", &[])]).await else {
            return;
        };
        let calls = Calls::new(CALLS).concurrently(100).timeout(TIMEOUT_SECONDS).wait_for_ready();
        let report = stage.client.call(calls).await;
        assert_eq!(case.check(&report.codes), Ok(()), "{report:?}");
        stage.until_all_is_accepted().await;
    }
}

async fn delay_counts_for_the_timeout_of_the_route(variant: Variant) {
    let fault = "delay: {percentage: {value: 100}, fixedDelay: 20s}";
    let rule = format!("{{timeout: 1s, fault: {{{fault}}}, {}}}", everything());
    let Some(mut stage) = Stage::start("timeout and delay in Envoy", variant, &[&rule], &[("v1", &[])]).await
    else {
        return;
    };
    let report = stage.client.call(Calls::new(5).concurrently(5).timeout(30).wait_for_ready()).await;
    assert_eq!(report.code("DEADLINE_EXCEEDED"), 5, "{report:?}");
    assert!(report.latency_ms["max"] < 15_000.0, "{report:?}");
}

async fn headers_are_changed(variant: Variant) {
    let Some(program) = Envoy::find("headers in Envoy") else { return };
    let endpoint = HeaderEndpoint::start("v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(endpoint.address, "v1")]));
    let control = ControlServer::start(config).await;
    let envoy = Envoy::start(program, &control, variant).await;
    let client = eventually("Envoy takes a connection", async || {
        GreeterClient::connect(format!("http://{}", envoy.address)).await.map_err(|error| error.to_string())
    })
    .await;
    for case in HeaderCase::all() {
        control.config.write("routes.yaml", &case.routes);
        case.check(&endpoint, async |request| client.clone().say_hello(request).await).await;
    }
    assert_eq!(envoy.refusals().await, [""; 0]);
}

// The same behaviour, whichever way Envoy asks for its configuration.
for_each! { sotw: super::Variant::Sotw, delta: super::Variant::Delta => [
    faults_follow_their_shares,
    delay_counts_for_the_timeout_of_the_route,
    headers_are_changed,
] }
