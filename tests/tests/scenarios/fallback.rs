//! Scenario 8: two control-servers, as gRPC's interoperability tests of fallback (gRFC A71) have them.
//!
//! The first one serves endpoint `one`, the second one endpoint `two`, under the same names. A relay takes the first one
//! away.

use std::time::{Duration, Instant};

use tests::ads::samples::{self, pack};
use tests::ads::{AdsServer, CLUSTER, ENDPOINTS, LISTENER, ROUTES};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::relay::{Condition, Relay};
use tests::{Greeter, Scenario, eventually, within, yaml};
use xds_client::Options;
use xds_client::protocol::BackoffSettings;

use crate::stage::until_version;

struct Pair {
    first: AdsServer,
    relay: Relay,
    second: AdsServer,
    greeters: [Greeter; 3],
}

impl Pair {
    /// Both have everything; the first one cannot be reached yet.
    async fn start() -> Self {
        let greeters = [
            Greeter::start("one", "v1").await,
            Greeter::start("two", "v2").await,
            Greeter::start("three", "v3").await,
        ];
        let (first, second) = (AdsServer::start().await, AdsServer::start().await);
        let mut relay = Relay::start(first.address).await;
        relay.set(Condition::Refusing).await;
        serve(&first, "1", "cluster", &greeters[0]);
        serve(&second, "1", "cluster", &greeters[1]);
        Self { first, relay, second, greeters }
    }

    fn client(&self, scenario: &Scenario) -> MeshClient {
        let mut bootstrap = self.first.bootstrap("n1");
        bootstrap["xds_servers"][0]["server_uri"] = self.relay.address.to_string().into();
        let second = self.second.bootstrap("n1")["xds_servers"][0].take();
        bootstrap["xds_servers"].as_array_mut().expect("a list of servers").push(second);
        let backoff = BackoffSettings::new(
            scenario.pick(Duration::from_millis(300), Duration::from_secs(1)),
            scenario.pick(Duration::from_secs(1), Duration::from_secs(30)),
        );
        MeshClient::with(&bootstrap, Options::default().with_backoff(backoff))
    }
}

/// The greeter by way of one cluster with one endpoint.
fn serve(server: &AdsServer, version: &str, cluster: &str, greeter: &Greeter) {
    let target = format!("{}:{}", yaml::HOST, yaml::PORT);
    server.put(LISTENER, version, [(target.clone(), pack(samples::listener(&target, "routes")))]);
    let routes = samples::routes("routes", &[cluster.to_owned()]);
    server.put(ROUTES, version, [("routes".to_owned(), pack(routes))]);
    server.put(CLUSTER, version, [(cluster.to_owned(), pack(samples::cluster(cluster, "")))]);
    let endpoints = samples::endpoints(cluster, [greeter.address]);
    server.put(ENDPOINTS, version, [(cluster.to_owned(), pack(endpoints))]);
}

/// Waits until the server is asked for a resource of this type, by name.
async fn until_asked(server: &AdsServer, type_url: &str, name: &str) {
    eventually(&format!("{name} is asked for"), async || {
        let seen = server.seen();
        let mut asked = seen.iter().filter(|seen| seen.type_url == type_url);
        match asked.any(|seen| seen.names.iter().any(|asked| asked == name)) {
            true => Ok(()),
            false => Err(format!("{seen:?}")),
        }
    })
    .await;
}

/// Waits until the second server has no stream any more.
async fn until_left(client: &MeshClient) -> Duration {
    let probe = async || match client.xds.status().servers.as_slice() {
        [first, second] if first.connected && !second.needed => Ok(()),
        servers => Err(format!("{servers:?}")),
    };
    within(Duration::from_secs(10), "the second server is left", probe).await.1
}

/// How long a client may take to try the first server again, and to move.
fn bound(scenario: &Scenario) -> Duration {
    scenario.pick(Duration::from_secs(5), Duration::from_secs(37))
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_starts_without_the_first_server_uses_the_second_until_it_is_there() {
    let scenario = Scenario::begin("8 fallback at start").await;
    let mut pair = Pair::start().await;
    let client = pair.client(&scenario);
    let started = until_version(&client, "v2", Duration::from_secs(5)).await;
    let load = Load::start(&client.channel, 2);
    load.calls(scenario.pick(100, 10_000)).await;
    pair.relay.open().await;
    let moved = until_version(&client, "v1", bound(&scenario)).await;
    until_left(&client).await;
    // Gone again: everything is cached, so nothing changes.
    pair.relay.set(Condition::Refusing).await;
    load.take();
    let without = load.calls(scenario.pick(200, 10_000)).await;
    assert_eq!(without.percent_of_version("v2"), 0.0, "{without:?}");
    let tally = load.stop().await;
    assert_eq!((without.failures.first(), tally.failures.first()), (None, None));
    scenario.figure("served by the second after", format_args!("{started:.2?}"));
    scenario.figure("served by the first again after", format_args!("{moved:.2?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_server_that_is_lost_in_the_middle_of_a_start_is_replaced() {
    let scenario = Scenario::begin("8 fallback in start").await;
    let mut pair = Pair::start().await;
    pair.first.hold(CLUSTER);
    pair.relay.open().await;
    let client = pair.client(&scenario);
    // A channel asks from its first call on.
    let greeter = client.channel.clone();
    let call = tokio::spawn(async move {
        let mut greeter = examples::greeter::greeter_client::GreeterClient::new(greeter);
        greeter.say_hello(examples::greeter::HelloRequest::default()).await
    });
    until_asked(&pair.first, CLUSTER, "cluster").await;
    let lost = Instant::now();
    pair.relay.set(Condition::Refusing).await;
    until_version(&client, "v2", Duration::from_secs(5)).await;
    let replaced = lost.elapsed();
    drop(call.await);
    serve(&pair.first, "2", "cluster", &pair.greeters[0]);
    pair.relay.open().await;
    let moved = until_version(&client, "v1", bound(&scenario)).await;
    until_left(&client).await;
    scenario.figure("served by the second after", format_args!("{replaced:.2?}"));
    scenario.figure("served by the first again after", format_args!("{moved:.2?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_server_that_is_lost_in_the_middle_of_an_update_is_replaced() {
    let scenario = Scenario::begin("8 fallback in update").await;
    let mut pair = Pair::start().await;
    pair.relay.open().await;
    let client = pair.client(&scenario);
    until_version(&client, "v1", Duration::from_secs(5)).await;
    let load = Load::start(&client.channel, 2);
    // New routes to a cluster that never comes.
    pair.first.hold(CLUSTER);
    let routes = samples::routes("routes", &["new".to_owned()]);
    pair.first.put(ROUTES, "2", [("routes".to_owned(), pack(routes))]);
    until_asked(&pair.first, CLUSTER, "new").await;
    let lost = Instant::now();
    pair.relay.set(Condition::Refusing).await;
    until_version(&client, "v2", Duration::from_secs(5)).await;
    let replaced = lost.elapsed();
    serve(&pair.first, "3", "new", &pair.greeters[2]);
    pair.relay.open().await;
    let moved = until_version(&client, "v3", bound(&scenario)).await;
    until_left(&client).await;
    let tally = load.stop().await;
    assert_eq!(tally.failures.first(), None, "of {} failures", tally.failures.len());
    scenario.figure("served by the second after", format_args!("{replaced:.2?}"));
    scenario.figure("served by the first again after", format_args!("{moved:.2?}"));
}
