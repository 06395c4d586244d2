//! Scenario 9: everybody comes back at once.

use std::fs;
use std::time::{Duration, Instant};

use control_server::admin::ServerStatus;
use mesh_core::config::{MeshConfig, RouteAction};
use mesh_core::runtime::{ConfigSource, ConfigState, ConfigWatch, Target};
use tests::mesh::MeshClient;
use tests::relay::{Condition, Relay};
use tests::{ControlServer, Scenario, within, yaml};
use tokio::task::JoinSet;
use tokio::time::timeout;
use xds_client::Options;

use crate::stage::{Stage, at};

/// The memory that a control-server uses, in bytes.
fn memory(control: &ControlServer, field: &str) -> u64 {
    let path = format!("/proc/{}/status", control.process.id());
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

fn is_routed_to(state: &ConfigState, version: &str) -> bool {
    let subset = format!("|{version}|");
    let names = |config: &MeshConfig| {
        config.virtual_hosts().iter().flat_map(|host| &host.routes).all(|route| match &route.action {
            RouteAction::Forward(forward) => forward.clusters.names().all(|name| name.contains(&subset)),
            _ => false,
        })
    };
    matches!(&state.config, Some(Ok(config)) if names(config))
}

/// Waits until all of them are to go to this version; gives how long it took each, in order.
async fn all_told(watches: Vec<ConfigWatch>, version: &'static str, bound: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for mut watch in watches {
        tasks.spawn(async move {
            while !is_routed_to(&watch.borrow_and_update(), version) {
                assert!(watch.changed().await, "the client lives");
            }
            began.elapsed()
        });
    }
    let mut times = timeout(bound, tasks.join_all()).await.expect("all are told in time");
    times.sort_unstable();
    times
}

/// Waits until so many clients have all that they asked for; gives how long it took.
async fn synced(control: &ControlServer, clients: usize, bound: Duration) -> Duration {
    let probe = async || {
        let status: ServerStatus = control.admin("/v1/status").await;
        if status.clients.synced >= clients { Ok(()) } else { Err(format!("{:?}", status.clients)) }
    };
    within(bound, "so many clients are synced", probe).await.1
}

/// Of all arrivals, the most within a tenth of a second, in percent.
fn densest(arrivals: &[Instant]) -> usize {
    let bucket = Duration::from_millis(100);
    let together = |first: &Instant| {
        arrivals.iter().filter(|other| *other >= first && other.duration_since(*first) < bucket).count()
    };
    100 * arrivals.iter().map(together).max().unwrap_or_default() / arrivals.len().max(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_reconnect_spread_over_time_after_restart() {
    let scenario = Scenario::begin("9 reconnect").await;
    scenario.allow_open_files(20_000);
    let count = scenario.pick(150, 2000);
    let bound = Duration::from_secs(30);
    let mut stage = Stage::start().await;
    let mut relay = Relay::start(stage.control.addresses.xds).await;
    let target = Target::new(format!("{}:{}", yaml::HOST, yaml::PORT));
    let clients: Vec<_> = (0..count)
        .map(|number| {
            let bootstrap = at(relay.address, stage.control.bootstrap(&format!("n{number}")));
            let client = MeshClient::with(&bootstrap, Options::default());
            let watch = client.xds.watch(&target).unwrap();
            (client, watch)
        })
        .collect();
    let began = Instant::now();
    synced(&stage.control, count, bound).await;
    scenario.figure("first connected after", format_args!("{:.2?}", began.elapsed()));
    let steady = memory(&stage.control, "VmRSS:");

    stage.control.kill().await;
    relay.set(Condition::Refusing).await;
    // Longer than the first wait, so that the second one's jitter counts, too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.control.restart().await;
    relay.open().await;
    let opened = Instant::now();
    synced(&stage.control, count / 2, bound).await;
    // Those that are there get a change while the others arrive.
    let early: Vec<_> = clients.iter().filter(|(client, _)| client.xds.status().connected).collect();
    let early: Vec<_> = early.into_iter().map(|(_, watch)| watch.clone()).collect();
    assert!(early.len() >= count / 2, "{} are connected", early.len());
    stage.route_to("v2");
    let pushes = all_told(early, "v2", bound).await;
    all_told(clients.iter().map(|(_, watch)| watch.clone()).collect(), "v2", bound).await;
    synced(&stage.control, count, bound.saturating_sub(opened.elapsed())).await;
    let took = opened.elapsed();
    assert_eq!(stage.streams().await, count);

    let arrivals: Vec<_> = relay.arrivals().into_iter().filter(|arrival| *arrival >= opened).collect();
    let (densest, peak) = (densest(&arrivals), memory(&stage.control, "VmHWM:"));
    // In a test run among others, it is the machine that lets them in by the dozen.
    let most = scenario.pick(60, 20);
    assert!(densest <= most, "{densest} % of the connections in a tenth of a second");
    assert!(peak <= 2 * steady, "{peak} bytes at most, {steady} before");
    let p99 = pushes[(pushes.len() * 99).div_ceil(100) - 1];
    assert!(p99 <= scenario.pick(Duration::from_secs(10), Duration::from_secs(1)), "p99 of pushes {p99:?}");
    scenario.figure("all synced after", format_args!("{took:.2?}, {count} clients"));
    scenario.figure("connects in the densest 100 ms", format_args!("{densest} %"));
    scenario
        .figure("server RSS before, peak after", format_args!("{} MiB, {} MiB", steady >> 20, peak >> 20));
    scenario.figure("push to those that were there, p99", format_args!("{p99:.2?}"));
}
