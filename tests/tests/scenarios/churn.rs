//! Endpoints and clusters that come and go under load.

use std::time::{Duration, Instant};

use prost::Message as _;
use tests::fleet::Fleet;
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Scenario, eventually};
use xds_client::protocol::ResourceState;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;

/// Scenario 11: one change creates a cluster, moves the route to it, and deletes the cluster that it led to.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_takes_over_in_one_change_fails_no_call() {
    let scenario = Scenario::begin("11 clusters take over").await;
    let fleet = Fleet::start("e", 2).await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service_entry(&fleet.endpoints()));
    config.write("routes.yaml", &only_subset(0));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    until_subset(&client, 0).await;
    let load = Paced::start(&client.channel, scenario.pick(200, 1000));
    let before = load.during(scenario.pick(Duration::from_millis(300), Duration::from_secs(10))).await;
    let changes = scenario.pick(20, 1000);
    for number in 1..=changes {
        control.config.write("routes.yaml", &only_subset(number));
        until_subset(&client, number).await;
    }
    let meanwhile = load.stop().await;
    meanwhile.assert_no_failures();
    let (usual, longest) = (before.percentile(99.0), meanwhile.percentile(100.0));
    // In every test run other tests hold calls up, too.
    let bound = usual + scenario.pick(tests::PATIENCE, Duration::from_millis(100));
    assert!(longest <= bound, "{longest:?}, p99 without changes {usual:?}");
    scenario.figure("changes, 0 failed of calls", format_args!("{changes}, {}", meanwhile.times.len()));
    scenario.figure("p99 before, longest meanwhile", format_args!("{usual:.2?}, {longest:.2?}"));
}

/// All calls to a subset of this number, the only one there is.
fn only_subset(number: usize) -> String {
    let rule = format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: greeter, namespace: shop}}
spec: {{host: {}, subsets: [{{name: s{number}, labels: {{version: v1}}}}]}}
",
        yaml::HOST
    );
    yaml::routes(&[&format!("{{{}}}", yaml::split(&[(&format!("s{number}"), 100)]))]) + &rule
}

/// Waits until the client uses this subset and no other one.
async fn until_subset(client: &MeshClient, number: usize) {
    let only = format!("outbound|{}|s{number}|{}", yaml::PORT, yaml::HOST);
    eventually("the client uses the new cluster", async || {
        client.hello().await.map_err(|status| status.to_string())?;
        let status = client.xds.status();
        let clusters = status.resources.iter().filter(|found| found.type_url.ends_with("v3.Cluster"));
        let clusters: Vec<_> = clusters.map(|found| (&*found.name, found.state)).collect();
        if clusters == [(&*only, ResourceState::Acked)] { Ok(()) } else { Err(format!("{clusters:?}")) }
    })
    .await;
}

/// Scenario 23: every endpoint is replaced, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_all_replaced_fail_no_call_and_leave_nothing_behind() {
    let scenario = Scenario::begin("23 churn").await;
    let count = scenario.pick(10, 100);
    scenario.allow_open_files(8 * count as u64 + 1000);
    // They take turns: while one generation is used, the one before it still ends its calls.
    let mut generations = Vec::new();
    for name in ["a", "b", "c"] {
        generations.push(Fleet::start(name, count).await);
    }
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&generations[0].endpoints()));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    until_only(&client, "a", count).await;
    let load = Paced::start(&client.channel, scenario.pick(200, 1000));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (mut first, mut calls) = (None, 0);
    let until = Instant::now() + scenario.pick(Duration::from_secs(3), Duration::from_secs(1800));
    for turn in (1..).take_while(|turn| Instant::now() < until || *turn <= 6) {
        let next = &generations[turn % generations.len()];
        control.config.write("service.yaml", &yaml::service(&next.endpoints()));
        until_only(&client, ["a", "b", "c"][turn % generations.len()], count).await;
        tokio::time::sleep(scenario.pick(Duration::ZERO, Duration::from_millis(500))).await;
        let outcome = load.take();
        outcome.assert_no_failures();
        calls += outcome.times.len();
        if turn == 3 {
            first = Some((tasks(), resident_kib()));
        }
    }
    load.stop().await.assert_no_failures();
    let (tasks_then, kib_then) = first.expect("six turns at least");
    eventually("no task is left behind", async || match tasks() {
        now if now <= tasks_then + count => Ok(()),
        now => Err(format!("{now} tasks, {tasks_then} after three turns")),
    })
    .await;
    scenario.figure("calls, 0 failed", calls);
    scenario.figure("resident memory, KiB", format_args!("{kib_then} early, {} at the end", resident_kib()));
}

/// Waits until all endpoints whose names begin so have a connection, and a call only goes to them.
async fn until_only(client: &MeshClient, name: &str, count: usize) {
    let mut seen = std::collections::BTreeSet::new();
    eventually("the client uses the new endpoints", async || {
        let endpoint = client.hello().await.map_err(|status| status.to_string())?.endpoint;
        if endpoint.starts_with(name) {
            seen.insert(endpoint);
        } else {
            seen.clear();
        }
        if seen.len() == count { Ok(()) } else { Err(format!("{} of {count}", seen.len())) }
    })
    .await;
}

/// This process's memory, as the kernel counts it.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Scenario 24: so many endpoints at once are connected to a few at a time.
#[tokio::test(flavor = "multi_thread")]
async fn many_new_endpoints_are_connected_to_a_few_at_a_time() {
    let scenario = Scenario::begin("24 burst of endpoints").await;
    let count = scenario.pick(200, 1000);
    scenario.allow_open_files(4 * count as u64 + 1000);
    let fleet = Fleet::start_slow("e", count, Duration::from_millis(20)).await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&fleet.endpoints()[..1]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.until_answers("e0").await;
    let load = Paced::start(&client.channel, 100);
    control.config.write("service.yaml", &yaml::service(&fleet.endpoints()));
    let connected = async || match fleet.connections_by_endpoint().len() {
        all if all == count => Ok(()),
        some => Err(format!("{some} of {count}")),
    };
    eventually("all endpoints are connected to", connected).await;
    load.stop().await.assert_no_failures();
    let most = fleet.most_waiting();
    // The default of `PoolSettings::max_connecting`. An attempt of more than 100 ms no longer counts, as many of a busy machine are.
    let bound = scenario.pick(count, 64);
    assert!((1..=bound).contains(&most), "{most} at a time");
    let connections = fleet.connections_by_endpoint();
    assert!(connections.values().all(|of_one| *of_one == 1), "{connections:?}");
    scenario.figure("connects at a time, at most", most);
}

/// Scenario 24: a client that uses so many of them connects to no other one, and servers are used alike.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_subsets_connect_to_no_other_endpoint() {
    let scenario = Scenario::begin("24 subsets").await;
    let (count, size, clients) = scenario.pick((40, 8, 4), (1000, 20, 300));
    scenario.allow_open_files((2 * count + 4 * size * clients) as u64 + 1000);
    let fleet = Fleet::start("e", count).await;
    let config = ConfigDir::new();
    config.write("service.yaml", &(yaml::service_entry(&fleet.endpoints()) + &yaml::subsets_of(size)));
    let control = ControlServer::start(config).await;
    let mut live = Vec::new();
    for number in 0..clients {
        let client =
            MeshClient::with(&control.bootstrap(&format!("n{number}")), xds_client::Options::default());
        let mut seen = std::collections::BTreeSet::new();
        // Each is called as often as any other, once all are connected.
        for _ in 0..20 * size {
            seen.insert(client.hello().await.unwrap().endpoint);
        }
        assert!(seen.len() <= size, "{seen:?}");
        live.push(client);
    }
    let connections: usize = fleet.connections_by_endpoint().values().sum();
    assert!(connections <= size * clients, "{connections} connections of {clients} clients");
    assert!(fleet.connections_by_endpoint().len() > size, "all clients use the same endpoints");
    scenario.figure("connections", connections);
}

/// Scenario 25: an endpoint that is gone from the configuration is left alone, even if it was last seen dead.
#[tokio::test(flavor = "multi_thread")]
async fn removed_endpoint_gets_no_connection() {
    let scenario = Scenario::begin("25 removed while idle").await;
    let mut fleet = Fleet::start("e", 2).await;
    let config = ConfigDir::new();
    let endpoints: Vec<Endpoint> = fleet.endpoints();
    config.write("service.yaml", &yaml::service(&endpoints));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    for endpoint in ["e0", "e1"] {
        client.until_answers(endpoint).await;
    }
    // While its client waits to connect again, it is removed.
    fleet.stop(0).await;
    control.config.write("service.yaml", &yaml::service(&endpoints[1..]));
    until_endpoints(&client, 1).await;
    fleet.restart(0).await;
    let before = fleet.connections_by_endpoint()["e0"];
    // Longer than any wait between two attempts so far.
    tokio::time::sleep(scenario.pick(Duration::from_secs(2), Duration::from_secs(5))).await;
    assert_eq!(fleet.connections_by_endpoint()["e0"], before);
    client.assert_answers("e1").await;
}

/// Waits until the client's configuration has so many endpoints.
async fn until_endpoints(client: &MeshClient, count: usize) {
    eventually("the client has the new endpoints", async || {
        let status = client.xds.status();
        let known: usize = status
            .resources
            .iter()
            .filter_map(|found| {
                found.bytes.as_ref().filter(|_| found.type_url.ends_with("ClusterLoadAssignment"))
            })
            .map(|bytes| {
                let assignment = ClusterLoadAssignment::decode(&**bytes).unwrap();
                assignment.endpoints.iter().map(|locality| locality.lb_endpoints.len()).sum::<usize>()
            })
            .sum();
        if known == count { Ok(()) } else { Err(known.to_string()) }
    })
    .await;
}
