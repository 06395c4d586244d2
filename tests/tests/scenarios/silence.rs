//! The control-server is there and does not answer: stopped, or behind a network that loses everything.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::mesh::MeshClient;
use tests::network::Network;
use tests::paced::Paced;
use tests::relay::{Condition, Relay};
use tests::{Scenario, within};
use xds_client::Options;
use xds_client::protocol::BackoffSettings;

use crate::stage::{Stage, assert_all_acked, assert_spaced, at, until_lost, until_version};

/// How the silence begins and ends.
enum Silence {
    /// The process is stopped; the relay counts attempts to connect.
    Stopped(Relay),
    /// The relay loses everything.
    Lost(Relay),
    /// The cable is pulled.
    Cut(Network),
}

/// Scenario 2.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_control_server_is_detected_and_fails_no_call() {
    let scenario = Scenario::begin("2 stopped").await;
    let stage = Stage::start().await;
    let relay = Relay::start(stage.control.addresses.xds).await;
    survive(&scenario, &stage, Silence::Stopped(relay)).await;
}

/// Scenario 3, everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn silent_network_is_detected_and_fails_no_call() {
    let scenario = Scenario::begin("3 relay is silent").await;
    let stage = Stage::start().await;
    let relay = Relay::start(stage.control.addresses.xds).await;
    survive(&scenario, &stage, Silence::Lost(relay)).await;
}

/// Scenario 3, with real packets.
#[tokio::test(flavor = "multi_thread")]
async fn pulled_cable_is_detected_and_fails_no_call() {
    let scenario = Scenario::begin("3 cable is pulled").await;
    let Some(network) = Network::start("pulled_cable_is_detected_and_fails_no_call") else { return };
    let stage = Stage::start_at(network.address, &network.front()).await;
    survive(&scenario, &stage, Silence::Cut(network)).await;
}

impl Silence {
    /// Where the client is to connect.
    fn address(&self, stage: &Stage) -> SocketAddr {
        match self {
            Self::Stopped(relay) | Self::Lost(relay) => relay.address,
            Self::Cut(_) => stage.control.addresses.xds,
        }
    }

    async fn begin(&mut self, stage: &Stage) {
        match self {
            Self::Stopped(_) => stage.control.process.signal(Signal::SIGSTOP),
            Self::Lost(relay) => relay.set(Condition::Silent).await,
            Self::Cut(network) => network.cut(),
        }
    }

    async fn end(&mut self, stage: &Stage) {
        match self {
            Self::Stopped(_) => stage.control.process.signal(Signal::SIGCONT),
            Self::Lost(relay) => relay.open().await,
            Self::Cut(network) => network.mend(),
        }
    }

    /// Attempts to connect since an instant, as far as they can be seen.
    fn attempts_since(&self, instant: Instant) -> Vec<Instant> {
        match self {
            Self::Stopped(relay) | Self::Lost(relay) => {
                relay.arrivals().into_iter().filter(|arrival| *arrival > instant).collect()
            }
            Self::Cut(_) => Vec::new(),
        }
    }
}

async fn survive(scenario: &Scenario, stage: &Stage, mut silence: Silence) {
    let probe = scenario.pick(Duration::from_millis(500), Duration::from_secs(20));
    let backoff = BackoffSettings::new(
        scenario.pick(Duration::from_millis(300), Duration::from_secs(1)),
        scenario.pick(Duration::from_secs(1), Duration::from_secs(30)),
    );
    let mut options = Options::default().with_backoff(backoff);
    options.keepalive_interval = probe;
    options.keepalive_timeout = probe;
    options.connect_timeout = probe;
    let client = MeshClient::with(&at(silence.address(stage), stage.control.bootstrap("n1")), options);
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let load = Paced::start(&client.channel, scenario.pick(100, 1000));

    let began = Instant::now();
    silence.begin(stage).await;
    // The stream that had answers is replaced in silence, the next one is the outage. A tenth, and a second, are for a
    // busy machine.
    let lost = until_lost(&client, (4 * probe).mul_f64(1.1) + Duration::from_secs(1)).await;
    stage.route_to("v2");
    let rest = scenario.pick(Duration::from_secs(6), Duration::from_secs(300)).saturating_sub(lost);
    tokio::time::sleep(rest).await;
    assert!(!client.xds.status().connected);
    assert_all_acked(&client);
    let attempts = silence.attempts_since(began);
    assert_spaced(&attempts, &backoff);

    silence.end(stage).await;
    // An attempt that is under way at the end may still run into its timeout.
    let longest = probe + backoff.max.mul_f64(1.0 + backoff.jitter);
    let live = until_version(&client, "v2", longest + Duration::from_secs(1)).await;
    let single = async || match stage.streams().await {
        1 => Ok(()),
        streams => Err(format!("{streams} streams")),
    };
    let (_, cleared) = within(Duration::from_secs(10), "one stream is left", single).await;
    load.stop().await.assert_no_failures();
    scenario.figure("connected=0 after", format_args!("{lost:.2?}"));
    scenario.figure("attempts to connect meanwhile, as seen", attempts.len());
    scenario.figure("new configuration live after", format_args!("{live:.2?}"));
    scenario.figure("one stream left after", format_args!("{cleared:.2?} more"));
}
