//! A client's status as metrics.

use std::time::Instant;

use mesh_core::counters::{CounterFamily, CounterValue};
use mesh_core::policy::outlier::{DetectionMethod, MethodCounts};
use mesh_core::runtime::{QueuedCalls, RemainingCapacity};

use super::family::FAMILIES;
use super::snapshot::counted;
use super::{MetricKind, Point};
use crate::client::{ServerStatus, Status};
use crate::protocol::{ResourceState, ResourceStatus, UpdateCounts};
use crate::status::tests::{CLUSTER, cluster, ejected, status};

/// The points of one metric: the labels' values, and the value.
fn points(name: &str, status: &Status) -> Vec<String> {
    let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
    let metric = family.metric(status);
    let shown = |Point { labels, value }: &Point| {
        let labels: Vec<_> = labels.iter().map(|(_, of)| &**of).collect();
        format!("{} {value}", labels.join(" "))
    };
    metric.points.iter().map(shown).collect()
}

/// Proves: OB-10.
#[test]
fn every_state_of_a_resource_has_its_name() {
    use ResourceState as State;
    let cached = Some(Instant::now());
    let rows = [
        (State::Requested, None, "requested"),
        (State::Requested, cached, "requested"),
        (State::DoesNotExist, None, "does_not_exist"),
        (State::DoesNotExist, cached, "does_not_exist_but_cached"),
        (State::Acked, cached, "acked"),
        (State::Nacked, None, "nacked"),
        (State::Nacked, cached, "nacked_but_cached"),
        (State::ReceivedError, None, "received_error"),
        (State::ReceivedError, cached, "received_error_but_cached"),
        (State::Timeout, None, "timeout"),
    ];
    for (state, cached, name) in rows {
        let status = status(vec![cluster("a", state, cached)]);
        let expected = format!("#process #old envoy.config.cluster.v3.Cluster {name} 1");
        assert_eq!(points("grpc.xds_client.resources", &status), [expected], "{state:?}");
    }
}

/// Proves: OB-08.
#[test]
fn resources_are_counted_by_authority_type_and_state() {
    let cached = Some(Instant::now());
    let of = |name| cluster(name, ResourceState::Acked, cached);
    let other = ResourceStatus { type_url: "example.com/own.Type", ..of("a") };
    let known = [
        "a",
        "b",
        "xdstp://eu/envoy.config.cluster.v3.Cluster/a",
        "xdstp:///envoy.config.cluster.v3.Cluster/a",
    ];
    let status = status(known.map(of).into_iter().chain([other]).collect());
    assert_eq!(
        points("grpc.xds_client.resources", &status),
        [
            "#process  envoy.config.cluster.v3.Cluster acked 1",
            "#process #old envoy.config.cluster.v3.Cluster acked 2",
            "#process #old example.com/own.Type acked 1",
            "#process eu envoy.config.cluster.v3.Cluster acked 1",
        ]
    );
}

/// Proves: OB-08, OB-09.
#[test]
fn servers_are_counted_by_uri() {
    let mut status = status(Vec::new());
    let idle = ServerStatus {
        uri: "spare:1".into(),
        needed: false,
        connected: false,
        outage: None,
        failures: 0,
        updates: Vec::new(),
    };
    let counts = UpdateCounts { valid: 1, invalid: 1 };
    let twin = ServerStatus {
        uri: "control:15010".into(),
        needed: true,
        connected: true,
        failures: 3,
        updates: vec![(CLUSTER, counts)],
        ..idle.clone()
    };
    let other = ServerStatus { uri: "other:1".into(), ..twin.clone() };
    status.servers.extend([idle, twin, other]);
    let rows: [(&str, &[&str]); 4] = [
        ("grpc.xds_client.connected", &["#process control:15010 0", "#process other:1 1"]),
        ("grpc.xds_client.server_failure", &["#process control:15010 5", "#process other:1 3"]),
        (
            "grpc.xds_client.resource_updates_valid",
            &[
                "#process control:15010 envoy.config.cluster.v3.Cluster 6",
                "#process other:1 envoy.config.cluster.v3.Cluster 1",
            ],
        ),
        (
            "grpc.xds_client.resource_updates_invalid",
            &[
                "#process control:15010 envoy.config.cluster.v3.Cluster 2",
                "#process other:1 envoy.config.cluster.v3.Cluster 1",
            ],
        ),
    ];
    for (name, expected) in rows {
        assert_eq!(points(name, &status), expected, "{name}");
    }
}

/// Proves: OB-08.
#[test]
fn metrics_have_the_names_units_and_labels_of_grpc() {
    let mut counts = MethodCounts::new(DetectionMethod::SuccessRate);
    (counts.enforced, counts.enforcement_percentage) = (1, 1);
    let status = Status {
        ejected: vec![ejected("a", Instant::now())],
        ejections: vec![counts],
        queued: vec![QueuedCalls::new("a", 3)],
        remaining: vec![RemainingCapacity::of_requests("a", 7)],
        ..status(vec![cluster("a", ResourceState::Acked, Some(Instant::now()))])
    };
    let (server, of_type) = (["grpc.target", "grpc.xds.server"], "grpc.xds.resource_type");
    let updates = [server[0], server[1], of_type];
    let resources = ["grpc.target", "grpc.xds.authority", of_type, "grpc.xds.cache_state"];
    let method = [server[0], "grpc.lb.outlier_detection.detection_method"];
    let reason = [method[0], method[1], "grpc.lb.outlier_detection.unenforced_reason"];
    let of_cluster = [server[0], "grpc.lb.backend_service"];
    let limit = [of_cluster[0], of_cluster[1], "mesh.priority", "mesh.circuit_breaker.resource"];
    let rows: [(&str, &str, MetricKind, &[&str]); 10] = [
        ("grpc.xds_client.connected", "{bool}", MetricKind::Gauge, &server),
        ("grpc.xds_client.server_failure", "{failure}", MetricKind::Counter, &server),
        ("grpc.xds_client.resource_updates_valid", "{resource}", MetricKind::Counter, &updates),
        ("grpc.xds_client.resource_updates_invalid", "{resource}", MetricKind::Counter, &updates),
        ("grpc.xds_client.resources", "{resource}", MetricKind::Gauge, &resources),
        ("grpc.lb.outlier_detection.ejections_enforced", "{ejection}", MetricKind::Counter, &method),
        ("grpc.lb.outlier_detection.ejections_unenforced", "{ejection}", MetricKind::Counter, &reason),
        ("mesh.outlier_detection.ejected_endpoints", "{endpoint}", MetricKind::Gauge, &of_cluster),
        ("mesh.queued_calls", "{call}", MetricKind::Gauge, &of_cluster),
        ("mesh.circuit_breaker.remaining", "1", MetricKind::Gauge, &limit),
    ];
    assert_eq!(FAMILIES.len(), rows.len());
    for (family, (name, unit, kind, labels)) in FAMILIES.iter().zip(rows) {
        let metric = family.metric(&status);
        assert_eq!((metric.name, metric.unit, metric.kind), (name, unit, kind));
        let [point] = &metric.points[..] else { panic!("{metric:?}") };
        let named: Vec<_> = point.labels.iter().map(|(label, _)| *label).collect();
        assert_eq!(named, labels, "{name}");
    }
}

/// Proves: OB-13.
#[test]
fn ejections_are_counted_by_method_and_reason() {
    let now = Instant::now();
    let counts = |method, enforced, enforcement_percentage, max_ejection_overflow| {
        let mut counts = MethodCounts::new(method);
        counts.enforced = enforced;
        counts.enforcement_percentage = enforcement_percentage;
        counts.max_ejection_overflow = max_ejection_overflow;
        counts
    };
    let status = Status {
        ejected: ["a", "b", "a"].map(|cluster| ejected(cluster, now)).into(),
        ejections: vec![
            counts(DetectionMethod::SuccessRate, 3, 2, 1),
            counts(DetectionMethod::FailurePercentage, 0, 0, 4),
            counts(DetectionMethod::Consecutive5xx, 5, 0, 0),
            counts(DetectionMethod::ConsecutiveGatewayFailure, 0, 0, 0),
        ],
        ..status(Vec::new())
    };
    assert_eq!(
        points("grpc.lb.outlier_detection.ejections_enforced", &status),
        ["#process success_rate 3", "#process consecutive_5xx 5"]
    );
    assert_eq!(
        points("grpc.lb.outlier_detection.ejections_unenforced", &status),
        [
            "#process success_rate enforcement_percentage 2",
            "#process success_rate max_ejection_overflow 1",
            "#process failure_percentage max_ejection_overflow 4",
        ]
    );
    let gauge = points("mesh.outlier_detection.ejected_endpoints", &status);
    assert_eq!(gauge, ["#process a 2", "#process b 1"]);
}

#[test]
fn calls_that_wait_are_counted_by_cluster() {
    let queued = vec![QueuedCalls::new("a", 3), QueuedCalls::new("b", 0)];
    let status = Status { queued, ..status(Vec::new()) };
    assert_eq!(points("mesh.queued_calls", &status), ["#process a 3", "#process b 0"]);
}

#[test]
fn what_a_mesh_counts_is_a_metric_with_the_labels_of_its_family() {
    const FAMILY: CounterFamily = CounterFamily::new("mesh.x", "About x.", "{x}", &["of", "how"]);
    let counter = |of: &str, value| CounterValue::new(FAMILY, [of.into(), "well".into()], value);
    let other = CounterValue::new(CounterFamily::new("mesh.y", "", "{y}", &[]), [], 7);
    let status = Status { counters: vec![counter("a", 3), counter("b", 4), other], ..status(Vec::new()) };
    let metrics: Vec<_> = counted(&status).collect();
    let shown = metrics.iter().map(|metric| (metric.name, metric.unit, metric.points.len()));
    assert_eq!(shown.collect::<Vec<_>>(), [("mesh.x", "{x}", 2), ("mesh.y", "{y}", 1)]);
    let labels = vec![("grpc.target", "#process".into()), ("of", "b".into()), ("how", "well".into())];
    assert_eq!(metrics[0].points[1], Point { labels, value: 4 });
}
