//! Connection settings.

use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::config::{ConnectionSettings, Http2Keepalive, TcpKeepalive};
use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::cluster::CommonLbConfig;
use xds_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster as Proto, UpstreamConnectionOptions};
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{
    BindConfig, HealthStatus as ProtoHealth, HealthStatusSet, Http2ProtocolOptions,
    HttpProtocolOptions as CommonOptions, KeepaliveSettings, RoutingPriority, SocketAddress,
    TcpKeepalive as ProtoTcpKeepalive, TypedExtensionConfig,
};
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use xds_proto::google::protobuf::{Any, Duration as ProtoDuration};

use super::samples::{eds, logical_dns};
use super::*;
use crate::resource::testing::{
    OK, Row, broken_any, check, decode, millis, pack_any, seconds, u32_value, unknown_any,
};

fn decoded(cluster: &Proto) -> Arc<Cluster> {
    decode(&ClusterType, &DecodeContext::default(), cluster).unwrap()
}

fn settings(cluster: &Proto) -> ConnectionSettings {
    decoded(cluster).settings.connection.clone()
}

/// Whether connect_timeout counts, with its limits.
const CONNECT_TIMEOUTS: &[Row<Proto>] = &[
    ("CDS-21 valid", |m| m.connect_timeout = seconds(1), OK),
    ("CDS-21 zero", |m| m.connect_timeout = seconds(0), Err(("connect_timeout", "must be more than 0"))),
    ("CDS-21 negative", |m| m.connect_timeout = seconds(-1), Err(("connect_timeout", "-1 s"))),
];

/// Decodes: CDS-21.
#[test]
fn connect_timeout_is_left_to_the_mesh_where_the_cluster_has_none() {
    check(&ClusterType, &eds(), CONNECT_TIMEOUTS);
    assert_eq!(settings(&eds()).connect_timeout, None);
    let fast = Proto { connect_timeout: millis(250), ..eds() };
    assert_eq!(settings(&fast).connect_timeout, Some(Duration::from_millis(250)));
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
fn address_has_one_connection_unless_the_first_default_entry_says_more() {
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
        let found = settings(&Proto { circuit_breakers, ..eds() });
        assert_eq!(found.max_connections.get(), expected);
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
    let hour = Some(Duration::from_secs(3600));
    let rows = [
        (None, hour),
        (upstream(Some(pack_any(HttpProtocolOptions::default()))), hour),
        (idle(None), hour),
        (idle(seconds(0)), None),
        (idle(seconds(7)), Some(Duration::from_secs(7))),
    ];
    for (upstream_config, expected) in rows {
        let found = settings(&Proto { upstream_config, ..eds() });
        assert_eq!(found.idle_timeout, expected);
    }
}

/// A cluster with these options of HTTP/2 in each of their three places.
fn http2(options: &Http2ProtocolOptions) -> [Proto; 3] {
    let explicit = ProtocolConfig::Http2ProtocolOptions(*options);
    let options = Some(*options);
    let places = [
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(explicit) }),
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http2_protocol_options: options,
            ..Default::default()
        }),
        UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http2_protocol_options: options,
            ..Default::default()
        }),
    ];
    places.map(|place| {
        let options = HttpProtocolOptions { upstream_protocol_options: Some(place), ..Default::default() };
        Proto { upstream_config: upstream(Some(pack_any(options))), ..eds() }
    })
}

fn pings(interval: Option<ProtoDuration>, timeout: Option<ProtoDuration>) -> Http2ProtocolOptions {
    let keepalive = KeepaliveSettings { interval, timeout, ..Default::default() };
    Http2ProtocolOptions { connection_keepalive: Some(keepalive), ..Default::default() }
}

#[test]
fn http2_pings_have_an_interval_and_a_timeout() {
    let on = |interval, timeout| {
        Some(Http2Keepalive {
            interval: Duration::from_millis(interval),
            timeout: Duration::from_millis(timeout),
        })
    };
    let rows = [
        (Http2ProtocolOptions::default(), Ok(None)),
        (pings(seconds(30), seconds(5)), Ok(on(30_000, 5_000))),
        (pings(millis(1), millis(1)), Ok(on(1, 1))),
        (pings(None, seconds(5)), Ok(None)),
        (pings(seconds(0), seconds(5)), Ok(None)),
        (pings(seconds(30), None), Err(("timeout", "at least 1 ms"))),
        (pings(None, None), Err(("timeout", "at least 1 ms"))),
        (pings(seconds(30), seconds(0)), Err(("timeout", "at least 1 ms"))),
        (pings(seconds(30), seconds(-1)), Err(("timeout", "-1 s"))),
        (pings(seconds(-1), seconds(5)), Err(("interval", "-1 s"))),
        (
            pings(Some(ProtoDuration { seconds: 0, nanos: 999_999 }), seconds(5)),
            Err(("interval", "at least 1 ms")),
        ),
    ];
    for (options, expected) in rows {
        for cluster in http2(&options) {
            let found = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &cluster);
            match (found, &expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.settings.connection.http2_keepalive, *expected, "{options:?}");
                }
                (Err(error), Err((field, reason))) => {
                    let end = format!(".http2_protocol_options.connection_keepalive.{field}");
                    assert!(error.field.ends_with(&end), "{options:?}: {}", error.field);
                    assert!(error.reason.contains(reason), "{options:?}: {}", error.reason);
                }
                (found, _) => panic!("{options:?}: {found:?}"),
            }
        }
    }
}

#[test]
fn streams_of_a_connection_are_limited_from_one_to_what_http2_allows() {
    let limit =
        |limit| Http2ProtocolOptions { max_concurrent_streams: u32_value(limit), ..Default::default() };
    let most = i32::MAX as u32;
    for accepted in [1, 100, most] {
        for cluster in http2(&limit(accepted)) {
            assert_eq!(settings(&cluster).max_concurrent_streams, NonZeroU32::new(accepted));
        }
    }
    for refused in [0, most + 1] {
        for cluster in http2(&limit(refused)) {
            let error = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &cluster).unwrap_err();
            assert!(error.field.ends_with(".http2_protocol_options.max_concurrent_streams"), "{error}");
        }
    }
    assert_eq!(settings(&eds()).max_concurrent_streams, None);
}

#[test]
fn connection_serves_any_number_of_calls_unless_there_is_a_limit() {
    for (limit, expected) in [(None, None), (u32_value(0), None), (u32_value(7), NonZeroU32::new(7))] {
        let common = CommonOptions { max_requests_per_connection: limit, ..Default::default() };
        let options =
            HttpProtocolOptions { common_http_protocol_options: Some(common), ..Default::default() };
        let cluster = Proto { upstream_config: upstream(Some(pack_any(options))), ..eds() };
        assert_eq!(settings(&cluster).max_requests, expected);
    }
}

#[test]
fn tcp_probes_are_on_unless_a_field_is_zero() {
    let probes = |probes, time, interval| {
        let tcp_keepalive = Some(ProtoTcpKeepalive {
            keepalive_probes: probes,
            keepalive_time: time,
            keepalive_interval: interval,
        });
        let options = UpstreamConnectionOptions { tcp_keepalive, ..Default::default() };
        settings(&Proto { upstream_connection_options: Some(options), ..eds() }).tcp_keepalive
    };
    let (three, minute) = (NonZeroU32::new(3), Some(Duration::from_secs(60)));
    let all = TcpKeepalive { probes: three, time: minute, interval: Some(Duration::from_secs(5)) };
    assert_eq!(probes(u32_value(3), u32_value(60), u32_value(5)), Some(all));
    let time = TcpKeepalive { time: minute, ..TcpKeepalive::default() };
    assert_eq!(probes(None, u32_value(60), None), Some(time));
    assert_eq!(probes(None, None, None), Some(TcpKeepalive::default()));
    assert_eq!(probes(u32_value(0), u32_value(60), u32_value(5)), None);
    assert_eq!(probes(u32_value(3), u32_value(0), u32_value(5)), None);
    assert_eq!(probes(u32_value(3), u32_value(60), u32_value(0)), None);
    let options = Some(UpstreamConnectionOptions::default());
    assert_eq!(settings(&Proto { upstream_connection_options: options, ..eds() }).tcp_keepalive, None);
    assert_eq!(settings(&eds()).tcp_keepalive, None);
}

fn bind(ip: &str, port: Option<PortSpecifier>) -> Option<BindConfig> {
    let source = SocketAddress { address: ip.into(), port_specifier: port, ..Default::default() };
    Some(BindConfig { source_address: Some(source), ..Default::default() })
}

const LOCAL_ADDRESSES: &[Row<Proto>] = &[
    (
        "a host name",
        |m| m.upstream_bind_config = bind("localhost", None),
        Err(("upstream_bind_config.source_address.address", "\"localhost\" is not an IP address")),
    ),
    (
        "a port without an address",
        |m| m.upstream_bind_config = bind("", Some(PortSpecifier::PortValue(7))),
        Err(("upstream_bind_config.source_address.address", "\"\" is not an IP address")),
    ),
    (
        "a port that is none",
        |m| m.upstream_bind_config = bind("127.0.0.2", Some(PortSpecifier::PortValue(65_536))),
        Err(("upstream_bind_config.source_address.port_value", "65536 is above 65535")),
    ),
    (
        "a named port",
        |m| m.upstream_bind_config = bind("127.0.0.2", Some(PortSpecifier::NamedPort("http".into()))),
        Err(("upstream_bind_config.source_address.port_value", "named ports")),
    ),
];

#[test]
fn connections_come_from_the_local_address() {
    check(&ClusterType, &eds(), LOCAL_ADDRESSES);
    let port = |port| Some(PortSpecifier::PortValue(port));
    let rows = [
        (None, None),
        (Some(BindConfig::default()), None),
        (bind("", None), None),
        (bind("", port(0)), None),
        (bind("127.0.0.2", None), Some("127.0.0.2:0")),
        (bind("127.0.0.2", port(4000)), Some("127.0.0.2:4000")),
        (bind("::1", port(0)), Some("[::1]:0")),
    ];
    for (upstream_bind_config, expected) in rows {
        let found = settings(&Proto { upstream_bind_config, ..eds() }).local_address;
        assert_eq!(found, expected.map(|text| text.parse().unwrap()));
    }
}

/// Proves: CDS-16.
#[test]
fn override_host_statuses_are_decoded() {
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
        assert_eq!(&*found.settings.override_host_status, expected);
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
