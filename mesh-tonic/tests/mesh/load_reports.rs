//! Load reports: what the store says is what happened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use examples::greeter::HelloRequest;
use http::{HeaderMap, Response};
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DropCategory, Endpoint as Place, EndpointSet, Locality, LocalityId,
    MaxRequests, MeshConfig, Priority, ReportedMetric,
};
use mesh_core::policy::load_report::{ClusterReport, LocalitySums, MetricSum};
use mesh_core::policy::matcher::Fraction;
use mesh_core::runtime::{ConfigSource, ConfigWatch, FixedSource, LoadStore, SourceError, Target};
use mesh_core::testing::reserved_address;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::config::{Config, with_retries};
use crate::endpoint::Endpoint;
use crate::{Client, asking, call, calls, client, eventually, hello, raw};

/// A source whose mesh counts.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    configs: FixedSource,
    store: Arc<LoadStore>,
}

impl Source {
    pub(crate) fn any(config: MeshConfig) -> Self {
        Self { configs: FixedSource::any(config), store: Arc::default() }
    }

    pub(crate) fn take(&self) -> Vec<ClusterReport> {
        self.store.take(Instant::now(), SERVER, |_| true)
    }

    /// What is to be reported of the one cluster.
    fn take_one(&self) -> ClusterReport {
        let [report] = <[_; 1]>::try_from(self.take()).unwrap();
        report
    }
}

impl ConfigSource for Source {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        self.configs.watch(target)
    }

    fn load_store(&self) -> Option<Arc<LoadStore>> {
        Some(self.store.clone())
    }
}

const SERVER: &str = "control:15010";

pub(crate) fn settings(name: &str) -> ClusterSettings {
    reporting_to(name, Some(SERVER))
}

fn reporting_to(name: &str, server: Option<&str>) -> ClusterSettings {
    let mut settings = ClusterSettings::new(name);
    settings.load_reporting = server.map(Into::into);
    settings
}

pub(crate) fn zone(name: &str) -> LocalityId {
    LocalityId { zone: name.to_owned(), ..LocalityId::default() }
}

/// A cluster with one endpoint in each zone.
pub(crate) fn cluster(
    settings: ClusterSettings,
    zones: &[(&str, SocketAddr)],
    drops: Vec<DropCategory>,
) -> Cluster {
    let localities = zones.iter().map(|(name, address)| {
        let endpoints = vec![Place::new(*address)];
        Arc::new(Locality::new(zone(name), NonZeroU32::MIN, endpoints))
    });
    let mut set = EndpointSet::new(vec![Priority::new(localities)]);
    set.drops = drops;
    Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))))
}

fn to(cluster: Cluster, attempts: u32) -> MeshConfig {
    let name = cluster.settings.name.clone();
    Config::default().entry(&name, Ok(cluster)).to(with_retries(&name, attempts)).build()
}

/// Issued, succeeded, failed, in progress.
pub(crate) fn counts(sums: &LocalitySums) -> [u64; 4] {
    [sums.issued, sums.succeeded, sums.failed, sums.in_progress]
}

fn by_zone(reports: &[ClusterReport]) -> BTreeMap<String, [u64; 4]> {
    let localities = reports.iter().flat_map(|report| &report.sums.localities);
    localities.map(|(id, sums)| (id.zone.clone(), counts(sums))).collect()
}

/// Proves: TR-64, TR-66.
#[tokio::test]
async fn requests_count_in_the_locality_that_they_went_to() {
    let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
    let zones = [("a", a.address), ("b", b.address)];
    let source = Source::any(to(cluster(settings("greeter"), &zones, Vec::new()), 1));
    let mut client = client(&Mesh::new(source.clone()));
    let arrived = |endpoint: &Endpoint| endpoint.take_seen().len() as u64;
    let mut seen = [0; 2];
    while seen.contains(&0) {
        call(&mut client).await.unwrap();
        seen = [seen[0] + arrived(&a), seen[1] + arrived(&b)];
    }
    let reports = source.take();
    assert_eq!((&*reports[0].cluster, &*reports[0].service_name), ("greeter", "greeter"));
    let expected = [("a".to_owned(), [seen[0], seen[0], 0, 0]), ("b".to_owned(), [seen[1], seen[1], 0, 0])];
    assert_eq!(by_zone(&reports), expected.into());
    assert!(source.take().is_empty(), "nothing has happened since");

    for _ in 0..50 {
        client.say_hello(asking("error-code-5")).await.unwrap_err();
    }
    seen = [arrived(&a), arrived(&b)];
    assert!(seen[0] > 0 && seen[1] > 0, "calls go to both: {seen:?}");
    let expected = [("a".to_owned(), [seen[0], 0, seen[0], 0]), ("b".to_owned(), [seen[1], 0, seen[1], 0])];
    assert_eq!(by_zone(&source.take()), expected.into());
}

/// Proves: TR-66.
#[tokio::test]
async fn every_attempt_counts_once_however_it_ends() {
    let endpoint = Endpoint::start("a").await;
    let source = Source::any(to(cluster(settings("greeter"), &[("a", endpoint.address)], Vec::new()), 3));
    let mut client = client(&Mesh::new(source.clone()));
    let check = |what: &str, expected: [u64; 4]| {
        assert_eq!(by_zone(&source.take()), [("a".to_owned(), expected)].into(), "{what}");
    };
    call(&mut client).await.unwrap();
    check("success", [1, 1, 0, 0]);
    client.say_hello(asking("error-code-5")).await.unwrap_err();
    check("a status", [1, 0, 1, 0]);
    client.say_hello(asking("error-code-14,succeed-on-retry-attempt-2")).await.unwrap();
    check("two attempts that failed and one that did not", [3, 1, 2, 0]);
    let mut late = asking("keep-open");
    late.set_timeout(Duration::from_millis(30));
    client.say_hello(late).await.unwrap_err();
    check("the deadline", [1, 0, 1, 0]);

    let before = endpoint.calls();
    let mut abandoned = client.clone();
    let running = tokio::spawn(async move { abandoned.say_hello(asking("keep-open")).await });
    eventually("the call has arrived", || endpoint.calls() > before).await;
    check("no end yet", [1, 0, 0, 1]);
    check("no end yet, and nothing new", [0, 0, 0, 1]);
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    check("given up before the head", [0, 0, 1, 0]);

    let many = || HelloRequest { name: "you".to_owned(), count: 3 };
    let mut replies = client.say_hellos(many()).await.unwrap().into_inner();
    check("a head is no end", [1, 0, 0, 1]);
    while replies.message().await.unwrap().is_some() {}
    check("trailers are, though the stream is still held", [0, 1, 0, 0]);
    drop((replies, client.say_hellos(many()).await.unwrap()));
    check("given up before the trailers", [1, 0, 1, 0]);

    let (sender, names) = mpsc::channel(1);
    let chat = client.chat(ReceiverStream::new(names)).await.unwrap();
    check("a stream that goes on", [1, 0, 0, 1]);
    drop(sender);
    let mut replies = chat.into_inner();
    assert!(replies.message().await.unwrap().is_none());
    check("its end", [0, 1, 0, 0]);

    let mut overdue = tonic::Request::new(hello("you"));
    overdue.set_timeout(Duration::ZERO);
    client.say_hello(overdue).await.unwrap_err();
    assert!(source.take().is_empty(), "what is never sent is no request");
}

/// M5: calls that wait for a place and give up, and calls whose connection ends before they are written.
///
/// Proves: TR-66.
#[tokio::test]
async fn attempts_that_end_before_anything_is_sent_do_not_count() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let address = raw::serve_at_once(1, move |_, respond| arrived.send(respond).unwrap()).await;
    let source = Source::any(to(cluster(settings("greeter"), &[("a", address)], Vec::new()), 1));
    let mut client = client(&Mesh::new(source.clone()));
    let mut first = client.clone();
    let first = tokio::spawn(async move { call(&mut first).await.map(drop) });
    let respond = arrivals.recv().await.unwrap();
    for _ in 0..5 {
        let mut overdue = tonic::Request::new(hello("you"));
        overdue.set_timeout(Duration::from_millis(30));
        let status = client.say_hello(overdue).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(status.message().contains("room"), "{status}");
    }
    raw::succeed(respond);
    first.await.unwrap().unwrap();
    assert_eq!(by_zone(&source.take()), [("a".to_owned(), [1, 1, 0, 0])].into());

    let mut zones = Vec::new();
    for zone in ["a", "b", "c", "d"] {
        zones.push((zone, raw::serve_once_per_connection().await));
    }
    let source = Source::any(to(cluster(settings("greeter"), &zones, Vec::new()), 1));
    let client = crate::client(&Mesh::new(source.clone()));
    calls(&client, 8, 50).await;
    let sums = by_zone(&source.take()).into_values();
    let sum = sums.reduce(|a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]).unwrap();
    assert_eq!(sum, [400, 400, 0, 0], "every call once, however often it found its connection gone");
}

type Answer = fn(h2::server::SendResponse<Bytes>);

/// Proves: TR-66.
#[tokio::test]
async fn responses_without_a_status_and_broken_ones_are_failures() {
    let table: [(&str, Answer, [u64; 4]); 4] = [
        (
            "trailers-only OK",
            |mut respond| drop(respond.send_response(head(&[("grpc-status", "0")]), true)),
            [1, 1, 0, 0],
        ),
        ("no status", |mut respond| drop(respond.send_response(head(&[]), true)), [1, 0, 1, 0]),
        (
            "not gRPC",
            |mut respond| {
                let head = Response::builder().status(503).body(()).unwrap();
                drop(respond.send_response(head, true));
            },
            [1, 0, 1, 0],
        ),
        ("reset", |mut respond| respond.send_reset(h2::Reason::INTERNAL_ERROR), [1, 0, 1, 0]),
    ];
    for (name, answer, expected) in table {
        let address = raw::serve(move |_, respond| answer(respond)).await;
        let source = Source::any(to(cluster(settings("greeter"), &[("a", address)], Vec::new()), 1));
        let mut client = client(&Mesh::new(source.clone()));
        // an OK without a message is an error of the generated client, not of the endpoint
        client.say_hello(hello("you")).await.unwrap_err();
        assert_eq!(by_zone(&source.take()), [("a".to_owned(), expected)].into(), "{name}");
    }
}

/// Proves: LB-22, TR-67.
#[tokio::test]
async fn drops_precede_circuit_breaker_and_neither_counts_as_request() {
    let endpoint = Endpoint::start("a").await;
    let zones = [("a", endpoint.address)];
    let category = |name: &str, fraction| DropCategory { category: name.into(), fraction };
    let (all, none) = (Fraction::ALL, Fraction::per_million(0));
    let table = [
        ("drops", endpoint.address, vec![category("x", none), category("y", all)], Some(("y", 3)), 3),
        ("the circuit breaker", endpoint.address, vec![category("x", none)], None, 3),
        ("no endpoint", reserved_address(), vec![category("x", all)], None, 0),
    ];
    for (name, address, drops, expected, total) in table {
        let settings = settings("greeter").with_max_requests(MaxRequests(0));
        let source = Source::any(to(cluster(settings, &[("a", address)], drops), 2));
        let mut client = client(&Mesh::new(source.clone()));
        for _ in 0..3 {
            assert_eq!(call(&mut client).await.unwrap_err().code(), Code::Unavailable);
        }
        let report = source.take().pop().map(|report| report.sums).unwrap_or_default();
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(name, count)| (name.into(), count)).collect();
        assert_eq!((report.drops, report.total_drops), (expected, total), "{name}");
        assert!(report.localities.is_empty(), "{name}");
    }

    let half = Fraction::per_million(500_000);
    let drops = vec![category("x", half), category("y", half)];
    let source = Source::any(to(cluster(settings("greeter"), &zones, drops), 1));
    let mut client = client(&Mesh::builder(source.clone()).seed(22).build());
    let mut refused = 0;
    for _ in 0..400 {
        refused += u64::from(call(&mut client).await.is_err());
    }
    let report = source.take_one().sums;
    let passed = 400 - refused;
    assert_eq!(counts(&report.localities[&zone("a")]), [passed, passed, 0, 0]);
    assert_eq!((report.total_drops, report.drops.values().sum::<u64>()), (refused, refused));
    assert!(report.drops["x"] > report.drops["y"], "a call that x drops does not come to y: {report:?}");
}

fn head(headers: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::builder().header("content-type", "application/grpc");
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    head.body(()).unwrap()
}

/// CPU 0.5, and 3 in the queue `q`.
const REPORT: &str = "CQAAAAAAAOA/QgwKAXERAAAAAAAACEA=";

/// Proves: TR-71, TR-72.
#[tokio::test]
async fn listed_endpoint_metrics_are_reported() {
    let address = raw::serve(|request, mut respond| {
        let report = ("endpoint-load-metrics-bin", REPORT);
        if request.headers().contains_key("rpc-behavior") {
            drop(respond.send_response(head(&[("grpc-status", "9"), report]), true));
            return;
        }
        let mut stream = respond.send_response(head(&[]), false).unwrap();
        stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert(report.0, report.1.parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let sum = |sum| Some(MetricSum { count: 3, sum });
    let queue = ReportedMetric::Named("q".into());
    let table = [
        ("nothing listed", vec![], None, None),
        ("one metric", vec![ReportedMetric::CpuUtilization], sum(1.5), None),
        ("two", vec![ReportedMetric::CpuUtilization, queue], sum(1.5), sum(9.0)),
        ("all named ones", vec![ReportedMetric::AllNamed, ReportedMetric::MemUtilization], None, sum(9.0)),
    ];
    for (name, listed, cpu, queue) in table {
        let mut settings = settings("greeter");
        settings.reported_metrics = listed.into();
        let source = Source::any(to(cluster(settings, &[("a", address)], Vec::new()), 1));
        let mut client = client(&Mesh::new(source.clone()));
        call(&mut client).await.unwrap();
        call(&mut client).await.unwrap();
        client.say_hello(asking("error-code-9")).await.unwrap_err();
        let sums = source.take_one().sums.localities.remove(&zone("a")).unwrap();
        assert_eq!(counts(&sums), [3, 2, 1, 0], "{name}");
        let metrics = sums.metrics;
        assert_eq!((metrics.cpu_utilization, metrics.named.get("q").copied()), (cpu, queue), "{name}");
        assert_eq!((metrics.mem_utilization, metrics.application_utilization), (None, None), "{name}");
    }
}

/// Proves: TR-70.
#[tokio::test]
async fn dns_name_has_the_empty_locality() {
    let endpoint = Endpoint::start("a").await;
    let discovery = Discovery::LogicalDns { host: "127.0.0.1".into(), port: endpoint.address.port() };
    let cluster = Cluster::new(settings("greeter"), discovery);
    let source = Source::any(to(cluster, 1));
    call(&mut client(&Mesh::new(source.clone()))).await.unwrap();
    let localities = source.take_one().sums.localities;
    assert_eq!(localities.keys().collect::<Vec<_>>(), [&LocalityId::default()]);
}

/// Proves: TR-47, TR-69.
#[tokio::test]
async fn channels_count_together_and_the_last_calls_of_a_cluster_are_not_lost() {
    let endpoint = Endpoint::start("a").await;
    let make = |name: &str, server: Option<&str>| {
        to(cluster(reporting_to(name, server), &[("a", endpoint.address)], Vec::new()), 1)
    };
    let source = Source { configs: FixedSource::new(), store: Arc::default() };
    source.configs.set("greeter", make("one", Some(SERVER)));
    source.configs.set("other", make("one", Some(SERVER)));
    let mesh = Mesh::new(source.clone());
    let servers = source.store.servers();
    let other = mesh_tonic::MeshChannel::builder("other").mesh(&mesh).build().unwrap();
    let mut other = Client::new(other);
    let mut client = client(&mesh);
    call(&mut client).await.unwrap();
    call(&mut other).await.unwrap();
    assert_eq!(*servers.borrow(), [(SERVER.into(), 2)].into());
    assert_eq!(by_zone(&source.take()), [("a".to_owned(), [2, 2, 0, 0])].into());

    let (sender, names) = mpsc::channel(1);
    let chat = client.chat(ReceiverStream::new(names)).await.unwrap();
    source.configs.set("greeter", make("one", Some("elsewhere:1")));
    source.configs.set("other", make("two", None));
    eventually("nothing in use reports to the server", || !servers.borrow().contains_key(SERVER)).await;
    call(&mut client).await.unwrap();
    call(&mut other).await.unwrap();
    assert_eq!(by_zone(&source.take()), [("a".to_owned(), [1, 0, 0, 1])].into());
    drop((sender, chat));
    assert_eq!(by_zone(&source.take()), [("a".to_owned(), [0, 0, 1, 0])].into());
    assert!(source.take().is_empty());
    let elsewhere = source.store.take(Instant::now(), "elsewhere:1", |_| true);
    assert_eq!(by_zone(&elsewhere), [("a".to_owned(), [1, 1, 0, 0])].into());
    drop((client, other, mesh));
    eventually("nothing reports any more", || servers.borrow().is_empty()).await;
}
