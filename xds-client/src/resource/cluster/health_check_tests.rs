//! Active health checks: defaults, limits, and what is not supported.

use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::{
    CheckConnection, EndpointCheck, HealthCheck, HealthProbe, HttpProbe, ProbeVersion, TcpProbe,
};
use xds_proto::envoy::config::cluster::v3::Cluster as Proto;
use xds_proto::envoy::config::core::v3::health_check::payload::Payload as PayloadKind;
use xds_proto::envoy::config::core::v3::health_check::{
    CustomHealthCheck, GrpcHealthCheck, HealthChecker, HttpHealthCheck, Payload, TcpHealthCheck, TlsOptions,
};
use xds_proto::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, HealthCheck as ProtoCheck, RequestMethod, TransportSocket,
};
use xds_proto::envoy::config::endpoint::v3::endpoint::HealthCheckConfig;
use xds_proto::envoy::r#type::v3::{CodecClientType, Int64Range};

use super::samples::eds;
use super::*;
use crate::resource::endpoint::samples::{inner, two_priorities};
use crate::resource::endpoint::{ClusterLoadAssignment, EndpointsType};
use crate::resource::testing::{OK, Row, address, bool_value, check, decode, millis, seconds, u32_value};

fn with(change: impl FnOnce(&mut ProtoCheck)) -> Proto {
    let grpc = HealthChecker::GrpcHealthCheck(GrpcHealthCheck::default());
    let mut check = ProtoCheck {
        timeout: seconds(1),
        interval: seconds(5),
        unhealthy_threshold: u32_value(3),
        healthy_threshold: u32_value(2),
        health_checker: Some(grpc),
        ..Default::default()
    };
    change(&mut check);
    Proto { health_checks: vec![check], ..eds() }
}

fn decoded(change: impl FnOnce(&mut ProtoCheck)) -> HealthCheck {
    let cluster = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &with(change)).unwrap();
    (**cluster.settings.health_check.as_ref().unwrap()).clone()
}

fn http(change: impl FnOnce(&mut HttpHealthCheck)) -> Option<HealthChecker> {
    let mut http = HttpHealthCheck { path: "/healthy?deep=1".into(), ..Default::default() };
    change(&mut http);
    Some(HealthChecker::HttpHealthCheck(http))
}

fn range_of(start: u16, end: u16) -> std::ops::Range<u16> {
    start..end
}

fn range(start: i64, end: i64) -> Int64Range {
    Int64Range { start, end }
}

fn hex(text: &str) -> Payload {
    Payload { payload: Some(PayloadKind::Text(text.into())) }
}

/// Proves: LB-64, LB-65.
#[test]
fn fields_that_are_absent_have_defaults_of_others() {
    assert!(
        decode::<Cluster>(&ClusterType, &DecodeContext::default(), &eds())
            .unwrap()
            .settings
            .health_check
            .is_none()
    );
    let second = Duration::from_secs;
    let expected = HealthCheck::new(HealthProbe::grpc(""), second(1), second(5));
    assert_eq!(decoded(|_| {}), expected);
    let intervals = decoded(|check| check.unhealthy_interval = seconds(9)).intervals;
    assert_eq!((intervals.unhealthy, intervals.unhealthy_edge), (second(9), second(9)));
    assert_eq!((intervals.healthy, intervals.healthy_edge), (second(5), second(5)));
    assert_eq!((intervals.no_traffic, intervals.no_traffic_healthy), (second(60), second(60)));
    let all = decoded(|check| {
        check.unhealthy_edge_interval = seconds(2);
        check.healthy_edge_interval = seconds(3);
        check.no_traffic_interval = seconds(4);
        check.initial_jitter = seconds(6);
        check.interval_jitter = millis(7);
        check.interval_jitter_percent = 8;
        check.reuse_connection = bool_value(false);
    });
    assert_eq!((all.intervals.unhealthy, all.intervals.unhealthy_edge), (second(5), second(2)));
    assert_eq!((all.intervals.healthy_edge, all.intervals.no_traffic_healthy), (second(3), second(4)));
    assert_eq!((all.initial_jitter, all.interval_jitter), (second(6), Duration::from_millis(7)));
    assert_eq!((all.interval_jitter_percent, all.connection), (8, CheckConnection::New));
}

/// Proves: LB-64.
#[test]
fn probes_are_read_whole() {
    let probe = decoded(|check| {
        check.health_checker = http(|http| {
            http.host = "shop".into();
            http.codec_client_type = CodecClientType::Http2 as i32;
            http.method = RequestMethod::Head as i32;
            http.expected_statuses = vec![range(200, 300)];
            http.retriable_statuses = vec![range(500, 504), range(100, 600)];
            let header = HeaderValue { key: "X-Probe".into(), value: "1".into(), ..Default::default() };
            http.request_headers_to_add =
                vec![HeaderValueOption { header: Some(header), ..Default::default() }];
        });
    })
    .probe;
    let mut expected = HttpProbe::get("/healthy?deep=1".parse().unwrap());
    (expected.method, expected.version) = (http::Method::HEAD, ProbeVersion::Http2);
    expected.host = Some("shop".into());
    (expected.expected, expected.retriable) = (Vec::from([range_of(200, 300)]), vec![500..504, 100..600]);
    expected.headers = vec![("x-probe".parse().unwrap(), "1".parse().unwrap())];
    assert_eq!(probe, HealthProbe::Http(expected));
    let defaults = decoded(|check| check.health_checker = http(|_| {})).probe;
    let plain = HttpProbe::get("/healthy?deep=1".parse().unwrap());
    assert_eq!((defaults, plain.version), (HealthProbe::Http(plain), ProbeVersion::Http1));
    let probe = decoded(|check| {
        let (send, receive) = (Some(hex("50494E47")), vec![hex("2b"), hex("504f")]);
        check.health_checker = Some(HealthChecker::TcpHealthCheck(TcpHealthCheck { send, receive }));
    })
    .probe;
    let mut expected = TcpProbe::default();
    (expected.sent, expected.expected) = (Bytes::from("PING"), vec![Bytes::from("+"), Bytes::from("PO")]);
    assert_eq!(probe, HealthProbe::Tcp(expected));
}

/// Proves: LB-64.
#[test]
fn what_cannot_be_checked_is_refused() {
    let tcp = |send: &str| {
        let send = Some(hex(send));
        Some(HealthChecker::TcpHealthCheck(TcpHealthCheck { send, ..Default::default() }))
    };
    type Change = Box<dyn Fn(&mut ProtoCheck)>;
    let wrong: Vec<(Change, &str)> = vec![
        (Box::new(|check| check.timeout = None), "health_checks[0].timeout"),
        (Box::new(|check| check.timeout = seconds(0)), "health_checks[0].timeout"),
        (Box::new(|check| check.interval = None), "health_checks[0].interval"),
        (Box::new(|check| check.unhealthy_threshold = None), "health_checks[0].unhealthy_threshold"),
        (Box::new(|check| check.healthy_threshold = None), "health_checks[0].healthy_threshold"),
        (Box::new(|check| check.no_traffic_interval = seconds(0)), "health_checks[0].no_traffic_interval"),
        (Box::new(|check| check.health_checker = None), "health_checks[0]"),
        (
            Box::new(|check| {
                check.health_checker = Some(HealthChecker::CustomHealthCheck(CustomHealthCheck::default()));
            }),
            "health_checks[0].custom_health_check",
        ),
        (Box::new(|check| check.tls_options = Some(TlsOptions::default())), "health_checks[0].tls_options"),
        (
            Box::new(|check| check.health_checker = http(|http| http.path = "healthy".into())),
            "health_checks[0].http_health_check.path",
        ),
        (
            Box::new(|check| check.health_checker = http(|http| http.send = Some(hex("00")))),
            "health_checks[0].http_health_check.send",
        ),
        (
            Box::new(|check| {
                check.health_checker = http(|http| http.expected_statuses = vec![range(99, 200)])
            }),
            "health_checks[0].http_health_check.expected_statuses[0]",
        ),
        (
            Box::new(|check| {
                check.health_checker = http(|http| http.codec_client_type = CodecClientType::Http3 as i32);
            }),
            "health_checks[0].http_health_check.codec_client_type",
        ),
        (
            Box::new(move |check| check.health_checker = tcp("0x1")),
            "health_checks[0].tcp_health_check.send.text",
        ),
    ];
    for (change, field) in wrong {
        let error = decode::<Cluster>(&ClusterType, &DecodeContext::default(), &with(change)).unwrap_err();
        assert!(error.to_string().contains(&format!("{field}: ")), "{field}: {error}");
    }
}

/// Proves: LB-64.
#[test]
fn there_is_one_check_and_with_tls_it_is_by_http2() {
    let rows: &[Row<Proto>] = &[
        ("one", |_| {}, OK),
        (
            "two",
            |cluster| cluster.health_checks.push(ProtoCheck::default()),
            Err(("health_checks", "expected at most one, found 2")),
        ),
    ];
    check(&ClusterType, &with(|_| {}), rows);
    // Over TLS connections carry nothing but HTTP/2.
    let mut tls = with(|check| check.health_checker = http(|_| {}));
    tls.transport_socket = Some(TransportSocket::default());
    let error = health_check::read(&tls, &Decoding::new(&DecodeContext::default())).unwrap_err();
    assert_eq!(error.field, "health_checks[0].http_health_check.codec_client_type");
}

/// Proves: LB-64.
#[test]
fn endpoints_are_checked_elsewhere_or_not() {
    let read = |config: HealthCheckConfig| {
        let mut assignment = two_priorities();
        inner(&mut assignment.endpoints[0].lb_endpoints[0]).health_check_config = Some(config);
        let read = decode::<ClusterLoadAssignment>(&EndpointsType, &DecodeContext::default(), &assignment);
        read.map(|read| {
            let first = read.set.priorities[0].localities[0].endpoints.iter().next().unwrap().clone();
            first.details.and_then(|details| details.health_check.clone())
        })
    };
    assert_eq!(read(HealthCheckConfig::default()).unwrap(), None);
    let mut expected = EndpointCheck::default();
    (expected.port, expected.hostname) = (Some(9_000), Some("health".into()));
    expected.address = Some([10, 0, 0, 9].into());
    let config = HealthCheckConfig {
        port_value: 9_000,
        hostname: "health".into(),
        address: address("10.0.0.9", 1),
        ..Default::default()
    };
    assert_eq!(read(config).unwrap(), Some(expected));
    let disabled = HealthCheckConfig { disable_active_health_check: true, ..Default::default() };
    assert!(read(disabled).unwrap().unwrap().is_disabled);
    let wrong = HealthCheckConfig { port_value: 65_536, ..Default::default() };
    assert!(read(wrong).unwrap_err().to_string().contains("endpoint.health_check_config.port_value"));
}
