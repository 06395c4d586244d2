//! Scenario 15: one invalid cluster among five hundred.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use control_server::pipeline::{Input, validate};
use control_server::state::{PipelineState, Severity};
use mesh_core::config::MaxRequests;
use mesh_core::runtime::{ConfigSource, ConfigWatch, Target};
use tests::ads::samples::{self, pack};
use tests::ads::{AdsServer, CLUSTER, ENDPOINTS, LISTENER, ROUTES};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::{ConfigDir, ControlServer, Greeter, Scenario, eventually, within, yaml};
use xds_client::Options;
use xds_client::protocol::ResourceState;
use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster};
use xds_proto::google::protobuf::{Any, UInt32Value};

use crate::mistakes::MISTAKES;

const CLUSTERS: usize = 500;
/// The one that is broken.
const BROKEN: usize = 17;

fn name(number: usize) -> String {
    format!("c{number}")
}

/// All clusters at a revision, which stands in each as its limit of requests: a thousand and so many.
fn clusters(revision: u32) -> BTreeMap<String, Cluster> {
    let limited = |number| {
        let max_requests = Some(UInt32Value { value: 1000 + revision });
        let thresholds = vec![Thresholds { max_requests, ..Thresholds::default() }];
        let circuit_breakers = Some(CircuitBreakers { thresholds, ..CircuitBreakers::default() });
        Cluster { circuit_breakers, ..samples::cluster(&name(number), "all") }
    };
    (0..CLUSTERS).map(|number| (name(number), limited(number))).collect()
}

fn packed(clusters: BTreeMap<String, Cluster>) -> impl Iterator<Item = (String, Any)> {
    clusters.into_iter().map(|(name, cluster)| (name, pack(cluster)))
}

/// How many clusters are in use at this revision.
fn live(watch: &mut ConfigWatch, revision: u32) -> usize {
    let Some(Ok(config)) = watch.borrow_and_update().config else { return 0 };
    let is_live = |settings: &mesh_core::config::ClusterSettings| {
        settings.limits.max_requests == MaxRequests(1000 + revision)
    };
    config.clusters().values().flatten().filter(|cluster| is_live(&cluster.settings)).count()
}

/// Past the management API: a server that sends it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_cluster_that_is_sent_is_refused_by_name_and_the_others_live() {
    let scenario = Scenario::begin("15 invalid cluster").await;
    let greeter = Greeter::start("only", "v1").await;
    let server = AdsServer::start().await;
    let target = format!("{}:{}", yaml::HOST, yaml::PORT);
    let names: Vec<_> = (0..CLUSTERS).map(name).collect();
    server.put(LISTENER, "1", [(target.clone(), pack(samples::listener(&target, "routes")))]);
    server.put(ROUTES, "1", [("routes".to_owned(), pack(samples::routes("routes", &names)))]);
    server.put(ENDPOINTS, "1", [("all".to_owned(), pack(samples::endpoints("all", [greeter.address])))]);
    server.put(CLUSTER, "1", packed(clusters(1)));
    let client = MeshClient::with(&server.bootstrap("n1"), Options::default());
    let mut watch = client.xds.watch(&Target::new(target)).unwrap();
    eventually("all clusters are in use", async || match live(&mut watch, 1) {
        CLUSTERS => Ok(()),
        live => Err(format!("{live} of {CLUSTERS}")),
    })
    .await;
    let load = Load::start(&client.channel, 2);
    let mut slowest = Duration::ZERO;
    for (index, (field, change)) in MISTAKES.iter().enumerate() {
        let revision = u32::try_from(index).unwrap() + 2;
        let mut set = clusters(revision);
        change(set.get_mut(&name(BROKEN)).unwrap());
        let sent = Instant::now();
        server.put(CLUSTER, &revision.to_string(), packed(set));
        let what = format!("mistake {index} at {field}: the others are in use");
        let bound = scenario.pick(Duration::from_secs(5), Duration::from_secs(1));
        let probe = async || match live(&mut watch, revision) {
            live if live == CLUSTERS - 1 => Ok(()),
            live => Err(format!("{live} of {CLUSTERS}")),
        };
        slowest = slowest.max(within(bound, &what, probe).await.1);
        eventually(&format!("mistake {index}: the refusal names {field}"), async || {
            let seen = server.seen();
            let refusals: Vec<_> =
                seen.iter().filter(|seen| seen.at >= sent && !seen.error.is_empty()).collect();
            match refusals.as_slice() {
                [refusal] if [&name(BROKEN), *field].iter().all(|part| refusal.error.contains(*part)) => {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let resources = client.xds.status().resources;
        let nacked: Vec<_> =
            resources.iter().filter(|resource| resource.state != ResourceState::Acked).collect();
        assert!(
            matches!(nacked.as_slice(), [one] if *one.name == name(BROKEN) && one.cached),
            "mistake {index}: {nacked:?}"
        );
        client.hello_with(&[("x-cluster", &name(BROKEN))]).await.unwrap();
    }
    let tally = load.stop().await;
    assert_eq!(tally.failures.first(), None, "of {} failures", tally.failures.len());
    scenario.figure("kinds of mistakes", MISTAKES.len());
    scenario.figure("others live after, at most", format_args!("{slowest:.2?}"));
    scenario.figure("calls meanwhile, 0 failed", tally.calls);
}

/// A service as an operator writes it; the mistakes of the table replace a part of it.
const GOOD: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: HOST, namespace: shop}
spec:
  hosts: [HOST.shop.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 50051, name: grpc, protocol: GRPC}]
  endpoints: [{address: 127.0.0.1, weight: 2, ports: {grpc: 1}, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: HOST, namespace: shop}
spec:
  host: HOST
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {http: {http2MaxRequests: 100}}
    outlierDetection: {interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 10}
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: HOST, namespace: shop}
spec:
  hosts: [HOST]
  http:
  - match: [{uri: {prefix: /}, headers: {x-a: {exact: b}}}]
    timeout: 2s
    retries: {attempts: 2, retryOn: unavailable, backoff: 50ms}
    route: [{destination: {host: HOST, subset: v1}, weight: 100}]
";

/// What is replaced, with what, and the field that is to be named.
const WRITTEN: &[(&str, &str, &str)] = &[
    ("resolution: STATIC", "resolution: NONE", "spec.resolution"),
    ("resolution: STATIC", "resolution: STATICK", "spec.resolution"),
    ("resolution: STATIC", "resolutoin: STATIC", "spec.resolutoin"),
    ("number: 50051", "number: 0", "spec.ports[0].number"),
    ("number: 50051", "number: 65536", "spec.ports[0].number"),
    ("number: 50051", "number: many", "spec.ports[0].number"),
    ("number: 50051, ", "", "spec.ports[0].number"),
    ("protocol: GRPC", "protocol: GRCP", "spec.ports[0].protocol"),
    ("hosts: [HOST.shop.svc.cluster.local]", "hosts: []", "spec.hosts"),
    ("hosts: [HOST.shop.svc.cluster.local]", "hosts: [\"a b\"]", "spec.hosts[0]"),
    ("address: 127.0.0.1", "address: example.com", "spec.endpoints[0].address"),
    ("address: 127.0.0.1", "address: unix:/run/x", "spec.endpoints[0].address"),
    ("address: 127.0.0.1, ", "", "spec.endpoints[0].address"),
    ("weight: 2", "weight: -1", "spec.endpoints[0].weight"),
    ("{grpc: 1}", "{grpc: 65536}", "spec.endpoints[0].ports.grpc"),
    ("{grpc: 1}", "{web: 1}", "spec.endpoints[0].ports.web"),
    ("labels: {version: v1}}]\n---", "labels: [v1]}]\n---", "spec.endpoints[0].labels"),
    ("simple: ROUND_ROBIN", "simple: PASSTHROUGH", "spec.trafficPolicy.loadBalancer.simple"),
    ("simple: ROUND_ROBIN", "simple: RUOND_ROBIN", "spec.trafficPolicy.loadBalancer.simple"),
    (
        "simple: ROUND_ROBIN",
        "consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 8388609}}",
        "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize",
    ),
    (
        "http2MaxRequests: 100",
        "http2MaxRequests: -1",
        "spec.trafficPolicy.connectionPool.http.http2MaxRequests",
    ),
    ("interval: 5s", "interval: 5", "spec.trafficPolicy.outlierDetection.interval"),
    ("interval: 5s", "interval: -5s", "spec.trafficPolicy.outlierDetection.interval"),
    (
        "maxEjectionPercent: 10",
        "maxEjectionPercent: 101",
        "spec.trafficPolicy.outlierDetection.maxEjectionPercent",
    ),
    ("subsets: [{name: v1, ", "subsets: [{", "spec.subsets[0].name"),
    ("subsets: [{", "subsets: [{name: v1}, {", "spec.subsets[1].name"),
    ("uri: {prefix: /}", "uri: {regex: \"(\"}", "spec.http[0].match[0].uri.regex"),
    ("uri: {prefix: /}", "uri: {prefix: /, exact: /}", "spec.http[0].match[0].uri"),
    ("{exact: b}", "{regex: \"[\"}", "spec.http[0].match[0].headers.x-a.regex"),
    ("timeout: 2s", "timeout: soon", "spec.http[0].timeout"),
    ("attempts: 2", "attempts: -2", "spec.http[0].retries.attempts"),
    ("backoff: 50ms", "backoff: 0ms", "spec.http[0].retries.backoff"),
    ("weight: 100", "weight: -1", "spec.http[0].route[0].weight"),
    ("subset: v1}", "subset: v9}", "spec.http[0].route[0].destination.subset"),
    ("{host: HOST, subset", "{host: nobody, subset", "spec.http[0].route[0].destination.host"),
];

fn good(host: &str) -> String {
    GOOD.replace("HOST", host)
}

#[test]
fn every_mistake_in_a_file_is_refused_with_its_field() {
    let errors = |text: String| {
        let found = validate(&[Input::Text { name: "greeter.yaml".to_owned(), text }]);
        let errors = found.into_iter().filter(|found| found.severity == Severity::Error);
        errors.map(|error| (error.field, error.message)).collect::<Vec<_>>()
    };
    assert_eq!(errors(good("greeter")), []);
    let mut missed = Vec::new();
    for (part, wrong, field) in WRITTEN {
        assert!(GOOD.contains(part), "{part}");
        let found = errors(GOOD.replacen(part, wrong, 1).replace("HOST", "greeter"));
        if !found.iter().any(|(found, message)| found == field && !message.is_empty()) {
            missed.push(format!("{wrong:?} for {part:?}: expected {field}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Through the file source: a mistake holds back the change of that one object, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_object_among_five_hundred_files_holds_nothing_back() {
    let scenario = Scenario::begin("15 invalid file").await;
    let config = ConfigDir::new();
    for number in 0..CLUSTERS {
        config.write(&format!("s{number}.yaml"), &good(&format!("s{number}")));
    }
    let control = ControlServer::start(config).await;
    let objects = async || control.admin::<PipelineState>("/v1/config").await;
    eventually("all objects are accepted", async || match objects().await.objects.len() {
        count if count == 3 * CLUSTERS => Ok(()),
        count => Err(format!("{count} objects")),
    })
    .await;
    let revision = objects().await.revision;
    control.config.write("s17.yaml", &good("s17").replace("http2MaxRequests: 100", "http2MaxRequests: -1"));
    control.config.write("s18.yaml", &good("s18").replace("http2MaxRequests: 100", "http2MaxRequests: 7"));
    let probe = async || {
        let state = objects().await;
        let errors: Vec<_> =
            state.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
        match errors.as_slice() {
            [error] if error.file == "s17.yaml" && error.field.ends_with("http2MaxRequests") => {}
            other => return Err(format!("{other:?}")),
        }
        if state.revision > revision && state.objects.len() == 3 * CLUSTERS {
            Ok(())
        } else {
            Err(format!("{state:?}"))
        }
    };
    let (_, took) = within(Duration::from_secs(10), "one is refused, the other in use", probe).await;
    scenario.figure("other change in use after", format_args!("{took:.2?}"));
}
