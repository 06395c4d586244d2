//! A client's status in CSDS and JSON.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mesh_core::config::{LocalityId, Name};
use mesh_core::policy::outlier::{DetectionMethod, EjectionReason};
use mesh_core::runtime::{EjectedEndpoint, UnhealthyEndpoint};
use serde_json::json;
use xds_proto::envoy::admin::v3::ClientResourceStatus as Shown;
use xds_proto::google::protobuf::Timestamp;

use super::client_config::client_config;
use super::clock::{Clock, to_text};
use super::json::to_json;
use crate::bootstrap::Node;
use crate::client::{ServerStatus, Status};
use crate::protocol::{ResourceState, ResourceStatus, ServerId, UpdateCounts};

pub(super) const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// 1000 s after 1970 on the wall.
fn clock(now: Instant) -> Clock {
    Clock::new(now, UNIX_EPOCH + Duration::from_secs(1000))
}

fn node() -> Node {
    let locality = LocalityId { region: "eu".into(), zone: "a".into(), sub_zone: "".into() };
    Node { cluster: "shop".into(), locality, ..Node::new("n1") }
}

/// A cluster in this state; `cached`: version 7 is in use since 10 s.
pub(super) fn cluster(name: &str, state: ResourceState, cached: Option<Instant>) -> ResourceStatus {
    ResourceStatus {
        type_url: CLUSTER,
        name: name.into(),
        state,
        version: if cached.is_some() { "7".into() } else { "".into() },
        error: (!matches!(state, ResourceState::Acked | ResourceState::Requested)).then(|| "why".to_owned()),
        rejected: None,
        cached: cached.is_some(),
        stale: false,
        bytes: cached.map(|_| Bytes::from_static(b"\x0a\x01a")),
        updated: cached,
        server: cached.map(|_| ServerId(0)),
    }
}

pub(super) fn status(resources: Vec<ResourceStatus>) -> Status {
    let server = ServerStatus {
        uri: "control:15010".into(),
        needed: true,
        connected: false,
        outage: Some("connection refused".to_owned()),
        failures: 2,
        updates: vec![(CLUSTER, UpdateCounts { valid: 5, invalid: 1 })],
    };
    Status {
        node_id: "n1".into(),
        server: server.uri.clone(),
        connected: server.connected,
        outage: server.outage.clone(),
        stale: false,
        servers: vec![server],
        resources,
        ejected: Vec::new(),
        ejections: Vec::new(),
        unhealthy: Vec::new(),
        counters: Vec::new(),
        queued: Vec::new(),
        remaining: Vec::new(),
    }
}

/// Proves: TR-59, TR-62.
#[test]
fn resources_are_shown_with_what_is_in_use_and_what_failed() {
    use ResourceState as State;
    let now = Instant::now();
    let (updated, refused) =
        (now.checked_sub(Duration::from_secs(10)).unwrap(), now - Duration::from_secs(4));
    let rejected: (Name, Instant) = ("8".into(), refused);
    let rows = [
        (State::Requested, None, None, Shown::Requested, None),
        (State::Requested, Some(updated), None, Shown::Requested, None),
        (State::DoesNotExist, None, None, Shown::DoesNotExist, None),
        (State::DoesNotExist, Some(updated), None, Shown::DoesNotExist, None),
        (State::Acked, Some(updated), None, Shown::Acked, None),
        (State::Nacked, None, Some(rejected.clone()), Shown::Nacked, Some(("8", Some(996)))),
        (State::Nacked, Some(updated), Some(rejected), Shown::Nacked, Some(("8", Some(996)))),
        (State::ReceivedError, None, None, Shown::ReceivedError, Some(("", None))),
        (State::ReceivedError, Some(updated), None, Shown::ReceivedError, Some(("", None))),
        (State::Timeout, None, None, Shown::Timeout, Some(("", None))),
    ];
    for (state, cached, rejected, shown, error) in rows {
        let row = format!("{state:?}, cached {}", cached.is_some());
        let known = ResourceStatus { rejected, ..cluster("a", state, cached) };
        let config = client_config(&status(vec![known]), &node(), clock(now));
        let [resource] = &config.generic_xds_configs[..] else { panic!("{row}: {config:?}") };
        assert_eq!((&*resource.type_url, &*resource.name), (CLUSTER, "a"), "{row}");
        assert_eq!(resource.client_status(), shown, "{row}");
        // The version is that of the resource in use, also after another one was refused.
        assert_eq!(resource.version_info, if cached.is_some() { "7" } else { "" }, "{row}");
        assert_eq!(resource.last_updated.map(|at| at.seconds), cached.map(|_| 990), "{row}");
        let any = resource.xds_config.as_ref().map(|any| (&*any.type_url, &*any.value));
        assert_eq!(any, cached.map(|_| (CLUSTER, &b"\x0a\x01a"[..])), "{row}");
        let failed = resource.error_state.as_ref();
        let shown =
            failed.map(|error| (&*error.version_info, error.last_update_attempt.map(|at| at.seconds)));
        assert_eq!(shown, error, "{row}");
        assert!(failed.is_none_or(|error| error.details == "why"), "{row}");
    }
}

/// Proves: TR-58, TR-61.
#[test]
fn client_is_shown_with_the_node_that_it_sends() {
    let config = client_config(&status(Vec::new()), &node(), Clock::now());
    assert_eq!(config.node, Some(node().to_proto()));
    assert_eq!(config.client_scope, "");
    assert!(config.generic_xds_configs.is_empty());
}

#[test]
fn json_has_what_csds_has() {
    let now = Instant::now();
    let at = now.checked_sub(Duration::from_secs(10)).unwrap();
    let bad =
        ResourceStatus { rejected: Some(("8".into(), at)), ..cluster("a", ResourceState::Nacked, Some(at)) };
    let new = cluster("b", ResourceState::Requested, None);
    let shown = to_json(&status(vec![bad, new]), &node(), clock(now));
    assert_eq!(shown["node"]["id"], "n1");
    assert_eq!(shown["node"]["locality"], json!({ "region": "eu", "zone": "a", "sub_zone": "" }));
    assert_eq!(shown["node"]["client_features"], json!(node().to_proto().client_features));
    let server = json!({
        "uri": "control:15010", "needed": true, "connected": false, "outage": "connection refused", "failures": 2,
    });
    assert_eq!(shown["servers"], json!([server]));
    let a = json!({
        "type_url": CLUSTER, "name": "a", "version_info": "7",
        "xds_config": { "@type": CLUSTER, "value": "CgFh" },
        "last_updated": "1970-01-01T00:16:30.000000Z", "client_status": "NACKED",
        "error_state": {
            "details": "why", "version_info": "8", "last_update_attempt": "1970-01-01T00:16:30.000000Z",
        },
    });
    let b = json!({
        "type_url": CLUSTER, "name": "b", "version_info": "", "xds_config": null, "last_updated": null,
        "client_status": "REQUESTED", "error_state": null,
    });
    assert_eq!(shown["generic_xds_configs"], json!([a, b]));
}

#[test]
fn json_has_endpoints_whose_health_checks_fail() {
    let now = Instant::now();
    let address = SocketAddr::from(([10, 0, 0, 8], 50051));
    let since = now.checked_sub(Duration::from_secs(10)).unwrap();
    let unhealthy = vec![UnhealthyEndpoint::new("a", address.into(), since, "no answer within 1s")];
    let shown = to_json(&Status { unhealthy, ..status(Vec::new()) }, &node(), clock(now));
    let expected = json!({
        "cluster": "a", "endpoint": "10.0.0.8:50051", "reason": "no answer within 1s",
        "since": "1970-01-01T00:16:30.000000Z",
    });
    assert_eq!(shown["unhealthy"], json!([expected]));
}

/// An endpoint of this cluster, ejected 10 s before `now`.
pub(super) fn ejected(cluster: &str, now: Instant) -> EjectedEndpoint {
    let address = SocketAddr::from(([10, 0, 0, 7], 50051));
    let reason = EjectionReason::new(DetectionMethod::Consecutive5xx, 5.0, 5.0);
    EjectedEndpoint::new(cluster, address.into(), now - Duration::from_secs(10), reason)
}

#[test]
fn json_has_ejected_endpoints_with_their_reason() {
    let now = Instant::now();
    let status = Status { ejected: vec![ejected("a", now)], ..status(Vec::new()) };
    let shown = to_json(&status, &node(), clock(now));
    let expected = json!({
        "cluster": "a", "endpoint": "10.0.0.7:50051", "detection_method": "consecutive_5xx",
        "reason": "5 server errors in a row", "since": "1970-01-01T00:16:30.000000Z", "multiplier": 1,
    });
    assert_eq!(shown["ejected"], json!([expected]));
}

#[test]
fn times_are_shown_in_wall_clock_time() {
    let now = Instant::now();
    let wall = UNIX_EPOCH + Duration::new(1_000_000_000, 500);
    let clock = Clock::new(now, wall);
    let told = |at| (clock.timestamp(at).seconds, clock.timestamp(at).nanos);
    assert_eq!(told(now), (1_000_000_000, 500));
    assert_eq!(told(now + Duration::from_secs(3)), (1_000_000_003, 500));
    // A wall's clock that stands before 1970 is no reason to stop.
    let early = Clock::new(now, SystemTime::UNIX_EPOCH - Duration::from_secs(5));
    assert_eq!(early.timestamp(now), Timestamp::default());
}

#[test]
fn timestamps_read_as_dates() {
    let rows = [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, 0, "2000-02-28T23:59:59.000000Z"),
        (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
        (951_868_800, 0, "2000-03-01T00:00:00.000000Z"),
        (1_735_689_599, 999_999_999, "2024-12-31T23:59:59.999999Z"),
        (1_769_860_800, 1_000, "2026-01-31T12:00:00.000001Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
    ];
    for (seconds, nanos, text) in rows {
        assert_eq!(to_text(&Timestamp { seconds, nanos }), text);
    }
}
