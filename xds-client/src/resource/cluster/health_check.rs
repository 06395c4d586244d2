//! Active health checks, as Envoy reads them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use mesh_core::config::{
    CheckConnection, GrpcProbe, HealthCheck, HealthProbe, HttpProbe, Name, ProbeVersion, TcpProbe,
};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::core::v3::health_check::payload::Payload as PayloadKind;
use xds_proto::envoy::config::core::v3::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, Payload, TcpHealthCheck,
};
use xds_proto::envoy::config::core::v3::{self as proto, HeaderValueOption, RequestMethod};
use xds_proto::envoy::r#type::v3::{CodecClientType, Int64Range};

use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{Decoding, fields, headers, matcher};

// LB-64
pub(super) fn read(cluster: &Cluster, context: &Decoding<'_>) -> Checked<Option<HealthCheck>> {
    match cluster.health_checks.as_slice() {
        [] => Ok(None),
        [check] => {
            let is_tls = cluster.transport_socket.is_some();
            one(check, is_tls, context).map(Some).within_element("health_checks", 0)
        }
        more => {
            let reason = format!("expected at most one, found {}", more.len());
            Err(Invalid::at("health_checks", reason))
        }
    }
}

fn one(check: &proto::HealthCheck, is_tls: bool, context: &Decoding<'_>) -> Checked<HealthCheck> {
    if check.transport_socket_match_criteria.is_some() {
        return Err(Invalid::at("transport_socket_match_criteria", "is not supported"));
    }
    if check.tls_options.is_some() {
        return Err(Invalid::at("tls_options", "is not supported"));
    }
    let probe = probe(check, is_tls, context)?;
    let span = |value, field| positive(fields::optional_duration(value, field)?, field);
    let timeout = required(span(check.timeout.as_ref(), "timeout")?, "timeout")?;
    let interval = required(span(check.interval.as_ref(), "interval")?, "interval")?;
    let mut read = HealthCheck::new(probe, timeout, interval);
    read.unhealthy_threshold = required(check.unhealthy_threshold, "unhealthy_threshold")?.value;
    read.healthy_threshold = required(check.healthy_threshold, "healthy_threshold")?.value;
    // LB-65
    let intervals = &mut read.intervals;
    let unhealthy = span(check.unhealthy_interval.as_ref(), "unhealthy_interval")?;
    intervals.unhealthy = unhealthy.unwrap_or(interval);
    let edge = span(check.unhealthy_edge_interval.as_ref(), "unhealthy_edge_interval")?;
    intervals.unhealthy_edge = edge.unwrap_or(intervals.unhealthy);
    let edge = span(check.healthy_edge_interval.as_ref(), "healthy_edge_interval")?;
    intervals.healthy_edge = edge.unwrap_or(interval);
    let unused = span(check.no_traffic_interval.as_ref(), "no_traffic_interval")?;
    intervals.no_traffic = unused.unwrap_or(intervals.no_traffic);
    let unused = span(check.no_traffic_healthy_interval.as_ref(), "no_traffic_healthy_interval")?;
    intervals.no_traffic_healthy = unused.unwrap_or(intervals.no_traffic);
    let jitter = fields::optional_duration(check.initial_jitter.as_ref(), "initial_jitter")?;
    read.initial_jitter = jitter.unwrap_or_default();
    let jitter = fields::optional_duration(check.interval_jitter.as_ref(), "interval_jitter")?;
    read.interval_jitter = jitter.unwrap_or_default();
    read.interval_jitter_percent = check.interval_jitter_percent;
    if check.reuse_connection.is_some_and(|reuse| !reuse.value) {
        read.connection = CheckConnection::New;
    }
    Ok(read)
}

fn required<T>(value: Option<T>, field: &str) -> Checked<T> {
    value.ok_or_else(|| Invalid::at(field, "must be set"))
}

fn positive(value: Option<Duration>, field: &str) -> Checked<Option<Duration>> {
    match value {
        Some(Duration::ZERO) => Err(Invalid::at(field, "must be more than 0")),
        value => Ok(value),
    }
}

fn probe(check: &proto::HealthCheck, is_tls: bool, context: &Decoding<'_>) -> Checked<HealthProbe> {
    match &check.health_checker {
        Some(HealthChecker::GrpcHealthCheck(probe)) => {
            grpc(probe).map(HealthProbe::Grpc).within("grpc_health_check")
        }
        Some(HealthChecker::HttpHealthCheck(probe)) => {
            http(probe, is_tls, context).map(HealthProbe::Http).within("http_health_check")
        }
        Some(HealthChecker::TcpHealthCheck(probe)) => {
            tcp(probe, is_tls).map(HealthProbe::Tcp).within("tcp_health_check")
        }
        Some(HealthChecker::CustomHealthCheck(_)) => {
            Err(Invalid::at("custom_health_check", "is not supported"))
        }
        None => Err(Invalid::new("expected grpc_health_check, http_health_check or tcp_health_check")),
    }
}

fn grpc(probe: &GrpcHealthCheck) -> Checked<GrpcProbe> {
    let mut read = GrpcProbe::default();
    read.service = probe.service_name.as_str().into();
    read.authority = host(&probe.authority, "authority")?;
    read.headers = added(&probe.initial_metadata, "initial_metadata")?;
    Ok(read)
}

fn http(probe: &HttpHealthCheck, is_tls: bool, context: &Decoding<'_>) -> Checked<HttpProbe> {
    for (field, is_set) in [("send", probe.send.is_some()), ("receive", probe.receive.is_some())] {
        if is_set {
            return Err(Invalid::at(field, "is not supported"));
        }
    }
    if !probe.request_headers_to_remove.is_empty() {
        return Err(Invalid::at("request_headers_to_remove", "is not supported"));
    }
    let path = probe.path.parse().ok().filter(|_| probe.path.starts_with('/'));
    let path = path.ok_or_else(|| Invalid::at("path", format!("{:?} is not a path", probe.path)))?;
    let mut read = HttpProbe::get(path);
    read.method = method(probe.method).within("method")?;
    read.version = match CodecClientType::try_from(probe.codec_client_type) {
        Ok(CodecClientType::Http1) if is_tls => {
            let reason = "HTTP1 is not supported in a cluster with TLS, whose connections carry HTTP/2";
            return Err(Invalid::at("codec_client_type", reason));
        }
        Ok(CodecClientType::Http1) => ProbeVersion::Http1,
        Ok(CodecClientType::Http2) => ProbeVersion::Http2,
        Ok(CodecClientType::Http3) | Err(_) => {
            let reason = format!("expected HTTP1 or HTTP2, found {}", probe.codec_client_type);
            return Err(Invalid::at("codec_client_type", reason));
        }
    };
    read.host = host(&probe.host, "host")?;
    read.headers = added(&probe.request_headers_to_add, "request_headers_to_add")?;
    if !probe.expected_statuses.is_empty() {
        read.expected = statuses(&probe.expected_statuses, "expected_statuses")?;
    }
    read.retriable = statuses(&probe.retriable_statuses, "retriable_statuses")?;
    let service = probe.service_name_matcher.as_ref().map(|matcher| matcher::string(matcher, context));
    read.service = service.transpose().within("service_name_matcher")?;
    Ok(read)
}

fn tcp(probe: &TcpHealthCheck, is_tls: bool) -> Checked<TcpProbe> {
    if is_tls && (probe.send.is_some() || !probe.receive.is_empty()) {
        return Err(Invalid::at("send", "is not supported in a cluster with TLS, nor is receive"));
    }
    let mut read = TcpProbe::default();
    read.sent = probe.send.as_ref().map(payload).transpose().within("send")?.unwrap_or_default();
    for (index, part) in probe.receive.iter().enumerate() {
        read.expected.push(payload(part).within_element("receive", index)?);
    }
    Ok(read)
}

fn payload(payload: &Payload) -> Checked<Bytes> {
    match &payload.payload {
        Some(PayloadKind::Text(text)) => {
            let bytes = unhex(text).filter(|bytes| !bytes.is_empty());
            bytes.map(Bytes::from).ok_or_else(|| Invalid::at("text", format!("{text:?} is not hexadecimal")))
        }
        Some(PayloadKind::Binary(bytes)) => Ok(bytes.clone().into()),
        None => Err(Invalid::new("expected text or binary")),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let pairs = digits?;
    let pairs = pairs.chunks(2).map(|pair| Some(pair.first()? * 16 + pair.get(1)?));
    pairs.collect()
}

fn method(method: i32) -> Checked<Method> {
    Ok(match RequestMethod::try_from(method) {
        Ok(RequestMethod::MethodUnspecified | RequestMethod::Get) => Method::GET,
        Ok(RequestMethod::Head) => Method::HEAD,
        Ok(RequestMethod::Post) => Method::POST,
        Ok(RequestMethod::Put) => Method::PUT,
        Ok(RequestMethod::Delete) => Method::DELETE,
        Ok(RequestMethod::Options) => Method::OPTIONS,
        Ok(RequestMethod::Trace) => Method::TRACE,
        Ok(RequestMethod::Patch) => Method::PATCH,
        Ok(RequestMethod::Connect) | Err(_) => {
            return Err(Invalid::new(format!("{method} is not supported")));
        }
    })
}

fn host(text: &str, field: &str) -> Checked<Option<Name>> {
    if HeaderValue::from_str(text).is_err() {
        return Err(Invalid::at(field, format!("{text:?} is not a header's value")));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn added(options: &[HeaderValueOption], field: &str) -> Checked<Vec<(HeaderName, HeaderValue)>> {
    let read =
        |(index, option): (usize, &HeaderValueOption)| headers::value_of(option).within_element(field, index);
    options.iter().enumerate().map(read).collect()
}

fn statuses(ranges: &[Int64Range], field: &str) -> Checked<Vec<Range<u16>>> {
    let read = |(index, range): (usize, &Int64Range)| {
        let bounds = u16::try_from(range.start).ok().zip(u16::try_from(range.end).ok());
        let bounds = bounds.filter(|(start, end)| *start >= 100 && start < end && *end <= 600);
        let invalid =
            || Invalid::new(format!("[{}, {}) is not a range within [100, 600)", range.start, range.end));
        bounds.map(|(start, end)| start..end).ok_or_else(invalid).within_element(field, index)
    };
    ranges.iter().enumerate().map(read).collect()
}
