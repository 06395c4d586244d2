//! Load reports, from calls to what servers are told, on virtual time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Forward, MeshConfig, Name, Route, RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::policy::matcher::PathMatcher;
use mesh_core::runtime::{ConfigSource, ConfigWatch, FixedSource, LoadStore, SourceError, Target};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::load_report::Reporter;
use xds_client::transport::TransportError;
use xds_client::transport::memory::{self, MemoryLoadStream, MemoryServer};
use xds_client::{Options, XdsClient, start_with};
use xds_proto::envoy::config::cluster::v3::Cluster as ProtoCluster;
use xds_proto::envoy::config::core::v3::{ConfigSource as ProtoSource, SelfConfigSource, config_source};
use xds_proto::envoy::config::endpoint::v3::ClusterStats;
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use xds_proto::google::protobuf::Duration as ProtoDuration;

use crate::control::{Control, bootstrap, cluster, until_shown};
use crate::endpoint::{self, Caller, Here};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const SERVER: &str = "control:15010";

/// A mesh with a configuration by hand, a reporter, and the servers that it reports to.
pub(crate) struct World {
    configs: FixedSource,
    mesh: Mesh<Here>,
    pub(crate) server: MemoryServer,
    caller: Caller,
}

/// A configuration by hand, whose mesh counts.
#[derive(Debug)]
pub(crate) struct Source(pub(crate) FixedSource, pub(crate) Arc<LoadStore>);

impl ConfigSource for Source {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        self.0.watch(target)
    }

    fn load_store(&self) -> Option<Arc<LoadStore>> {
        Some(self.1.clone())
    }
}

impl World {
    /// Clusters, and the servers that they report to. A path names a cluster.
    pub(crate) async fn new(clusters: &[(&str, &str)]) -> Self {
        let bootstrap = Bootstrap::builder()
            .server(ServerConfig::insecure(SERVER))
            .server(ServerConfig::insecure("fallback:15010"))
            .node_id("n1")
            .build()
            .unwrap();
        let (transport, server) = memory::pair();
        let store = Arc::new(LoadStore::default());
        let options = Options::default().with_rng_seed(65);
        tokio::spawn(Reporter::new(&bootstrap, &store, Arc::new(transport), &options).run());
        let configs = FixedSource::new();
        configs.set("target", config(clusters));
        let mesh = endpoint::mesh(Source(configs.clone(), store));
        let caller = Caller::new(&mesh, "target");
        // until endpoints are connected
        sleep(Duration::from_millis(1)).await;
        Self { configs, mesh, server, caller }
    }

    /// The next stream, which begins with the node.
    pub(crate) async fn accept(&mut self) -> MemoryLoadStream {
        let mut stream = soon(self.server.accept_load_report()).await.unwrap();
        let request = soon(stream.request()).await.unwrap();
        assert_eq!((request.node.unwrap().id.as_str(), request.cluster_stats.len()), ("n1", 0));
        stream
    }
}

/// One route to each cluster, by a path of its name; with the server that it reports to, if any.
pub(crate) fn config(clusters: &[(&str, &str)]) -> MeshConfig {
    let mut all = HashMap::new();
    let mut routes = Vec::new();
    for (name, server) in clusters {
        let template = MeshConfig::to_endpoints(name, ["127.0.0.1:1".parse().unwrap()]);
        let name = Name::from(*name);
        let known = template.clusters()[&name].as_ref().unwrap();
        let load_reporting = (!server.is_empty()).then(|| Name::from(*server));
        let mut settings = ClusterSettings::clone(&known.settings);
        settings.load_reporting = load_reporting;
        all.insert(name.clone(), Ok(Cluster::new(settings, known.discovery.clone())));
        let path = PathMatcher::Exact { path: format!("/{name}"), ignore_case: false };
        let action = RouteAction::Forward(Forward::to(name));
        routes.push(Arc::new(Route::new(RouteMatch::new(path), action)));
    }
    let mut host = VirtualHost::clone(&MeshConfig::to_endpoints("any", []).virtual_hosts()[0]);
    host.routes = routes;
    MeshConfig::new(vec![Arc::new(host)], all, None).unwrap()
}

pub(crate) fn every(interval: Duration, clusters: &[&str]) -> LoadStatsResponse {
    let seconds = i64::try_from(interval.as_secs()).unwrap();
    LoadStatsResponse {
        clusters: clusters.iter().map(ToString::to_string).collect(),
        send_all_clusters: clusters.is_empty(),
        load_reporting_interval: Some(ProtoDuration { seconds, nanos: 0 }),
        ..LoadStatsResponse::default()
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SECOND * 600, future).await.unwrap()
}

/// What a report says of each cluster: seconds, issued, succeeded, failed, in progress.
pub(crate) fn rows(request: Option<LoadStatsRequest>) -> Vec<(String, u64, [u64; 4])> {
    let request = request.unwrap();
    assert_eq!(request.node, None);
    request.cluster_stats.into_iter().map(row).collect()
}

fn row(stats: ClusterStats) -> (String, u64, [u64; 4]) {
    let [locality] = &stats.upstream_locality_stats[..] else { panic!("one locality: {stats:?}") };
    let counts = [
        locality.total_issued_requests,
        locality.total_successful_requests,
        locality.total_error_requests,
        locality.total_requests_in_progress,
    ];
    let interval = stats.load_report_interval.unwrap();
    let seconds = interval.seconds + i64::from(interval.nanos >= 500_000_000);
    (stats.cluster_name, u64::try_from(seconds).unwrap(), counts)
}

fn said(cluster: &str, seconds: u64, counts: [u64; 4]) -> (String, u64, [u64; 4]) {
    (cluster.to_owned(), seconds, counts)
}

/// Proves: BS-28, TR-64, TR-65, TR-66.
#[tokio::test(start_paused = true)]
async fn calls_become_reports_at_the_interval_that_the_server_wants() {
    let mut world = World::new(&[("a", SERVER), ("b", SERVER), ("quiet", "")]).await;
    let mut stream = world.accept().await;
    assert_eq!(stream.server_uri(), SERVER);
    world.caller.call("a", 200).await;
    sleep(SECOND * 60).await;
    assert!(stream.try_request().is_none(), "nothing before the server has asked");
    stream.respond(every(SECOND * 10, &[]));
    let asked = Instant::now();
    world.caller.call("a", 500).await;
    world.caller.call("quiet", 200).await;
    let running = world.caller.begin("b").await;
    let report = rows(soon(stream.request()).await);
    assert_eq!(report, [said("a", 70, [2, 1, 1, 0]), said("b", 70, [1, 0, 0, 1])]);
    assert_eq!(asked.elapsed().as_secs(), 10);
    assert_eq!(rows(soon(stream.request()).await), [said("b", 10, [0, 0, 0, 1])]);
    drop(running);
    assert_eq!(rows(soon(stream.request()).await), [said("b", 10, [0, 0, 1, 0])]);
    assert_eq!(rows(soon(stream.request()).await), [], "a report of nothing says that the client is there");
    assert_eq!(asked.elapsed().as_secs(), 40);
}

/// Proves: TR-65.
#[tokio::test(start_paused = true)]
async fn server_gets_reports_only_for_named_clusters() {
    let mut world = World::new(&[("a", SERVER), ("b", SERVER)]).await;
    let mut stream = world.accept().await;
    stream.respond(every(SECOND, &["b", "unknown"]));
    world.caller.call("a", 200).await;
    world.caller.call("b", 200).await;
    assert_eq!(rows(soon(stream.request()).await), [said("b", 1, [1, 1, 0, 0])]);
    stream.respond(every(SECOND * 2, &[]));
    assert_eq!(rows(soon(stream.request()).await), [said("a", 3, [1, 1, 0, 0])], "what was kept till now");
}

/// Proves: TR-66, TR-68.
#[tokio::test(start_paused = true)]
async fn outage_loses_no_counts_and_is_part_of_the_measured_interval() {
    let mut world = World::new(&[("a", SERVER)]).await;
    let mut stream = world.accept().await;
    stream.respond(every(SECOND, &[]));
    assert_eq!(rows(soon(stream.request()).await), []);
    world.server.refuse("gone fishing");
    stream.fail(TransportError::failed("gone"));
    world.caller.call("a", 200).await;
    sleep(SECOND * 60).await;
    assert!(world.server.try_accept_load_report().is_none());
    world.server.admit();
    let refused = Instant::now();
    let mut stream = world.accept().await;
    assert!(refused.elapsed() < SECOND * 60, "waits grow as those of ADS do");
    stream.respond(every(SECOND, &[]));
    let outage = refused.elapsed().as_secs() + 61;
    let report = rows(soon(stream.request()).await);
    let [(_, seconds, counts)] = &report[..] else { panic!("{report:?}") };
    assert!(seconds.abs_diff(outage) <= 1 && *counts == [1, 1, 0, 0], "{report:?}, {outage} s");
}

/// Proves: TR-65.
#[tokio::test(start_paused = true)]
async fn invalid_interval_ends_the_stream_and_reopens_it() {
    let mut world = World::new(&[("a", SERVER)]).await;
    let mut stream = world.accept().await;
    stream.respond(every(Duration::ZERO, &[]));
    assert!(soon(stream.request()).await.is_none());
    let mut stream = world.accept().await;
    stream.respond(every(SECOND, &[]));
    assert_eq!(rows(soon(stream.request()).await), []);
}

/// Proves: TR-68.
#[tokio::test(start_paused = true)]
async fn returning_cluster_does_not_shorten_lrs_backoff() {
    let mut world = World::new(&[("a", SERVER)]).await;
    world.accept().await.fail(TransportError::failed("status Unimplemented"));
    for server in ["", SERVER].repeat(10) {
        sleep(Duration::from_millis(10)).await;
        world.configs.set("target", config(&[("a", server)]));
    }
    sleep(Duration::from_millis(500)).await;
    assert!(world.server.try_accept_load_report().is_none(), "the first wait is a second");
    world.accept().await;
}

/// Proves: TR-47, TR-68, TR-69.
#[tokio::test(start_paused = true)]
async fn old_server_gets_last_report_when_cluster_moves() {
    let mut world = World::new(&[("a", SERVER)]).await;
    let mut stream = world.accept().await;
    stream.respond(every(SECOND * 100, &[]));
    world.caller.call("a", 200).await;
    let running = world.caller.begin("a").await;
    sleep(SECOND * 7).await;
    world.configs.set("target", config(&[("a", "fallback:15010")]));
    sleep(SECOND).await;
    assert!(stream.try_request().is_none(), "a call without a response keeps its cluster in use");
    drop(running);
    assert_eq!(rows(soon(stream.request()).await), [said("a", 8, [2, 1, 1, 0])]);
    assert!(soon(stream.request()).await.is_none(), "nothing more is sent there");
    drop(stream);
    let mut stream = world.accept().await;
    assert_eq!(stream.server_uri(), "fallback:15010");
    stream.respond(every(SECOND, &[]));
    world.caller.call("a", 200).await;
    assert_eq!(rows(soon(stream.request()).await).pop().unwrap().2, [1, 1, 0, 0]);
    sleep(SECOND * 300).await;
    assert!(
        world.server.try_accept_load_report().is_none(),
        "a server that is not in use is not asked again"
    );
}

/// Proves: TR-69.
#[tokio::test(start_paused = true)]
async fn last_report_is_sent_when_mesh_is_dropped() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut world = World::new(&[("a", SERVER)]).await;
    let mut stream = world.accept().await;
    stream.respond(every(SECOND * 100, &[]));
    sleep(SECOND).await;
    world.caller.call("a", 200).await;
    let World { configs, mesh, server, caller } = world;
    drop((configs, mesh, caller));
    assert_eq!(rows(soon(stream.request()).await), [said("a", 1, [1, 1, 0, 0])]);
    assert!(soon(stream.request()).await.is_none());
    drop(stream);
    sleep(SECOND).await;
    let after = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(after, before);
    drop(server);
}

/// Proves: TR-69.
#[tokio::test(start_paused = true)]
async fn stalled_last_report_delays_no_shutdown() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut world = World::new(&[("a", SERVER)]).await;
    let stream = world.accept().await;
    stream.respond(every(SECOND, &[]));
    // reports fill what room there is
    sleep(SECOND * 10).await;
    let World { configs, mesh, server, caller } = world;
    drop((configs, mesh, caller));
    sleep(SECOND * 2).await;
    let after = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(after, before);
    drop((server, stream));
}

/// Proves: TR-73.
#[tokio::test(start_paused = true)]
async fn servers_that_the_bootstrap_does_not_have_get_nothing() {
    let mut world = World::new(&[("a", "stranger:1"), ("b", "")]).await;
    world.caller.call("a", 200).await;
    sleep(SECOND * 600).await;
    assert!(world.server.try_accept_load_report().is_none());
    world.configs.set("target", config(&[("a", "stranger:1"), ("b", SERVER)]));
    assert_eq!(world.accept().await.server_uri(), SERVER);
}

/// `greeter`, with a cluster that reports and one that does not.
fn control() -> Control {
    let mut control = Control::greeter(&["a", "b"], 1);
    let specifier = config_source::ConfigSourceSpecifier::Self_(SelfConfigSource::default());
    let to_self = ProtoSource { config_source_specifier: Some(specifier), ..ProtoSource::default() };
    control.put("a", &ProtoCluster { lrs_server: Some(to_self), ..cluster("a") });
    control
}

/// Serves every ADS stream, whatever its server, and hands on the streams of load reports.
fn serve(server: &Arc<Mutex<MemoryServer>>) -> mpsc::UnboundedReceiver<MemoryLoadStream> {
    let (found, streams) = mpsc::unbounded_channel();
    let server = Arc::downgrade(server);
    tokio::spawn(async move {
        while let Some(server) = server.upgrade() {
            while let Some(mut ads) = server.lock().unwrap().try_accept() {
                let mut control = control();
                tokio::spawn(async move {
                    while let Some(request) = ads.sotw_request().await {
                        if let Some(response) = control.answer(&request) {
                            ads.respond(response);
                        }
                    }
                });
            }
            while let Some(stream) = server.lock().unwrap().try_accept_load_report() {
                _ = found.send(stream);
            }
            drop(server);
            sleep(Duration::from_millis(10)).await;
        }
    });
    streams
}

fn start(bootstrap: Bootstrap) -> (XdsClient, Arc<Mutex<MemoryServer>>) {
    let (transport, server) = memory::pair();
    let options = Options::default().with_rng_seed(7);
    (start_with(bootstrap, transport, options).unwrap(), Arc::new(Mutex::new(server)))
}

/// Proves: TR-64, TR-69.
#[tokio::test(start_paused = true)]
async fn whole_client_reports_what_the_cluster_asks_for() {
    let (client, server) = start(bootstrap(SERVER));
    let mut streams = serve(&server);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, "a=1 b=1").await;
    sleep(SECOND).await;
    assert!(streams.is_empty(), "no mesh counts yet");
    let mesh = endpoint::mesh(client);
    let caller = Caller::new(&mesh, "greeter");
    let mut stream = soon(streams.recv()).await.unwrap();
    assert_eq!(stream.server_uri(), SERVER);
    assert!(soon(stream.request()).await.unwrap().node.is_some());
    stream.respond(every(SECOND, &[]));
    caller.call("a", 200).await;
    caller.call("b", 200).await;
    assert_eq!(rows(soon(stream.request()).await), [said("a", 1, [1, 1, 0, 0])]);
    caller.call("a", 500).await;
    drop((caller, mesh, watch));
    assert_eq!(rows(soon(stream.request()).await), [said("a", 0, [1, 0, 1, 0])]);
    assert!(soon(stream.request()).await.is_none());
}

/// Proves: TR-47, TR-69.
#[tokio::test(start_paused = true)]
async fn after_a_fallback_reports_go_to_the_server_that_the_cluster_came_from() {
    let servers = ["first:1", "second:2"].map(ServerConfig::insecure);
    let builder = servers.into_iter().fold(Bootstrap::builder(), |builder, server| builder.server(server));
    let (client, server) = start(builder.node_id("n1").build().unwrap());
    let mut streams = serve(&server);
    server.lock().unwrap().refuse_server("first:1", "gone fishing");
    let mesh = endpoint::mesh(client);
    let caller = Caller::new(&mesh, "greeter");
    let mut second = soon(streams.recv()).await.unwrap();
    assert_eq!(second.server_uri(), "second:2");
    assert!(soon(second.request()).await.unwrap().node.is_some());
    second.respond(every(SECOND * 3600, &[]));
    caller.call("a", 200).await;
    sleep(SECOND).await;
    server.lock().unwrap().admit_server("first:1");
    let report = rows(soon(second.request()).await);
    assert_eq!(report[0].2, [1, 1, 0, 0], "the same cluster, from another server: {report:?}");
    assert!(soon(second.request()).await.is_none());
    let mut first = soon(streams.recv()).await.unwrap();
    assert_eq!(first.server_uri(), "first:1");
    assert!(soon(first.request()).await.unwrap().node.is_some());
    first.respond(every(SECOND, &[]));
    caller.call("a", 500).await;
    assert_eq!(rows(soon(first.request()).await)[0].2, [1, 0, 1, 0]);
}
