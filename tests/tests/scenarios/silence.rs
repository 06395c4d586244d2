//! The control-server is there and does not answer: stopped, or behind a network that loses everything.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::relay::{Network, Relay};
use tests::{Scenario, within};
use xds_client::Options;
use xds_client::protocol::BackoffPolicy;

use crate::stage::{Stage, assert_all_acked, assert_spaced, at, until_lost, until_version};

/// What is unusual about the scenario: how the silence begins and ends.
enum Silence {
    Stopped,
    Lost,
}

/// Scenario 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_control_server_is_noticed_and_costs_nothing() {
    survive(&Scenario::begin("2 stopped").await, &Silence::Stopped).await;
}

/// Scenario 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_loses_everything_is_noticed_and_costs_nothing() {
    survive(&Scenario::begin("3 black hole").await, &Silence::Lost).await;
}

async fn survive(scenario: &Scenario, silence: &Silence) {
    let stage = Stage::start().await;
    let mut relay = Relay::start(stage.control.addresses.xds).await;
    let probe = scenario.pick(Duration::from_millis(500), Duration::from_secs(20));
    let backoff = BackoffPolicy {
        initial: scenario.pick(Duration::from_millis(300), Duration::from_secs(1)),
        max: scenario.pick(Duration::from_secs(1), Duration::from_secs(30)),
        ..BackoffPolicy::default()
    };
    let options = Options {
        keepalive_interval: probe,
        keepalive_timeout: probe,
        connect_timeout: probe,
        backoff,
        ..Options::default()
    };
    let client = MeshClient::with(&at(relay.address, stage.control.bootstrap("n1")), options);
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let load = Paced::start(&client.channel, scenario.pick(100, 1000));

    let began = Instant::now();
    match silence {
        Silence::Stopped => stage.control.process.signal(Signal::SIGSTOP),
        Silence::Lost => relay.set(Network::Silent).await,
    }
    // The stream that had answers is replaced in silence, the next one is the outage. A tenth is for a busy machine.
    let lost = until_lost(&client, (4 * probe).mul_f64(1.1)).await;
    stage.route_to("v2");
    tokio::time::sleep(scenario.pick(Duration::from_secs(5), Duration::from_secs(300)) - lost).await;
    assert!(!client.xds.status().connected);
    assert_all_acked(&client);
    let attempts: Vec<_> = relay.arrivals().into_iter().filter(|arrival| *arrival > began).collect();
    assert_spaced(&attempts, &backoff);

    match silence {
        Silence::Stopped => stage.control.process.signal(Signal::SIGCONT),
        Silence::Lost => relay.open().await,
    }
    let longest = backoff.max.mul_f64(1.0 + backoff.jitter);
    let live = until_version(&client, "v2", longest + Duration::from_secs(1)).await;
    let single = async || match stage.streams().await {
        1 => Ok(()),
        streams => Err(format!("{streams} streams")),
    };
    let (_, cleared) = within(Duration::from_secs(2), "one stream is left", single).await;
    load.stop().await.assert_no_failures();
    scenario.figure("connected=0 after", format_args!("{lost:.2?}"));
    scenario.figure("attempts to connect meanwhile", attempts.len());
    scenario.figure("new configuration live after", format_args!("{live:.2?}"));
    scenario.figure("one stream left after", format_args!("{cleared:.2?} more"));
}
