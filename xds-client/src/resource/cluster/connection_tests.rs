//! Connections, and who they are kept for.

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::CommonLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster as Proto};
use envoy_types::pb::envoy::config::core::v3::{
    HealthStatus as ProtoHealth, HealthStatusSet, HttpProtocolOptions as CommonOptions, RoutingPriority,
    TypedExtensionConfig,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use std::num::NonZeroU32;
use std::time::Duration;

use super::samples::{eds, logical_dns};
use super::*;
use crate::resource::testing::{
    OK, Row, broken_any, check, decode, millis, pack_any, seconds, u32_value, unknown_any,
};

fn decoded(cluster: &Proto) -> Arc<Cluster> {
    decode(&ClusterType, &DecodeContext::default(), cluster).unwrap()
}

/// Whether connect_timeout counts: with its limits and its default.
const CONNECT_TIMEOUTS: &[Row<Proto>] = &[
    ("CDS-21 valid", |m| m.connect_timeout = seconds(1), OK),
    ("CDS-21 zero", |m| m.connect_timeout = seconds(0), Err(("connect_timeout", "must be more than 0"))),
    ("CDS-21 negative", |m| m.connect_timeout = seconds(-1), Err(("connect_timeout", "-1 s"))),
];

/// Decodes: CDS-21.
#[test]
fn connecting_takes_five_seconds_by_default() {
    check(&ClusterType, &eds(), CONNECT_TIMEOUTS);
    assert_eq!(decoded(&eds()).connections.connect_timeout, Duration::from_secs(5));
    let fast = Proto { connect_timeout: millis(250), ..eds() };
    assert_eq!(decoded(&fast).connections.connect_timeout, Duration::from_millis(250));
}

fn entry(priority: RoutingPriority, max_connections: Option<u32>) -> Thresholds {
    Thresholds {
        priority: priority as i32,
        max_connections: max_connections.and_then(u32_value),
        ..Default::default()
    }
}

fn per_host(per_host_thresholds: Vec<Thresholds>) -> Option<CircuitBreakers> {
    Some(CircuitBreakers { per_host_thresholds, ..Default::default() })
}

const LIMITS: &[Row<Proto>] = &[
    (
        "CDS-12 zero",
        |m| {
            let high = entry(RoutingPriority::High, Some(0));
            m.circuit_breakers = per_host(vec![high, entry(RoutingPriority::Default, Some(0))]);
        },
        Err(("circuit_breakers.per_host_thresholds[1].max_connections", "must not be 0")),
    ),
    (
        "CDS-12 zero in the second",
        |m| {
            let default = RoutingPriority::Default;
            m.circuit_breakers = per_host(vec![entry(default, Some(2)), entry(default, Some(0))]);
        },
        OK,
    ),
    (
        "CDS-12 zero for the whole cluster",
        |m| {
            let thresholds = vec![entry(RoutingPriority::Default, Some(0))];
            m.circuit_breakers = Some(CircuitBreakers { thresholds, ..Default::default() });
        },
        OK,
    ),
];

/// Decodes: CDS-12.
#[test]
fn an_address_has_one_connection_unless_the_first_default_entry_says_more() {
    check(&ClusterType, &eds(), LIMITS);
    let (default, high) = (RoutingPriority::Default, RoutingPriority::High);
    let rows = [
        (None, 1),
        (per_host(vec![]), 1),
        (per_host(vec![entry(default, None)]), 1),
        (per_host(vec![entry(high, Some(3))]), 1),
        (per_host(vec![entry(high, Some(3)), entry(default, Some(4)), entry(default, Some(5))]), 4),
        (per_host(vec![entry(default, None), entry(default, Some(5))]), 1),
        (per_host(vec![entry(default, Some(u32::MAX))]), u32::MAX),
    ];
    for (circuit_breakers, expected) in rows {
        let found = decoded(&Proto { circuit_breakers, ..eds() });
        assert_eq!(found.connections.max_per_address, NonZeroU32::new(expected).unwrap());
    }
}

fn upstream(any: Option<Any>) -> Option<TypedExtensionConfig> {
    Some(TypedExtensionConfig { name: "x".into(), typed_config: any })
}

fn idle(timeout: Option<ProtoDuration>) -> Option<TypedExtensionConfig> {
    let common = CommonOptions { idle_timeout: timeout, ..Default::default() };
    upstream(Some(pack_any(HttpProtocolOptions {
        common_http_protocol_options: Some(common),
        ..Default::default()
    })))
}

const UPSTREAMS: &[Row<Proto>] = &[
    (
        "CDS-17 nothing inside",
        |m| m.upstream_config = upstream(None),
        Err(("upstream_config.typed_config", "must be set")),
    ),
    (
        "CDS-17 another type",
        |m| m.upstream_config = upstream(Some(unknown_any())),
        Err(("upstream_config.typed_config", "found \"example.Unknown\"")),
    ),
    (
        "CDS-17 another message of that name",
        |m| m.upstream_config = upstream(Some(pack_any(CommonOptions::default()))),
        Err(("upstream_config.typed_config", "found \"envoy.config.core.v3.HttpProtocolOptions\"")),
    ),
    (
        "CDS-17 broken",
        |m| m.upstream_config = upstream(Some(broken_any::<HttpProtocolOptions>())),
        Err(("upstream_config.typed_config", "HttpProtocolOptions: ")),
    ),
    (
        "CDS-17 negative",
        |m| m.upstream_config = idle(seconds(-1)),
        Err(("upstream_config.typed_config.common_http_protocol_options.idle_timeout", "-1 s")),
    ),
    (
        "CDS-17 too long",
        |m| m.upstream_config = idle(seconds(315_576_000_001)),
        Err(("upstream_config.typed_config.common_http_protocol_options.idle_timeout", "315576000001 s")),
    ),
];

/// Decodes: CDS-17.
#[test]
fn idle_connections_are_kept_for_an_hour_by_default() {
    check(&ClusterType, &eds(), UPSTREAMS);
    let hour = Duration::from_secs(3600);
    let rows = [
        (None, hour),
        (upstream(Some(pack_any(HttpProtocolOptions::default()))), hour),
        (idle(None), hour),
        (idle(seconds(0)), Duration::ZERO),
        (idle(seconds(7)), Duration::from_secs(7)),
    ];
    for (upstream_config, expected) in rows {
        let found = decoded(&Proto { upstream_config, ..eds() });
        assert_eq!(found.connections.idle_timeout, expected);
    }
}

/// Decodes: CDS-16.
#[test]
fn sessions_may_go_to_these_endpoints() {
    use HealthStatus::{Draining, Healthy, Unknown};
    let set = |statuses: &[ProtoHealth]| {
        let statuses = statuses.iter().map(|status| *status as i32).collect();
        Some(CommonLbConfig {
            override_host_status: Some(HealthStatusSet { statuses }),
            ..Default::default()
        })
    };
    let rows: Vec<(_, &[HealthStatus])> = vec![
        (None, &[Unknown, Healthy]),
        (Some(CommonLbConfig::default()), &[Unknown, Healthy]),
        (set(&[]), &[]),
        (set(&[ProtoHealth::Draining]), &[Draining]),
        (
            set(&[ProtoHealth::Draining, ProtoHealth::Healthy, ProtoHealth::Unknown]),
            &[Unknown, Healthy, Draining],
        ),
        (set(&[ProtoHealth::Healthy, ProtoHealth::Healthy]), &[Healthy]),
        (set(&[ProtoHealth::Unhealthy, ProtoHealth::Timeout, ProtoHealth::Degraded]), &[]),
        (set(&[ProtoHealth::Degraded, ProtoHealth::Unknown]), &[Unknown]),
    ];
    for (common_lb_config, expected) in rows {
        let found = decoded(&Proto { common_lb_config, ..eds() });
        assert_eq!(found.override_host_status, expected);
    }
}

/// Decodes: CDS-22.
#[test]
fn refresh_rates_of_dns_are_not_looked_at() {
    for rate in [None, seconds(1), seconds(0), seconds(-1)] {
        #[expect(deprecated, reason = "they are ignored, which is to be seen")]
        let message = Proto { dns_refresh_rate: rate, respect_dns_ttl: rate.is_some(), ..logical_dns() };
        assert_eq!(*decoded(&message), *decoded(&logical_dns()));
    }
}
