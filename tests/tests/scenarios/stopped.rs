//! Scenario 28: an endpoint is stopped: its connections live, and nothing answers.

use std::time::Duration;

use nix::sys::signal::Signal;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Scenario, within};
use tonic::{Code, Request};

/// What keeps a stopped endpoint from getting calls: `what` of a DestinationRule. `returns`: whether it gets calls when it goes on.
async fn survive(scenario: &Scenario, what: &str, returns: bool) {
    let mut greeters = Vec::new();
    for number in 0..4 {
        greeters.push(Greeter::start(&format!("e{number}"), "v1").await);
    }
    let in_turn = format!("loadBalancer: {{simple: ROUND_ROBIN}}, {what}");
    let config = ConfigDir::new();
    let endpoints: Vec<_> = greeters.iter().map(|greeter| Endpoint::new(greeter.address, "v1")).collect();
    config.write("service.yaml", &(yaml::service_entry(&endpoints) + &yaml::destination_rule(&in_turn)));
    // No retries: what goes on is to go on without them.
    config.write(
        "routes.yaml",
        &yaml::routes(&[&format!("{{{}, retries: {{attempts: 0}}}}", yaml::everything())]),
    );
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    for number in 0..4 {
        client.until_answers(&format!("e{number}")).await;
    }
    greeters[0].process.signal(Signal::SIGSTOP);
    let deadline = Duration::from_millis(500);
    let call = async || {
        let mut request = Request::new(examples::greeter::HelloRequest::default());
        request.set_timeout(deadline);
        client.greeter().say_hello(request).await
    };
    let (mut failed, mut good) = (0, 0);
    let (_, out) = within(Duration::from_secs(10), "the stopped endpoint gets no calls", async || {
        // Two rounds over all four endpoints without a failure.
        while good < 8 {
            if let Err(status) = call().await {
                (failed, good) = (failed + 1, 0);
                let expected = [Code::DeadlineExceeded, Code::Unavailable];
                assert!(expected.contains(&status.code()), "{status}");
                return Err(status.to_string());
            }
            good += 1;
        }
        Ok(())
    })
    .await;
    for number in 0..scenario.pick(200, 10_000) {
        if let Err(status) = call().await {
            panic!("call {number} after the endpoint was left out: {status}");
        }
    }
    scenario.figure("failed, out after", format_args!("{failed}, {out:.2?}"));
    greeters[0].process.signal(Signal::SIGCONT);
    if returns {
        client.until_answers("e0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_endpoint_is_found_by_keepalive() {
    let scenario = Scenario::begin("28 stopped, keepalive").await;
    survive(&scenario, "connectionPool: {http: {http2KeepAlive: {interval: 1s, timeout: 1s}}}", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_endpoint_is_ejected_for_its_timeouts() {
    let scenario = Scenario::begin("28 stopped, outlier").await;
    let detection = "outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 300s, maxEjectionPercent: 25}";
    survive(&scenario, detection, false).await;
}
