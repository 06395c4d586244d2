//! Scenario 30: fail-over between localities, shares, subsets, affinity, as gRPC's own interoperability tests have them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tests::fleet::Fleet;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Scenario, eventually};
use xds_client::Options;

/// Three endpoints near the client and two far away.
struct Stage {
    near: Fleet,
    _far: Fleet,
    client: MeshClient,
    _control: ControlServer,
}

impl Stage {
    async fn start() -> Self {
        let (near, far) = (Fleet::start("near", 3).await, Fleet::start("far", 2).await);
        let here = near.endpoints().into_iter().map(|endpoint| endpoint.locality("west/a"));
        let there = far.endpoints().into_iter().map(|endpoint| endpoint.locality("east/a"));
        let endpoints: Vec<_> = here.chain(there).collect();
        let config = ConfigDir::new();
        // As in Istio, only what can be told to be unhealthy has anything to fail over from.
        let policy =
            "outlierDetection: {}, loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {enabled: true}}";
        config.write("service.yaml", &(yaml::service_entry(&endpoints) + &yaml::destination_rule(policy)));
        let control = ControlServer::start(config).await;
        let mut bootstrap = control.bootstrap("n1");
        bootstrap["node"]["locality"] = json!({"region": "west", "zone": "a"});
        let client = MeshClient::with(&bootstrap, Options::default());
        Self { near, _far: far, client, _control: control }
    }

    /// Waits until exactly these endpoints answer calls.
    async fn until(&self, expected: &[&str]) {
        eventually("calls go where they should", async || match answers(&self.client, 50).await? {
            answers if answers.keys().eq(expected) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

/// Answers to so many calls by endpoint, or the first failure.
async fn answers(client: &MeshClient, calls: usize) -> Result<BTreeMap<String, usize>, String> {
    let mut answers = BTreeMap::new();
    for _ in 0..calls {
        let reply = client.hello().await.map_err(|status| status.to_string())?;
        *answers.entry(reply.endpoint).or_default() += 1;
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn far_endpoints_get_calls_only_without_near_ones() {
    let scenario = Scenario::begin("30 fail-over").await;
    let mut stage = Stage::start().await;
    stage.until(&["near0", "near1", "near2"]).await;
    stage.near.stop(0).await;
    stage.until(&["near1", "near2"]).await;
    let calls = scenario.pick(100, 1000);
    let with_two = answers(&stage.client, calls).await.unwrap();
    assert!(with_two.keys().eq(["near1", "near2"]), "{with_two:?}");
    stage.near.stop(1).await;
    stage.until(&["near2"]).await;
    stage.near.stop(2).await;
    stage.until(&["far0", "far1"]).await;
    let far = answers(&stage.client, calls).await.unwrap();
    assert!(far.keys().eq(["far0", "far1"]), "{far:?}");
    for number in 0..3 {
        stage.near.restart(number).await;
    }
    stage.until(&["near0", "near1", "near2"]).await;
    let back = answers(&stage.client, calls).await.unwrap();
    assert!(back.values().all(|of_one| of_one.abs_diff(calls / 3) <= 2), "{back:?}");
    scenario.figure("calls back at near endpoints", format_args!("{back:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_twenty_and_eighty_are_kept() {
    let scenario = Scenario::begin("30 shares").await;
    let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
    let config = ConfigDir::new();
    let endpoints = [("v1", 0), ("v2", 1)].map(|(version, of)| Endpoint::new(greeters[of].address, version));
    config.write("service.yaml", &yaml::service(&endpoints));
    config.write("routes.yaml", &yaml::routes(&[&format!("{{{}}}", yaml::split(&[("v1", 20), ("v2", 80)]))]));
    let control = ControlServer::start(config).await;
    // Of 1,000 draws at random a fifth is within three points of 20 % in 98 of 100 runs; with this seed it always is.
    let client = MeshClient::with_seed(&control, 7);
    let answers = answers(&client, 1000).await.unwrap();
    assert!(answers["one"].abs_diff(200) <= 30, "{answers:?}");
    scenario.figure("of 1,000 calls", format_args!("{answers:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_clients_of_subsets_use_four_endpoints_each() {
    let scenario = Scenario::begin("30 subsets").await;
    let fleet = Fleet::start("e", 8).await;
    let config = ConfigDir::new();
    config.write("service.yaml", &(yaml::service_entry(&fleet.endpoints()) + &yaml::subsets_of(4)));
    let control = ControlServer::start(config).await;
    let mut union = BTreeSet::new();
    for number in 0..3 {
        let client = MeshClient::with(&control.bootstrap(&format!("n{number}")), Options::default());
        eventually("four endpoints are connected", async || match answers(&client, 40).await? {
            answers if answers.len() == 4 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let used = answers(&client, scenario.pick(100, 1000)).await.unwrap();
        assert_eq!(used.len(), 4, "{used:?}");
        union.extend(used.into_keys());
    }
    assert!(union.len() > 4, "{union:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn affinity_has_one_connection_and_moves_once() {
    let scenario = Scenario::begin("30 affinity").await;
    let mut fleet = Fleet::start("e", 4).await;
    let config = ConfigDir::new();
    let policy = yaml::destination_rule("loadBalancer: {consistentHash: {httpHeaderName: x-user}}");
    config.write("service.yaml", &(yaml::service_entry(&fleet.endpoints()) + &policy));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    let used = async || {
        let mut endpoints = BTreeSet::new();
        for _ in 0..100 {
            endpoints.insert(client.hello_with(&[("x-user", "someone")]).await?.endpoint);
        }
        Ok::<_, tonic::Status>(endpoints)
    };
    let first = used().await.unwrap();
    assert_eq!((first.len(), fleet.connections_by_endpoint().len()), (1, 1), "{first:?}");
    let name = first.first().unwrap();
    fleet.stop(name[1..].parse().unwrap()).await;
    let second = eventually("another endpoint answers", async || match used().await {
        Ok(second) => Ok(second),
        Err(status) => Err(status.to_string()),
    })
    .await;
    assert!(second.len() == 1 && second != first, "{first:?}, then {second:?}");
    scenario.figure("endpoints", format_args!("{first:?}, then {second:?}"));
}
