//! Two control-servers with the same files, as docs/two-servers.md has it.

use std::time::Duration;

use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, Scenario};
use xds_client::Options;
use xds_client::protocol::BackoffSettings;

use crate::stage::{route, until_version};

/// Two servers, each with a folder of its own of the same files, and the endpoints v1 and v2.
struct Pair {
    servers: [ControlServer; 2],
    _greeters: [Greeter; 2],
}

impl Pair {
    async fn start() -> Self {
        let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
        let endpoints = [Endpoint::new(greeters[0].address, "v1"), Endpoint::new(greeters[1].address, "v2")];
        let config = || {
            let config = ConfigDir::new();
            config.write("service.yaml", &yaml::service(&endpoints));
            config.write("route.yaml", &route("v1"));
            config
        };
        let servers = [ControlServer::start(config()).await, ControlServer::start(config()).await];
        Self { servers, _greeters: greeters }
    }

    /// Two entries of a bootstrap.
    fn client(&self, options: Options) -> MeshClient {
        let [mut bootstrap, second] = [0, 1].map(|index| self.servers[index].bootstrap("n1"));
        let second = second["xds_servers"][0].clone();
        bootstrap["xds_servers"].as_array_mut().expect("a list of servers").push(second);
        let backoff = BackoffSettings::new(Duration::from_millis(300), Duration::from_secs(1));
        MeshClient::with(&bootstrap, options.with_backoff(backoff))
    }

    fn route_to(&self, version: &str) {
        self.servers.iter().for_each(|server| server.config.write("route.yaml", &route(version)));
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_upgraded_one_after_the_other_without_a_failed_call() {
    let scenario = Scenario::begin("two servers, upgrade").await;
    let mut pair = Pair::start().await;
    let client = pair.client(Options::default());
    until_version(&client, "v1", PATIENCE).await;
    let load = Load::start(&client.channel, 2);
    for (index, version) in [(0, "v2"), (1, "v1")] {
        let status = pair.servers[index].process.terminate().await;
        assert!(status.success(), "{status}");
        load.calls(scenario.pick(100, 10_000)).await;
        pair.servers[index].restart().await;
        load.calls(scenario.pick(100, 10_000)).await;
        pair.route_to(version);
        until_version(&client, version, PATIENCE).await;
    }
    let tally = load.stop().await;
    assert_eq!(tally.failures.first(), None, "of {} failures", tally.failures.len());
}

/// gRFC A71: with everything at hand a client waits for its server, and a new one starts with the second.
#[tokio::test(flavor = "multi_thread")]
async fn change_during_an_outage_reaches_clients_that_follow_the_next_server() {
    let scenario = Scenario::begin("two servers, outage").await;
    let mut pair = Pair::start().await;
    let waiting = pair.client(Options::default());
    let mut options = Options::default();
    options.next_server_after = Some(Duration::from_millis(500));
    let following = pair.client(options);
    for client in [&waiting, &following] {
        until_version(client, "v1", PATIENCE).await;
    }
    let load = Load::start(&following.channel, 2);
    pair.servers[0].kill().await;
    pair.route_to("v2");
    until_version(&following, "v2", PATIENCE).await;
    let late = pair.client(Options::default());
    until_version(&late, "v2", PATIENCE).await;
    assert_eq!(waiting.hello().await.unwrap().version, "v1", "it lacks nothing");
    pair.servers[0].restart().await;
    until_version(&waiting, "v2", PATIENCE).await;
    pair.route_to("v1");
    until_version(&following, "v1", PATIENCE).await;
    load.calls(scenario.pick(100, 10_000)).await;
    let tally = load.stop().await;
    assert_eq!(tally.failures.first(), None, "of {} failures", tally.failures.len());
}
