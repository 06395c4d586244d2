//! Discovery, limits, labels and transport sockets.

use mesh_core::config::{CallLimits, LbPolicy, LocalityPolicy};
use prost::Name as _;
use serde_json::json;
use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::cluster::{DiscoveryType, EdsClusterConfig, TransportSocketMatch};
use xds_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster as Proto};
use xds_proto::envoy::config::core::v3::address::Address;
use xds_proto::envoy::config::core::v3::{RoutingPriority, SocketAddress};
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use xds_proto::envoy::extensions::filters::http::gcp_authn::v3::Audience;
use xds_proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::{DownstreamTlsContext, UpstreamTlsContext};
use xds_proto::envoy::r#type::v3::Percent;

use super::samples::{aggregate, aggregate_of, discovery, eds, everything, logical_dns};
use super::*;
use crate::resource::endpoint::samples::{endpoint, inner, locality};
use crate::resource::testing::{
    OK, Row, address, ads, broken_any, check, decode, elsewhere, from_self, metadata, pack_any, pipe,
    transport_socket, typed_metadata, typed_struct, u32_value, unknown_any,
};

fn decoded(cluster: &Proto) -> Cluster {
    Cluster::clone(&decode::<Cluster>(&ClusterType, &DecodeContext::default(), cluster).unwrap())
}

const DISCOVERY: &[Row<Proto>] = &[
    ("good", |_| {}, OK),
    ("CDS-01 unset is STATIC", |m| m.cluster_discovery_type = None, Err(("type", "found STATIC"))),
    (
        "CDS-01 STATIC",
        |m| m.cluster_discovery_type = discovery(DiscoveryType::Static),
        Err(("type", "expected EDS, LOGICAL_DNS or an aggregate, found STATIC")),
    ),
    (
        "CDS-01 STRICT_DNS",
        |m| m.cluster_discovery_type = discovery(DiscoveryType::StrictDns),
        Err(("type", "found STRICT_DNS")),
    ),
    (
        "CDS-01 ORIGINAL_DST",
        |m| m.cluster_discovery_type = discovery(DiscoveryType::OriginalDst),
        Err(("type", "found ORIGINAL_DST")),
    ),
    (
        "CDS-01 unknown",
        |m| {
            m.cluster_discovery_type = Some(proto::cluster::ClusterDiscoveryType::Type(77));
        },
        Err(("type", "77")),
    ),
    (
        "CDS-01 custom",
        |m| m.cluster_discovery_type = aggregate_of(Some(unknown_any())).cluster_discovery_type,
        Err(("cluster_type.typed_config", "type \"example.Unknown\" is not supported")),
    ),
    (
        "CDS-02 no configuration",
        |m| m.eds_cluster_config = None,
        Err(("eds_cluster_config.eds_config", "must be ads or self")),
    ),
    (
        "CDS-02 no source",
        |m| m.eds_cluster_config = Some(EdsClusterConfig::default()),
        Err(("eds_cluster_config.eds_config", "must be ads or self")),
    ),
    (
        "CDS-02 another source",
        |m| {
            m.eds_cluster_config = Some(EdsClusterConfig { eds_config: elsewhere(), ..Default::default() });
        },
        Err(("eds_cluster_config.eds_config", "must be ads or self")),
    ),
    (
        "CDS-02 self",
        |m| {
            m.eds_cluster_config = Some(EdsClusterConfig { eds_config: from_self(), ..Default::default() });
        },
        OK,
    ),
    (
        "CDS-03 no service name",
        |m| m.name = "xdstp://a/envoy.config.cluster.v3.Cluster/x".into(),
        Err(("eds_cluster_config.service_name", "must be set")),
    ),
    (
        "CDS-03 service name",
        |m| {
            m.name = "xdstp://a/envoy.config.cluster.v3.Cluster/x".into();
            m.eds_cluster_config = Some(EdsClusterConfig { eds_config: ads(), service_name: "s".into() });
        },
        OK,
    ),
];

/// Proves: CDS-01, CDS-02, CDS-03.
#[test]
fn types_of_discovery() {
    check(&ClusterType, &eds(), DISCOVERY);
    let plain = decoded(&eds());
    assert_eq!(plain.discovery, ClusterDiscovery::Eds);
    assert_eq!((&*plain.settings.name, &*plain.settings.service_name), ("greeter", "greeter"));
    let full = decoded(&everything());
    assert_eq!((&*full.settings.name, &*full.settings.service_name), ("greeter", "service"));
}

fn dns_socket(cluster: &mut Proto) -> &mut SocketAddress {
    let assignment = cluster.load_assignment.as_mut().unwrap();
    match inner(&mut assignment.endpoints[0].lb_endpoints[0]).address.as_mut().unwrap().address.as_mut() {
        Some(Address::SocketAddress(socket)) => socket,
        other => panic!("{other:?}"),
    }
}

const LOGICAL_DNS: &[Row<Proto>] = &[
    ("good", |_| {}, OK),
    (
        "no assignment",
        |m| m.load_assignment = None,
        Err(("load_assignment.endpoints", "expected exactly one locality, found 0")),
    ),
    (
        "no locality",
        |m| m.load_assignment = Some(ClusterLoadAssignment::default()),
        Err(("load_assignment.endpoints", "expected exactly one locality, found 0")),
    ),
    (
        "two localities",
        |m| m.load_assignment.as_mut().unwrap().endpoints.push(locality("x", 0, 1, vec![])),
        Err(("load_assignment.endpoints", "expected exactly one locality, found 2")),
    ),
    (
        "no endpoint",
        |m| m.load_assignment.as_mut().unwrap().endpoints[0].lb_endpoints.clear(),
        Err(("load_assignment.endpoints[0].lb_endpoints", "expected exactly one endpoint, found 0")),
    ),
    (
        "two endpoints",
        |m| m.load_assignment.as_mut().unwrap().endpoints[0].lb_endpoints.push(endpoint("x", 1)),
        Err(("load_assignment.endpoints[0].lb_endpoints", "expected exactly one endpoint, found 2")),
    ),
    (
        "not an endpoint",
        |m| {
            let endpoints = &mut m.load_assignment.as_mut().unwrap().endpoints;
            endpoints[0].lb_endpoints[0].host_identifier = Some(HostIdentifier::EndpointName("x".into()));
        },
        Err(("load_assignment.endpoints[0].lb_endpoints[0].endpoint", "must be set")),
    ),
    (
        "pipe",
        |m| {
            inner(&mut m.load_assignment.as_mut().unwrap().endpoints[0].lb_endpoints[0]).address = pipe();
        },
        Err(("load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address", "must be set")),
    ),
    ("resolver", |m| dns_socket(m).resolver_name = "r".into(), Err((AT_RESOLVER, "is not supported"))),
    ("empty host", |m| dns_socket(m).address.clear(), Err((AT_HOST, "must not be empty"))),
    ("port 0", |m| *dns_socket(m) = socket("x", 0), Err((AT_PORT, "must not be 0"))),
    ("port above 16 bits", |m| *dns_socket(m) = socket("x", 65_536), Err((AT_PORT, "above 65535"))),
    ("no port", |m| dns_socket(m).port_specifier = None, Err((AT_PORT, "must be set"))),
    ("IP address", |m| *dns_socket(m) = socket("10.0.0.1", 1), OK),
];

/// Proves: CDS-04.
#[test]
fn logical_dns_has_one_address() {
    check(&ClusterType, &logical_dns(), LOGICAL_DNS);
    let found = decoded(&logical_dns());
    assert_eq!(found.discovery, ClusterDiscovery::LogicalDns { host: "greeter.example".into(), port: 443 });
    assert_eq!(&*found.settings.service_name, "dns");
}

const AT_RESOLVER: &str =
    "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.resolver_name";
const AT_HOST: &str = "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address";
const AT_PORT: &str =
    "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value";

fn socket(host: &str, port: u32) -> SocketAddress {
    match address(host, port).unwrap().address {
        Some(Address::SocketAddress(socket)) => socket,
        other => panic!("{other:?}"),
    }
}

/// Proves: CDS-05.
#[test]
fn aggregates_name_clusters_and_are_known_by_type() {
    let found = decoded(&aggregate(&["a", "b", "a"]));
    let expected = ["a", "b", "a"].map(Name::from).to_vec();
    assert_eq!(found.discovery, ClusterDiscovery::Aggregate(expected.clone()));
    let fields = json!({"clusters": ["a", "b", "a"]});
    let typed = typed_struct("xds.type.v3", &ClusterConfig::full_name(), fields);
    assert_eq!(decoded(&aggregate_of(Some(typed))).discovery, ClusterDiscovery::Aggregate(expected));
    let rows = [
        (aggregate(&[]), "cluster_type.typed_config.clusters", "at least one"),
        (aggregate(&["a", ""]), "cluster_type.typed_config.clusters[1]", "must not be empty"),
        (aggregate_of(None), "cluster_type.typed_config", "must be set"),
        (aggregate_of(Some(broken_any::<ClusterConfig>())), "cluster_type.typed_config", "ClusterConfig: "),
        (
            aggregate_of(Some(typed_struct(
                "xds.type.v3",
                &ClusterConfig::full_name(),
                json!({"clusters": [1]}),
            ))),
            "cluster_type.typed_config.clusters",
            "a list of strings",
        ),
    ];
    for (cluster, field, reason) in rows {
        let error = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &cluster).unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.reason.contains(reason), "{error}");
    }
}

const TRANSPORT_SOCKETS: &[Row<Proto>] = &[
    ("CDS-10 self", |m| m.lrs_server = from_self(), OK),
    ("CDS-10 ads", |m| m.lrs_server = ads(), Err(("lrs_server", "must be self"))),
    ("CDS-10 another", |m| m.lrs_server = elsewhere(), Err(("lrs_server", "must be self"))),
    ("CDS-10 unset inside", |m| m.lrs_server = Some(Default::default()), Err(("lrs_server", "must be self"))),
    (
        "CDS-15 matches",
        |m| m.transport_socket_matches = vec![TransportSocketMatch::default()],
        Err(("transport_socket_matches", "must be empty")),
    ),
    (
        "CDS-15 a matcher",
        |m| m.transport_socket_matcher = Some(Default::default()),
        Err(("transport_socket_matcher", "is not supported")),
    ),
    (
        "CDS-15 raw buffer",
        |m| m.transport_socket = transport_socket("raw_buffer", pack_any(RawBuffer {})),
        OK,
    ),
    (
        "CDS-15 TLS that is broken",
        |m| m.transport_socket = transport_socket("tls", broken_any::<UpstreamTlsContext>()),
        Err(("transport_socket.typed_config", "UpstreamTlsContext: ")),
    ),
    (
        "CDS-15 TLS of a server",
        |m| {
            m.transport_socket = transport_socket("tls", pack_any(DownstreamTlsContext::default()));
        },
        Err(("transport_socket", "unrecognised transport socket \"envoy.transport_sockets.tls\"")),
    ),
    (
        "CDS-15 unknown",
        |m| m.transport_socket = transport_socket("x", unknown_any()),
        Err((
            "transport_socket",
            "unrecognised transport socket \"envoy.transport_sockets.x\" of type \"example.Unknown\"",
        )),
    ),
    (
        "CDS-15 no type",
        |m| m.transport_socket = Some(Default::default()),
        Err(("transport_socket.typed_config", "must be set")),
    ),
    (
        "CDS-15 TLS as a TypedStruct",
        |m| {
            let tls = typed_struct("udpa.type.v1", &UpstreamTlsContext::full_name(), json!({}));
            m.transport_socket = transport_socket("tls", tls);
        },
        Err(("transport_socket.typed_config", "cannot be given as a TypedStruct")),
    ),
];

/// Proves: CDS-10, CDS-15.
#[test]
fn load_reports_and_transport_sockets() {
    check(&ClusterType, &eds(), TRANSPORT_SOCKETS);
}

/// Proves: TR-47, TR-64.
#[test]
fn load_is_reported_to_the_server_that_sent_the_cluster() {
    let from = |server: &str, cluster: &Proto| {
        let context = DecodeContext { server: server.into(), ..DecodeContext::default() };
        decode::<Cluster>(&ClusterType, &context, cluster).unwrap()
    };
    let reporting = Proto { lrs_server: from_self(), ..eds() };
    assert_eq!(from("a:1", &reporting).settings.load_reporting, Some("a:1".into()));
    assert_ne!(from("a:1", &reporting), from("b:1", &reporting), "the same message is another cluster");
    assert_eq!(from("a:1", &eds()).settings.load_reporting, None);
    assert_eq!(from("a:1", &eds()), from("b:1", &eds()));
}

/// Proves: CDS-11.
#[test]
fn circuit_breaker_is_the_first_of_default_priority() {
    let entry = |priority: RoutingPriority, max_requests: Option<u32>| Thresholds {
        priority: priority as i32,
        max_requests: max_requests.and_then(u32_value),
        ..Default::default()
    };
    let (default, high) = (RoutingPriority::Default, RoutingPriority::High);
    let rows = [
        (vec![], 1024),
        (vec![entry(default, None)], 1024),
        (vec![entry(default, Some(0))], 0),
        (vec![entry(high, Some(1))], 1024),
        (vec![entry(high, Some(1)), entry(default, Some(2)), entry(default, Some(3))], 2),
        (vec![entry(default, None), entry(default, Some(3))], 1024),
        (vec![entry(default, Some(u32::MAX))], u32::MAX),
    ];
    for (thresholds, expected) in rows {
        let circuit_breakers = Some(CircuitBreakers { thresholds, ..Default::default() });
        let found = decoded(&Proto { circuit_breakers, ..eds() });
        assert_eq!(found.settings.limits.max_requests, MaxRequests(expected));
    }
    assert_eq!(decoded(&eds()).settings.limits.max_requests, MaxRequests(1024));
}

/// Proves: LB-27, LB-28.
#[test]
fn thresholds_of_both_priorities_are_read() {
    let entry = |priority: RoutingPriority, limits: [Option<u32>; 4]| {
        let [connections, pending, requests, retries] = limits.map(|limit| limit.and_then(u32_value));
        Thresholds {
            priority: priority as i32,
            max_connections: connections,
            max_pending_requests: pending,
            max_requests: requests,
            max_retries: retries,
            retry_budget: None,
            track_remaining: priority == RoutingPriority::High,
        }
    };
    let (default, high) = (RoutingPriority::Default, RoutingPriority::High);
    let thresholds = vec![
        entry(high, [Some(1), Some(2), Some(3), Some(4)]),
        entry(high, [Some(9); 4]),
        entry(default, [None, Some(0), Some(5), None]),
    ];
    let circuit_breakers = Some(CircuitBreakers { thresholds, ..Default::default() });
    let settings = decoded(&Proto { circuit_breakers, ..eds() }).settings;
    let expected = CallLimits::default().with_max_requests(MaxRequests(5)).with_max_pending(0);
    assert_eq!(settings.limits, expected);
    let expected = CallLimits::default().with_max_requests(MaxRequests(3)).with_max_pending(2);
    let mut expected = expected.with_max_connections(1).with_retry_budget(RetryBudget::at_most(4));
    expected.track_remaining = true;
    assert_eq!(settings.high_priority_limits, expected);
    assert_eq!(decoded(&eds()).settings.high_priority_limits, CallLimits::default());
}

// LB-27, LB-28
#[test]
fn retry_limit_is_the_budget_or_else_the_maximum() {
    let entry = |max_retries: Option<u32>, budget: Option<(Option<f64>, Option<u32>)>| Thresholds {
        max_retries: max_retries.and_then(u32_value),
        retry_budget: budget.map(|(percent, minimum)| ProtoRetryBudget {
            budget_percent: percent.map(|value| Percent { value }),
            min_retry_concurrency: minimum.and_then(u32_value),
        }),
        ..Default::default()
    };
    let of = |thresholds| {
        let circuit_breakers = Some(CircuitBreakers { thresholds, ..Default::default() });
        Proto { circuit_breakers, ..eds() }
    };
    let high = Thresholds { priority: RoutingPriority::High as i32, ..entry(Some(1), None) };
    let rows = [
        (vec![], None),
        (vec![entry(None, None)], None),
        (vec![high, entry(Some(7), None), entry(Some(8), None)], Some((0, 7))),
        (vec![entry(Some(0), None)], Some((0, 0))),
        (vec![entry(None, Some((None, None)))], Some((20, 3))),
        (vec![entry(Some(7), Some((Some(50.0), None)))], Some((50, 3))),
        (vec![entry(Some(7), Some((Some(0.2), Some(0))))], Some((1, 0))),
        (vec![entry(None, Some((Some(0.0), Some(2))))], Some((0, 2))),
        (vec![entry(None, Some((Some(100.0), Some(2))))], Some((100, 2))),
    ];
    for (thresholds, expected) in rows {
        let found = decoded(&of(thresholds)).settings.limits.retry_budget;
        assert_eq!(found.map(|budget| (budget.percent, budget.minimum)), expected);
    }
    for percent in [-1.0, 100.1, f64::NAN] {
        let cluster = of(vec![entry(Some(1), None), entry(None, Some((Some(percent), None)))]);
        assert_eq!(
            decoded(&cluster).settings.limits.retry_budget,
            Some(RetryBudget::at_most(1)),
            "not looked at"
        );
        let cluster = of(vec![entry(None, Some((Some(percent), None)))]);
        let error = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &cluster).unwrap_err();
        assert!(error.to_string().contains("thresholds[0].retry_budget.budget_percent"), "{error}");
    }
}

/// Decodes: CDS-18.
#[test]
fn telemetry_labels_are_strings_or_unknown() {
    const KEY: &str = "com.google.csm.telemetry_labels";
    let rows = [
        (None, "unknown", "unknown"),
        (metadata(KEY, json!({"service_name": "s", "service_namespace": "n"})), "s", "n"),
        (metadata(KEY, json!({"service_name": "s"})), "s", "unknown"),
        (metadata(KEY, json!({"service_name": 1, "service_namespace": null})), "unknown", "unknown"),
        (metadata("other", json!({"service_name": "s"})), "unknown", "unknown"),
    ];
    for (metadata, name, namespace) in rows {
        let labels = decoded(&Proto { metadata, ..eds() }).settings.telemetry_labels.clone();
        assert_eq!(labels, Some((name.into(), namespace.into())));
    }
    let broken = typed_metadata("a", json!({}), broken_any::<Audience>());
    let error =
        decode::<Cluster>(&ClusterType, &DecodeContext::default(), &Proto { metadata: broken, ..eds() });
    assert_eq!(error.unwrap_err().field, "metadata.typed_filter_metadata[\"a\"]");
}

/// Proves: CDS-19.
#[test]
fn reported_metrics_are_known_and_distinct() {
    use ReportedMetric::{AllNamed, ApplicationUtilization, CpuUtilization, MemUtilization, Named};
    let rows: [(&[&str], &[ReportedMetric]); 5] = [
        (&[], &[]),
        (
            &["mem_utilization", "cpu_utilization", "application_utilization", "cpu_utilization"],
            &[ApplicationUtilization, CpuUtilization, MemUtilization],
        ),
        (&["named_metrics.b", "named_metrics.a.c"], &[Named("a.c".into()), Named("b".into())]),
        (&["named_metrics.a", "named_metrics.*", "named_metrics.b"], &[AllNamed]),
        (&["named_metrics.", "utilization.x", "", "eps"], &[]),
    ];
    for (names, expected) in rows {
        let lrs_report_endpoint_metrics = names.iter().map(|&name| name.to_owned()).collect();
        let found = decoded(&Proto { lrs_report_endpoint_metrics, ..eds() });
        assert_eq!(&*found.settings.reported_metrics, expected, "{names:?}");
    }
}

#[test]
fn every_setting_is_part_of_the_decoded_value() {
    let settings = decoded(&everything()).settings;
    assert_eq!(
        (settings.locality_policy, &settings.lb_policy),
        (LocalityPolicy::Weighted, &LbPolicy::RoundRobin)
    );
    assert_eq!(settings.limits.max_requests, MaxRequests(7));
    assert!(settings.outlier_detection.is_some() && settings.load_reporting.is_some());
    assert_eq!(settings.telemetry_labels, Some(("s".into(), "n".into())));
    assert_eq!(settings.reported_metrics.len(), 2);
}
