//! All metrics, and how each is computed from a status.

use std::collections::BTreeMap;

use mesh_core::config::Name;
use mesh_core::counters::CounterValue;
use mesh_core::policy::outlier::{DetectionMethod, Unenforced};
use mesh_core::runtime::RemainingCapacity;

use super::{Metric, MetricKind, Point};
use crate::client::{ServerStatus, Status};
use crate::protocol::{ResourceState, ResourceStatus, UpdateCounts, authority};

/// A metric without values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
    pub(super) kind: MetricKind,
    pub(super) read: fn(&Status) -> Vec<Point>,
}

impl Family {
    pub(super) fn metric(&self, status: &Status) -> Metric {
        let Self { name, description, unit, kind, read } = *self;
        Metric { name, description, unit, kind, points: read(status) }
    }
}

// OB-08
pub(super) const FAMILIES: [Family; 10] = [
    Family {
        name: "grpc.xds_client.connected",
        description: "Whether a control server that is needed is there.",
        unit: "{bool}",
        kind: MetricKind::Gauge,
        read: connected,
    },
    Family {
        name: "grpc.xds_client.server_failure",
        description: "How often a control server was lost.",
        unit: "{failure}",
        kind: MetricKind::Counter,
        read: failures,
    },
    Family {
        name: "grpc.xds_client.resource_updates_valid",
        description: "Resources that were accepted, unchanged ones too.",
        unit: "{resource}",
        kind: MetricKind::Counter,
        read: |status| updates(status, |counts| counts.valid),
    },
    Family {
        name: "grpc.xds_client.resource_updates_invalid",
        description: "Resources that were refused.",
        unit: "{resource}",
        kind: MetricKind::Counter,
        read: |status| updates(status, |counts| counts.invalid),
    },
    Family {
        name: "grpc.xds_client.resources",
        description: "Resources that are watched.",
        unit: "{resource}",
        kind: MetricKind::Gauge,
        read: resources,
    },
    // OB-13
    Family {
        name: "grpc.lb.outlier_detection.ejections_enforced",
        description: "Endpoints that outlier detection has ejected.",
        unit: "{ejection}",
        kind: MetricKind::Counter,
        read: enforced,
    },
    Family {
        name: "grpc.lb.outlier_detection.ejections_unenforced",
        description: "Outliers that were found and not ejected.",
        unit: "{ejection}",
        kind: MetricKind::Counter,
        read: unenforced,
    },
    Family {
        name: "mesh.outlier_detection.ejected_endpoints",
        description: "Endpoints that are ejected.",
        unit: "{endpoint}",
        kind: MetricKind::Gauge,
        read: ejected,
    },
    Family {
        name: "mesh.queued_calls",
        description: "Calls that wait because all connections to their endpoint are full.",
        unit: "{call}",
        kind: MetricKind::Gauge,
        read: queued,
    },
    // LB-28
    Family {
        name: "mesh.circuit_breaker.remaining",
        description: "How much more the circuit breaker of a cluster allows.",
        unit: "1",
        kind: MetricKind::Gauge,
        read: remaining,
    },
];

/// OB-09: as in the protocol. Servers with the same URI count as connected if all of them are.
fn connected(status: &Status) -> Vec<Point> {
    let mut servers = BTreeMap::new();
    for server in status.servers.iter().filter(|server| server.needed) {
        servers.entry(&server.uri).and_modify(|all| *all &= server.connected).or_insert(server.connected);
    }
    let point =
        |(uri, connected): (&Name, bool)| Point { labels: of_server(uri), value: u64::from(connected) };
    servers.into_iter().map(point).collect()
}

fn failures(status: &Status) -> Vec<Point> {
    let known = status.servers.iter().filter(|server| server.needed || server.failures > 0);
    sum(known.map(|server| (of_server(&server.uri), server.failures)))
}

fn updates(status: &Status, count: fn(&UpdateCounts) -> u64) -> Vec<Point> {
    let of = |server: &ServerStatus, type_url: &str| {
        let mut labels = of_server(&server.uri);
        labels.push((RESOURCE_TYPE, short(type_url).into()));
        labels
    };
    let all = status.servers.iter().flat_map(|server| {
        server.updates.iter().map(move |(type_url, counts)| (of(server, type_url), count(counts)))
    });
    sum(all)
}

fn resources(status: &Status) -> Vec<Point> {
    sum(status.resources.iter().map(|known| {
        let labels = vec![
            (TARGET, PROCESS.into()),
            (AUTHORITY, authority(&known.name).unwrap_or("#old").into()),
            (RESOURCE_TYPE, short(known.type_url).into()),
            (CACHE_STATE, cache_state(known).into()),
        ];
        (labels, 1)
    }))
}

/// Methods that have not found an outlier yet are omitted.
fn enforced(status: &Status) -> Vec<Point> {
    let found = status.ejections.iter().filter(|counts| counts.enforced > 0);
    found.map(|counts| Point { labels: of_method(counts.method), value: counts.enforced }).collect()
}

fn unenforced(status: &Status) -> Vec<Point> {
    let points = status.ejections.iter().flat_map(|counts| {
        [
            (Unenforced::EnforcementPercentage, counts.enforcement_percentage),
            (Unenforced::MaxEjectionOverflow, counts.max_ejection_overflow),
        ]
        .map(|(reason, value)| {
            let mut labels = of_method(counts.method);
            labels.push((UNENFORCED_REASON, reason.name().into()));
            Point { labels, value }
        })
    });
    points.filter(|point| point.value > 0).collect()
}

fn ejected(status: &Status) -> Vec<Point> {
    sum(status
        .ejected
        .iter()
        .map(|ejected| (vec![(TARGET, PROCESS.into()), (CLUSTER, ejected.cluster.clone())], 1)))
}

fn queued(status: &Status) -> Vec<Point> {
    sum(status
        .queued
        .iter()
        .map(|queued| (vec![(TARGET, PROCESS.into()), (CLUSTER, queued.cluster.clone())], queued.calls)))
}

fn remaining(status: &Status) -> Vec<Point> {
    let point = |row: &RemainingCapacity| {
        let labels = vec![
            (TARGET, PROCESS.into()),
            (CLUSTER, row.cluster.clone()),
            (PRIORITY, row.priority.name().into()),
            (RESOURCE, row.resource.name().into()),
        ];
        Point { labels, value: u64::from(row.remaining) }
    };
    status.remaining.iter().map(point).collect()
}

/// One counter of the mesh.
pub(super) fn of_counter(counter: &CounterValue) -> Point {
    let labels = counter.family.labels.iter().copied().zip(counter.labels.iter().cloned());
    Point { labels: std::iter::once((TARGET, PROCESS.into())).chain(labels).collect(), value: counter.value }
}

fn of_method(method: DetectionMethod) -> Labels {
    vec![(TARGET, PROCESS.into()), (DETECTION_METHOD, method.name().into())]
}

// OB-10
fn cache_state(known: &ResourceStatus) -> &'static str {
    match (known.state, known.cached) {
        // A value of an earlier run may be in use meanwhile: the resource counts as requested all the same.
        (ResourceState::Requested, _) => "requested",
        (ResourceState::Acked, _) => "acked",
        (ResourceState::Timeout, _) => "timeout",
        (ResourceState::DoesNotExist, false) => "does_not_exist",
        (ResourceState::DoesNotExist, true) => "does_not_exist_but_cached",
        (ResourceState::Nacked, false) => "nacked",
        (ResourceState::Nacked, true) => "nacked_but_cached",
        (ResourceState::ReceivedError, false) => "received_error",
        (ResourceState::ReceivedError, true) => "received_error_but_cached",
    }
}

type Labels = Vec<(&'static str, Name)>;

fn of_server(uri: &Name) -> Labels {
    vec![(TARGET, PROCESS.into()), (SERVER, uri.clone())]
}

fn sum(counted: impl Iterator<Item = (Labels, u64)>) -> Vec<Point> {
    let mut sums: BTreeMap<Labels, u64> = BTreeMap::new();
    for (labels, count) in counted {
        *sums.entry(labels).or_default() += count;
    }
    sums.into_iter().map(|(labels, value)| Point { labels, value }).collect()
}

fn short(type_url: &str) -> &str {
    type_url.strip_prefix("type.googleapis.com/").unwrap_or(type_url)
}

const TARGET: &str = "grpc.target";
const SERVER: &str = "grpc.xds.server";
const AUTHORITY: &str = "grpc.xds.authority";
const RESOURCE_TYPE: &str = "grpc.xds.resource_type";
const CACHE_STATE: &str = "grpc.xds.cache_state";
const CLUSTER: &str = "grpc.lb.backend_service";
const PRIORITY: &str = "mesh.priority";
const RESOURCE: &str = "mesh.circuit_breaker.resource";
const DETECTION_METHOD: &str = "grpc.lb.outlier_detection.detection_method";
const UNENFORCED_REASON: &str = "grpc.lb.outlier_detection.unenforced_reason";

/// The value of the label in which gRPC has the client's target.
const PROCESS: &str = "#process";
