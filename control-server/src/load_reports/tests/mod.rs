//! What reports add up to, on a clock of our own.

mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use xds_proto::envoy::config::core::v3::Locality;
use xds_proto::envoy::config::endpoint::v3::cluster_stats::DroppedRequests;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterStats, EndpointLoadMetricStats, UnnamedEndpointLoadMetricStats, UpstreamLocalityStats,
};
use xds_proto::google::protobuf;

use super::ledger::{Full, Ledger};
use super::limits::{
    MAX_CATEGORIES, MAX_CLUSTERS, MAX_ENTRIES, MAX_LOCALITIES, MAX_METRICS, MAX_NAME, MAX_REPORT_ENTRIES,
};
use super::load::CallCounts;
use super::report::Report;
use super::status::LoadList;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(10);

/// Served: everything whose name begins with `s`.
fn read(stats: Vec<ClusterStats>) -> Report {
    Report::read(stats, INTERVAL, Duration::ZERO, |name| name.starts_with('s').then(|| name.into()))
}

/// Of this many seconds.
fn stats(cluster: &str, seconds: i64, localities: Vec<UpstreamLocalityStats>) -> ClusterStats {
    ClusterStats {
        cluster_name: cluster.to_owned(),
        load_report_interval: Some(protobuf::Duration { seconds, nanos: 0 }),
        upstream_locality_stats: localities,
        ..ClusterStats::default()
    }
}

/// Successes, errors, issued, in progress.
fn calls(zone: &str, [success, error, issued, in_progress]: [u64; 4]) -> UpstreamLocalityStats {
    let locality = Locality { region: "eu".to_owned(), zone: zone.to_owned(), sub_zone: String::new() };
    UpstreamLocalityStats {
        locality: (!zone.is_empty()).then_some(locality),
        total_successful_requests: success,
        total_error_requests: error,
        total_issued_requests: issued,
        total_requests_in_progress: in_progress,
        ..UpstreamLocalityStats::default()
    }
}

/// A ledger at a moment.
struct Scene {
    now: Instant,
    ledger: Ledger,
}

impl Scene {
    fn new() -> Self {
        Self { now: Instant::now(), ledger: Ledger::new(INTERVAL) }
    }

    fn report(&mut self, id: u64, stats: Vec<ClusterStats>) {
        let node = Arc::from(format!("node-{id}"));
        self.ledger.on_report(self.now, id, &node, read(stats)).unwrap();
    }

    fn list(&mut self, cluster: Option<&str>) -> LoadList {
        self.ledger.expire(self.now);
        LoadList::of(self.now, &self.ledger, cluster)
    }

    /// Successes per second of `s`, over everyone.
    fn success(&mut self) -> f64 {
        self.list(None).clusters.first().map_or(0.0, |cluster| cluster.rates.success_per_second)
    }
}

#[test]
fn clients_add_up_by_locality() {
    let mut scene = Scene::new();
    scene.report(1, vec![stats("s", 10, vec![calls("a", [100, 10, 120, 3]), calls("b", [50, 0, 50, 0])])]);
    scene.report(2, vec![stats("s", 5, vec![calls("a", [100, 0, 100, 4])])]);
    let list = scene.list(Some("s"));
    assert_eq!((list.interval_seconds, list.reporters, list.clusters.len()), (10.0, 2, 1));
    let cluster = &list.clusters[0];
    assert_eq!((cluster.cluster.as_str(), cluster.service.as_str(), cluster.reporters), ("s", "", 2));
    let rates = cluster.rates;
    assert_eq!((rates.success_per_second, rates.error_per_second), (35.0, 1.0));
    assert_eq!((rates.issued_per_second, rates.in_progress), (37.0, 7));
    let localities: Vec<_> = cluster
        .localities
        .iter()
        .map(|one| (one.locality.as_str(), one.rates.success_per_second, one.rates.in_progress))
        .collect();
    assert_eq!(localities, [("eu/a/", 30.0, 7), ("eu/b/", 5.0, 0)]);
    let reporters: Vec<_> = cluster
        .by_reporter
        .iter()
        .flatten()
        .map(|one| (one.id, one.node_id.as_str(), one.age_seconds, one.rates.success_per_second))
        .collect();
    assert_eq!(reporters, [(1, "node-1", 0, 15.0), (2, "node-2", 0, 20.0)]);
    assert_eq!(scene.list(Some("t")).clusters, []);
    assert_eq!(scene.list(None).clusters[0].by_reporter, None);
}

#[test]
fn drops_and_metrics_add_up() {
    let dropped =
        |category: &str, dropped_count| DroppedRequests { category: category.into(), dropped_count };
    let metric = |name: &str, calls, total| EndpointLoadMetricStats {
        metric_name: name.into(),
        num_requests_finished_with_metric: calls,
        total_metric_value: total,
    };
    let cpu =
        UnnamedEndpointLoadMetricStats { num_requests_finished_with_metric: 4, total_metric_value: 2.0 };
    let mut scene = Scene::new();
    for id in [1, 2] {
        let locality = UpstreamLocalityStats {
            cpu_utilization: Some(cpu),
            load_metric_stats: vec![metric("named_metrics.q", id, 10.0), metric("none", 0, 0.0)],
            ..calls("", [1, 0, 1, 0])
        };
        scene.report(
            id,
            vec![ClusterStats {
                total_dropped_requests: 30,
                dropped_requests: vec![dropped("throttle", 20)],
                ..stats("s", 10, vec![locality])
            }],
        );
    }
    let cluster = scene.list(None).clusters.remove(0);
    assert_eq!(cluster.dropped_per_second, 6.0);
    assert_eq!(cluster.drops.into_iter().collect::<Vec<_>>(), [("throttle".to_owned(), 4.0)]);
    let metrics: Vec<_> = cluster.localities[0].metrics.clone().into_iter().collect();
    assert_eq!(metrics, [("cpu_utilization".to_owned(), 0.5), ("named_metrics.q".to_owned(), 20.0 / 3.0)]);
}

#[test]
fn report_replaces_the_last_one() {
    let mut scene = Scene::new();
    scene.report(1, vec![stats("s", 10, vec![calls("", [100, 0, 0, 0])])]);
    scene.report(1, vec![stats("s", 10, vec![calls("", [20, 0, 0, 0])])]);
    assert_eq!(scene.success(), 2.0);
    scene.report(1, vec![]);
    assert_eq!(scene.list(None).clusters, [], "what is not mentioned has no load");
    assert_eq!(scene.list(None).reporters, 1);
}

#[test]
fn disconnected_client_counts_one_interval_and_silent_one_three() {
    let mut scene = Scene::new();
    for id in [1, 2] {
        scene.report(id, vec![stats("s", 10, vec![calls("", [10, 0, 0, 0])])]);
    }
    scene.ledger.on_end(scene.now, 1);
    scene.now += INTERVAL - SECOND;
    assert_eq!(scene.success(), 2.0);
    scene.now += SECOND;
    // The same process, over another stream: not counted twice.
    scene.report(3, vec![stats("s", 10, vec![calls("", [10, 0, 0, 0])])]);
    assert_eq!(scene.success(), 2.0);
    scene.now += 2 * INTERVAL - SECOND;
    assert_eq!(scene.list(None).reporters, 2);
    scene.now += SECOND;
    assert_eq!(scene.list(None).reporters, 1);
    scene.now += INTERVAL;
    assert_eq!(scene.list(None), LoadList { interval_seconds: 10.0, ..LoadList::default() });
}

#[test]
fn invalid_intervals_are_replaced_by_measured_ones() {
    let duration = |seconds, nanos| Some(protobuf::Duration { seconds, nanos });
    for (interval, per_second) in [
        (None, 10.0),
        (duration(0, 0), 10.0),
        (duration(-5, 0), 10.0),
        (duration(i64::MAX, i32::MAX), 10.0),
        (duration(0, -1), 10.0),
        (duration(0, 500_000_000), 200.0),
        (duration(50, 0), 2.0),
    ] {
        let mut scene = Scene::new();
        let stats =
            ClusterStats { load_report_interval: interval, ..stats("s", 0, vec![calls("", [100, 0, 0, 0])]) };
        scene.report(1, vec![stats]);
        assert_eq!(scene.success(), per_second, "{interval:?}");
    }
}

/// O2 of the first hour: three calls of a process of 18 ms are not 168 a second.
#[test]
fn rate_is_over_one_interval_at_least() {
    let duration = |nanos| Some(protobuf::Duration { seconds: 0, nanos });
    let stats = |nanos| ClusterStats {
        load_report_interval: duration(nanos),
        ..stats("s", 0, vec![calls("", [3, 2, 5, 0])])
    };
    let mut scene = Scene::new();
    for id in 0..20 {
        let report = Report::read(vec![stats(18_000_000)], SECOND, INTERVAL, |name| Some(name.into()));
        scene.ledger.on_report(scene.now, id, &Arc::from("node"), report).unwrap();
    }
    assert!((scene.success() - 6.0).abs() < 1e-9, "{}", scene.success());
}

#[test]
fn counts_are_of_every_call_and_bounded() {
    let twice = vec![
        stats("s", 10, vec![calls("a", [1, 2, 0, 0]), calls("b", [10, 20, 0, 0])]),
        ClusterStats {
            total_dropped_requests: 5,
            cluster_service_name: "x".to_owned(),
            ..stats("s", 10, vec![])
        },
        stats("x", 10, vec![calls("a", [1, 2, 0, 0])]),
    ];
    let report = read(twice);
    assert_eq!(report.counts.len(), 1, "only of clusters that are served");
    assert_eq!(report.counts["s"], CallCounts { success: 11, error: 22, dropped: 5 });
    let huge = read(vec![stats("s", 10, vec![calls("", [u64::MAX; 4]), calls("", [u64::MAX; 4])])]);
    assert_eq!(huge.counts["s"].success, 1 << 40);
}

/// What hostile clients say, and how much of it is kept: clusters, localities, metrics, categories.
#[test]
fn reports_of_one_client_are_bounded() {
    let many = |count: usize| (0..count).map(|index| index.to_string());
    let long = "x".repeat(MAX_NAME + 1);
    let metric = |metric_name: String| EndpointLoadMetricStats { metric_name, ..Default::default() };
    let dropped = |category: String| DroppedRequests { category, dropped_count: 1 };
    let locality = |metrics| UpstreamLocalityStats { load_metric_stats: metrics, ..calls("", [1; 4]) };
    let with_service = |cluster_service_name| ClusterStats { cluster_service_name, ..stats("s", 1, vec![]) };
    let with_drops = |dropped_requests| ClusterStats { dropped_requests, ..stats("s", 1, vec![]) };
    let nan = EndpointLoadMetricStats { total_metric_value: f64::NAN, ..metric("m".to_owned()) };
    for (what, stats, entries, ignored) in [
        ("not served", vec![stats("x", 1, vec![calls("", [1; 4])])], 0, 1),
        ("clusters", many(MAX_CLUSTERS + 7).map(with_service).collect(), MAX_CLUSTERS, 7),
        ("long service", vec![with_service(long.clone())], 0, 1),
        (
            "localities",
            vec![stats("s", 1, many(MAX_LOCALITIES + 7).map(|zone| calls(&zone, [1; 4])).collect())],
            1 + MAX_LOCALITIES,
            7,
        ),
        ("long locality", vec![stats("s", 1, vec![calls(&long, [1; 4])])], 1, 1),
        (
            "metrics",
            vec![stats("s", 1, vec![locality(many(MAX_METRICS + 7).map(metric).collect())])],
            2 + MAX_METRICS,
            7,
        ),
        ("no number", vec![stats("s", 1, vec![locality(vec![nan])])], 3, 1),
        (
            "categories",
            vec![with_drops(many(MAX_CATEGORIES + 7).map(dropped).collect())],
            1 + MAX_CATEGORIES,
            7,
        ),
        ("large counts", vec![stats("s", 1, vec![calls("", [u64::MAX; 4]), calls("", [u64::MAX; 4])])], 2, 0),
    ] {
        let report = read(stats);
        assert_eq!((report.entries(), report.ignored), (entries, ignored), "{what}");
    }
}

/// Made-up EDS services of a cluster that is served, with as many localities each as are kept.
fn large(services: usize) -> Vec<ClusterStats> {
    let zones: Vec<_> = (0..MAX_LOCALITIES).map(|index| calls(&index.to_string(), [10; 4])).collect();
    let service = |index: usize| ClusterStats {
        cluster_service_name: index.to_string(),
        ..stats("s", 10, zones.clone())
    };
    (0..services).map(service).collect()
}

#[test]
fn client_cannot_use_the_budget_of_others() {
    let (services, each) = (MAX_ENTRIES / (1 + MAX_LOCALITIES), 1 + MAX_LOCALITIES);
    let report = read(large(services));
    assert_eq!(report.entries(), MAX_REPORT_ENTRIES);
    assert!(report.ignored >= services - MAX_REPORT_ENTRIES / each - 1, "{}", report.ignored);
    let mut scene = Scene::new();
    scene.ledger.on_report(scene.now, 1, &Arc::from("greedy"), report).unwrap();
    scene.report(2, vec![stats("s2", 10, vec![calls("", [100, 0, 0, 0])])]);
    assert_eq!(scene.list(Some("s2")).clusters[0].rates.success_per_second, 10.0);
    assert_eq!(scene.list(None).reporters, 2);
}

#[test]
fn reports_of_all_clients_are_bounded() {
    let mut scene = Scene::new();
    let large = read(large(310));
    let large = || large.clone();
    let node = Arc::from("node");
    let fitting = u64::try_from(MAX_ENTRIES / large().entries()).unwrap();
    for id in [0, fitting + 1] {
        scene.report(id, vec![stats("s2", 10, vec![calls("", [50, 0, 0, 0])])]);
    }
    for id in 1..fitting {
        scene.ledger.on_report(scene.now, id, &node, large()).unwrap();
    }
    for id in [0, fitting] {
        assert_eq!(scene.ledger.on_report(scene.now, id, &node, large()), Err(Full));
    }
    let kept = scene.list(Some("s2"));
    assert_eq!(kept.clusters[0].rates.success_per_second, 10.0, "a report without room leaves the last one");
    scene.ledger.on_report(scene.now, 1, &node, large()).unwrap();
    scene.now += 3 * INTERVAL;
    scene.ledger.on_report(scene.now, fitting, &node, large()).unwrap();
    assert_eq!(scene.list(None).reporters, 1);
}
