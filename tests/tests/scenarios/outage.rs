//! The control-server is not there: killed, not started yet, and endpoints that die meanwhile.

use std::time::{Duration, Instant};

use examples::greeter::HelloRequest;
use mesh_core::testing::reserved_address;
use mesh_tonic::WaitForReady;
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::relay::{Condition, Relay};
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Scenario, eventually, within};
use tonic::{Code, Request};
use xds_client::Options;
use xds_client::protocol::BackoffSettings;

use crate::stage::{Stage, assert_all_acked, until_lost, until_version};

/// The waits of a client that has to be back within five seconds: its longest wait is shorter.
fn prompt() -> Options {
    let backoff = BackoffSettings::new(Duration::from_secs(1), Duration::from_secs(3));
    Options::default().with_backoff(backoff)
}

/// Scenario 1.
#[tokio::test(flavor = "multi_thread")]
async fn killed_control_server_fails_no_call_and_is_used_after_restart() {
    let scenario = Scenario::begin("1 killed").await;
    let mut stage = Stage::start().await;
    let client = MeshClient::with(&stage.control.bootstrap("n1"), prompt());
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let load = Paced::start(&client.channel, scenario.pick(200, 1000));
    load.during(scenario.pick(Duration::from_millis(500), Duration::from_secs(5))).await;
    let before = load.during(scenario.pick(Duration::from_secs(1), Duration::from_secs(30))).await;
    stage.control.kill().await;
    let lost = until_lost(&client, Duration::from_secs(2)).await;
    stage.route_to("v2");
    let without = load.during(scenario.pick(Duration::from_secs(3), Duration::from_secs(600))).await;
    assert!(!client.xds.status().connected);
    assert_all_acked(&client);
    stage.control.restart().await;
    let live = until_version(&client, "v2", Duration::from_secs(5)).await;
    let after = load.stop().await;
    for outcome in [&before, &without, &after] {
        outcome.assert_no_failures();
    }
    let (p99_before, p99) = (before.percentile(99.0), without.percentile(99.0));
    // What a busy machine adds to one of the two is no fault of the client.
    let noise = scenario.pick(Duration::from_secs(1), Duration::from_millis(1));
    assert!(p99 <= p99_before.mul_f64(1.1) + noise, "{p99_before:?} before, {p99:?} without");
    scenario.figure("connected=0 after", format_args!("{lost:.2?}"));
    scenario.figure("calls without it, 0 failed", without.times.len());
    scenario.figure("p99 before, without", format_args!("{p99_before:.2?}, {p99:.2?}"));
    scenario.figure("new configuration live after", format_args!("{live:.2?}"));
}

/// Scenario 4.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_refuse_or_reset_cost_no_call_without_a_control_server() {
    let scenario = Scenario::begin("4 dead endpoints").await;
    let alive = Greeter::start("alive", "v1").await;
    let refusing = reserved_address();
    let mut dying = Relay::start(alive.address).await;
    let config = ConfigDir::new();
    let endpoints = [alive.address, refusing, dying.address].map(|address| Endpoint::new(address, "v1"));
    config.write("service.yaml", &yaml::service(&endpoints));
    let mut control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.hello().await.unwrap();
    control.kill().await;
    dying.set(Condition::Reset).await;
    let died = Instant::now();
    // A call that was in flight then would fail rightly: the client cannot know whether the endpoint has processed it.
    eventually("its death is noticed", async || match dying.arrivals_since(died) {
        0 => Err("no client has tried to connect again".to_owned()),
        _ => Ok(()),
    })
    .await;
    let calls = scenario.pick(3_000, 10_000);
    let mut greeter = client.greeter();
    let mut failures = Vec::new();
    for _ in 0..calls {
        if let Err(status) = greeter.say_hello(HelloRequest { name: "x".to_owned(), count: 1 }).await {
            failures.push(status.to_string());
        }
    }
    assert_eq!(failures.first(), None, "{} of {calls} failed", failures.len());
    let (attempts, seconds) = (dying.arrivals_since(died), died.elapsed().as_secs_f64());
    // The shortest wait is 0.8 s, and each is longer than the one before.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let allowed = 2 + (seconds / 0.8) as usize;
    assert!(attempts <= allowed, "{attempts} attempts to connect in {seconds:.1} s");
    scenario.figure("calls, 0 failed", calls);
    scenario.figure("attempts to connect to the dead one", format_args!("{attempts} in {seconds:.1} s"));
}

/// Scenario 5: the text names what failed, why, that the control-server is away, and for how long.
#[tokio::test(flavor = "multi_thread")]
async fn call_without_endpoints_and_control_server_fails_with_reason() {
    let scenario = Scenario::begin("5 all gone").await;
    let mut stage = Stage::start().await;
    let client = MeshClient::of(&stage.control);
    until_version(&client, "v1", Duration::from_secs(10)).await;
    stage.control.kill().await;
    for greeter in &mut stage.greeters {
        greeter.process.kill().await;
    }
    let deadline = Duration::from_secs(2);
    let xds = stage.control.addresses.xds.to_string();
    let endpoint = stage.greeters[0].address.to_string();
    let parts = [yaml::HOST, &endpoint, "refused", &xds, "unreachable for", "rust-client"];
    let probe = async || {
        let mut request = Request::new(HelloRequest::default());
        request.set_timeout(deadline);
        let began = Instant::now();
        let status = client.greeter().say_hello(request).await.unwrap_err();
        assert!(
            began.elapsed() <= deadline + scenario.pick(Duration::from_secs(10), Duration::from_millis(500)),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let text = status.message().to_owned();
        if parts.iter().all(|part| text.contains(part)) { Ok(text) } else { Err(text) }
    };
    let (text, after) = within(Duration::from_secs(5), "the text names all of it", probe).await;
    scenario.figure("said after", format_args!("{after:.2?}"));
    scenario.figure("text", text);
}

/// Scenario 6.
#[tokio::test(flavor = "multi_thread")]
async fn client_started_first_waits_for_control_server() {
    let scenario = Scenario::begin("6 client first").await;
    let mut stage = Stage::start().await;
    stage.control.kill().await;
    let options = prompt();
    let longest = options.backoff.max.mul_f64(1.0 + options.backoff.jitter);
    let client = MeshClient::with(&stage.control.bootstrap("n1"), options);
    let status = client.hello().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    for part in [&*stage.control.addresses.xds.to_string(), "refused", "os error 111"] {
        assert!(status.message().contains(part), "{part}: {status}");
    }
    let mut greeter = client.greeter();
    let waiting = tokio::spawn(async move {
        let mut request = Request::new(HelloRequest::default());
        request.extensions_mut().insert(WaitForReady(true));
        greeter.say_hello(request).await.map(|_| Instant::now())
    });
    tokio::time::sleep(scenario.pick(Duration::from_secs(2), Duration::from_secs(60))).await;
    assert!(!waiting.is_finished(), "there is no server to answer");
    stage.control.restart().await;
    let up = Instant::now();
    let waited = waiting.await.unwrap().unwrap().saturating_duration_since(up);
    assert!(waited <= Duration::from_secs(2) + longest, "{waited:?}");
    scenario.figure("waiting call answered after", format_args!("{waited:.2?}"));
}
