//! Active health checks: what endpoints are asked, how often, and what counts as healthy (Envoy's `HealthCheck`).

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use crate::policy::matcher::StringMatcher;

use super::Name;

/// How the endpoints of a cluster are checked while they are connected (Envoy's `HealthCheck`).
///
/// An endpoint takes no calls before its first good check. Later it leaves after
/// [`unhealthy_threshold`](Self::unhealthy_threshold) failures in a row, or at once if it says that it is not healthy, and returns after
/// [`healthy_threshold`](Self::healthy_threshold) good checks in a row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// What is asked.
    pub probe: HealthProbe,
    /// A check without an answer by then has failed.
    pub timeout: Duration,
    /// The failures in a row after which a healthy endpoint takes no calls; zero counts as one.
    pub unhealthy_threshold: u32,
    /// The good checks in a row after which an unhealthy endpoint takes calls again; zero counts as one.
    pub healthy_threshold: u32,
    /// The time between two checks.
    pub intervals: HealthCheckIntervals,
    /// The first check of an endpoint comes after a random time up to this one: 0 s.
    pub initial_jitter: Duration,
    /// Each interval lasts longer by a random time up to this one: 0 s.
    pub interval_jitter: Duration,
    /// Each interval lasts longer by a random share of it up to this one: 0 %.
    pub interval_jitter_percent: u32,
    /// Whether each check has a connection of its own.
    pub connection: CheckConnection,
}

/// The time between the end of a check and the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheckIntervals {
    /// After a good check of a healthy endpoint.
    pub healthy: Duration,
    /// After a good check of an endpoint that is still unhealthy.
    pub healthy_edge: Duration,
    /// After a failed check of an unhealthy endpoint.
    pub unhealthy: Duration,
    /// After a failed check of an endpoint that is still healthy.
    pub unhealthy_edge: Duration,
    /// Instead of the others, while the cluster has never had a call: 60 s.
    pub no_traffic: Duration,
    /// As `no_traffic`, after a good check of a healthy endpoint: 60 s.
    pub no_traffic_healthy: Duration,
}

/// Whether checks go over the connection of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CheckConnection {
    /// Checks by HTTP/2 go over the endpoint's connection, beside its calls. Checks by other means, and of endpoints that are checked
    /// at another address, make a connection.
    #[default]
    Reused,
    /// Each check makes a connection.
    New,
}

/// What an endpoint is asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HealthProbe {
    /// `grpc.health.v1.Health/Check`: only `SERVING` is healthy.
    Grpc(GrpcProbe),
    /// An HTTP request, by its status.
    Http(HttpProbe),
    /// A TCP connection, and a conversation on it.
    Tcp(TcpProbe),
}

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GrpcProbe {
    /// The service whose health is asked for; empty: the endpoint as a whole.
    pub service: Name,
    /// The call's `:authority`; `None`: the cluster's name.
    pub authority: Option<Name>,
    /// Further headers of the call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpProbe {
    /// `GET`, unless said otherwise.
    pub method: Method,
    /// Path and query.
    pub path: PathAndQuery,
    /// The request's host; `None`: the cluster's name.
    pub host: Option<Name>,
    /// Further headers of the request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The version of the protocol.
    pub version: ProbeVersion,
    /// Statuses of a healthy endpoint: 200.
    pub expected: Vec<Range<u16>>,
    /// Statuses that count as failures; an endpoint with any other status is unhealthy at once.
    pub retriable: Vec<Range<u16>>,
    /// The service that answers, by its header `x-envoy-upstream-healthchecked-cluster`; `None`: any.
    pub service: Option<StringMatcher>,
}

/// The version of HTTP in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProbeVersion {
    /// HTTP/1.1, in plaintext.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
}

/// A TCP connection. Without `expected` an endpoint is healthy that accepts it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TcpProbe {
    /// Sent first.
    pub sent: Bytes,
    /// What the answer has to contain, in this order.
    pub expected: Vec<Bytes>,
}

/// How one endpoint is checked differently from the others of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct EndpointCheck {
    /// It is not checked, and counts as healthy.
    pub is_disabled: bool,
    /// The address to check; `None`: the endpoint's own.
    pub address: Option<IpAddr>,
    /// The port to check; `None`: the endpoint's own.
    pub port: Option<u16>,
    /// The host of the request; `None`: as for the others.
    pub hostname: Option<Name>,
}

impl HealthCheck {
    /// Checks of this kind, each with a limit, and so often. Three failures or two good checks in a row change an endpoint's health.
    pub fn new(probe: HealthProbe, timeout: Duration, interval: Duration) -> Self {
        Self {
            probe,
            timeout,
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            intervals: HealthCheckIntervals::every(interval),
            initial_jitter: Duration::ZERO,
            interval_jitter: Duration::ZERO,
            interval_jitter_percent: 0,
            connection: CheckConnection::default(),
        }
    }
}

impl HealthCheckIntervals {
    /// The same time after each check, and 60 s while the cluster has never had a call.
    // LB-65
    pub fn every(interval: Duration) -> Self {
        Self {
            healthy: interval,
            healthy_edge: interval,
            unhealthy: interval,
            unhealthy_edge: interval,
            no_traffic: NO_TRAFFIC,
            no_traffic_healthy: NO_TRAFFIC,
        }
    }
}

impl HealthProbe {
    /// A call of `grpc.health.v1.Health/Check` for this service; empty: the endpoint as a whole.
    pub fn grpc(service: impl Into<Name>) -> Self {
        Self::Grpc(GrpcProbe { service: service.into(), ..GrpcProbe::default() })
    }

    /// A `GET` of this path by HTTP/2; healthy with 200.
    pub fn http2(path: PathAndQuery) -> Self {
        Self::Http(HttpProbe { version: ProbeVersion::Http2, ..HttpProbe::get(path) })
    }
}

impl HttpProbe {
    /// A `GET` of this path by HTTP/1.1; healthy with 200.
    // LB-64
    pub fn get(path: PathAndQuery) -> Self {
        Self {
            method: Method::GET,
            path,
            host: None,
            headers: Vec::new(),
            version: ProbeVersion::default(),
            expected: Vec::from([OK]),
            retriable: Vec::new(),
            service: None,
        }
    }
}

impl TcpProbe {
    /// Sends this, and expects an answer that contains the others in this order.
    pub fn new(sent: Bytes, expected: Vec<Bytes>) -> Self {
        Self { sent, expected }
    }
}

const OK: Range<u16> = 200..201;
const NO_TRAFFIC: Duration = Duration::from_secs(60);
