//! Scenario 22: a very large response, and one that is too large.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mesh_core::config::Discovery;
use mesh_core::runtime::{ConfigSource, ConfigWatch, Target};
use prost::Message;
use tests::ads::samples::{self, pack};
use tests::ads::{AdsServer, CLUSTER, ENDPOINTS, LISTENER, ROUTES};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::{Greeter, Scenario, eventually, within, yaml};
use xds_client::Options;
use xds_client::protocol::BackoffSettings;
use xds_proto::envoy::config::core::v3::Metadata;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::google::protobuf::value::Kind;
use xds_proto::google::protobuf::{Struct, Value};

use crate::stage::assert_spaced;

/// So many endpoints at addresses of the loopback network, with so many bytes of metadata each.
fn many(count: usize, padding: usize) -> ClusterLoadAssignment {
    let addresses = (0..count).map(|number| {
        let offset = u32::try_from(number).unwrap();
        SocketAddr::from((Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + offset), 1))
    });
    let mut assignment = samples::endpoints("many", addresses);
    let text = Value { kind: Some(Kind::StringValue("x".repeat(padding))) };
    let fields = Struct { fields: [("padding".to_owned(), text)].into() };
    let metadata = Metadata { filter_metadata: [("tests".to_owned(), fields)].into(), ..Metadata::default() };
    for endpoint in &mut assignment.endpoints[0].lb_endpoints {
        endpoint.metadata = Some(metadata.clone());
    }
    assignment
}

fn endpoints_in_use(watch: &mut ConfigWatch) -> usize {
    let Some(Ok(config)) = watch.borrow_and_update().config else { return 0 };
    let Some(Ok(cluster)) = config.clusters().get("many") else { return 0 };
    match &cluster.discovery {
        Discovery::Endpoints(Ok(set)) => {
            let localities = set.priorities.iter().flat_map(|priority| &priority.localities);
            localities.map(|locality| locality.endpoints.len()).sum()
        }
        _ => 0,
    }
}

/// Waits until so many endpoints are in use; gives how long that took.
async fn in_use(watch: &mut ConfigWatch, count: usize) -> Duration {
    let probe = async || match endpoints_in_use(watch) {
        found if found == count => Ok(()),
        found => Err(format!("{found} of {count} endpoints")),
    };
    within(Duration::from_secs(60), "all endpoints are in use", probe).await.1
}

/// A server of two targets: the greeter with one endpoint, and `many`, without any yet.
async fn server() -> (AdsServer, String) {
    let server = AdsServer::start().await;
    let greeter = format!("{}:{}", yaml::HOST, yaml::PORT);
    let targets = [greeter.as_str(), "many"];
    let listener = |name: &str| (name.to_owned(), pack(samples::listener(name, name)));
    server.put(LISTENER, "1", targets.map(listener));
    let routes = |name: &str| (name.to_owned(), pack(samples::routes(name, &[name.to_owned()])));
    server.put(ROUTES, "1", targets.map(routes));
    server.put(CLUSTER, "1", targets.map(|name| (name.to_owned(), pack(samples::cluster(name, "")))));
    (server, greeter)
}

/// What the client says about the response that it did not take.
async fn explanation(client: &MeshClient, limit: usize, size: usize) -> String {
    eventually("the client says why", async || {
        let status = client.xds.status();
        let text = status.outage.clone().ok_or_else(|| format!("{status:?}"))?;
        let parts = [ENDPOINTS, &limit.to_string(), "max_message_size"];
        let mut figures = text.split(|letter: char| !letter.is_ascii_digit()).flat_map(str::parse::<usize>);
        // The message is a little larger than the resource.
        let is_sized = figures.any(|figure| (size..size + 1024).contains(&figure));
        if parts.iter().all(|part| text.contains(part)) && is_sized { Ok(text) } else { Err(text) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn response_over_limit_is_reported_and_not_requested_in_a_loop() {
    let scenario = Scenario::begin("22 large response").await;
    let (count, padding, limit) = scenario.pick((5_000, 300, 2 << 20), (50_000, 330, 24 << 20));
    let greeter = Greeter::start("only", "v1").await;
    let (server, target) = server().await;
    let put = |version, many: ClusterLoadAssignment| {
        let one = samples::endpoints(&target, [greeter.address]);
        let sets = [one, many].map(|set| (set.cluster_name.clone(), pack(set)));
        server.put(ENDPOINTS, version, sets);
    };
    put("small", many(10, 0));
    let initial = scenario.pick(Duration::from_millis(300), Duration::from_secs(1));
    let backoff = BackoffSettings { initial, ..BackoffSettings::default() };
    let mut options = Options::default().with_backoff(backoff);
    options.max_message_size = limit;
    let client = MeshClient::with(&server.bootstrap("n1"), options);
    let mut watch = client.xds.watch(&Target::new("many")).unwrap();
    let load = Load::start(&client.channel, 2);
    in_use(&mut watch, 10).await;

    let large = many(count, padding);
    let size = large.encoded_len();
    assert!(size < limit && size > limit / 2, "{size} bytes");
    put("large", large);
    let applied = in_use(&mut watch, count).await;

    let too_large = many(2 * count, padding);
    let refused = too_large.encoded_len();
    put("too large", too_large);
    let sent = Instant::now();
    let said = explanation(&client, limit, refused).await;
    tokio::time::sleep(scenario.pick(Duration::from_secs(3), Duration::from_secs(30))).await;
    let streams: Vec<_> = server.streams().into_iter().filter(|opened| *opened > sent).collect();
    assert!(!streams.is_empty(), "it is tried again");
    assert_spaced(&streams, &backoff);
    assert_eq!(endpoints_in_use(&mut watch), count, "what was accepted stays in use");

    put("small again", many(20, 0));
    in_use(&mut watch, 20).await;
    let tally = load.stop().await;
    assert_eq!(tally.failures.first(), None, "of {} failures", tally.failures.len());
    scenario.figure("applied", format_args!("{size} bytes, {count} endpoints, in {applied:.2?}"));
    scenario.figure("refused", said);
    scenario.figure("streams meanwhile", streams.len());
    scenario.figure("calls meanwhile, 0 failed", tally.calls);
}
