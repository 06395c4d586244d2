//! Limits of a cluster's calls and connections.

use std::time::Duration;

use crate::kinds::ProtoDuration;
use crate::kinds::traffic_policy::{ConnectionPool, Http2KeepAlive, RetryBudget, TcpKeepalive};

/// Limits of connections; `None` is a client's own default. Never zero, but where it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    /// To all endpoints together.
    pub(crate) max: Option<u32>,
    pub(crate) connect_timeout: Option<Duration>,
    /// How long a connection lives without a call; 0 is for ever.
    pub(crate) idle_timeout: Option<Duration>,
    /// How long a connection lives.
    pub(crate) max_duration: Option<Duration>,
    /// Calls of one connection, one after the other.
    pub(crate) max_calls: Option<u32>,
    /// Calls of one connection at the same time.
    pub(crate) max_streams: Option<u32>,
    pub(crate) tcp_keepalive: Option<TcpKeepalive>,
    pub(crate) pings: Option<Pings>,
}

/// Pings of HTTP/2; neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pings {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// Limits of calls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limits {
    /// Calls at the same time.
    pub(crate) max_requests: u32,
    /// Calls that wait for a connection.
    pub(crate) max_pending: Option<u32>,
    /// Retries at the same time.
    pub(crate) max_retries: Option<u32>,
    pub(crate) retry_budget: Option<Budget>,
}

/// The share of calls in flight that may be retries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Budget {
    pub(crate) percent: f64,
    /// So many are always allowed.
    pub(crate) min_concurrency: u32,
}

impl Connections {
    pub(super) fn new(pool: &ConnectionPool) -> Self {
        let (tcp, http) = (pool.tcp.as_ref(), pool.http.as_ref());
        let number = |number: Option<u32>| number.filter(|number| *number > 0);
        let time = |time: Option<ProtoDuration>| time.map(|time| time.0).filter(|time| !time.is_zero());
        let idle_timeout = http.and_then(|http| http.idle_timeout).or_else(|| tcp?.idle_timeout);
        Self {
            max: number(tcp.and_then(|tcp| tcp.max_connections)),
            connect_timeout: time(tcp.and_then(|tcp| tcp.connect_timeout)),
            idle_timeout: idle_timeout.map(|timeout| timeout.0),
            max_duration: time(tcp.and_then(|tcp| tcp.max_connection_duration)),
            max_calls: number(http.and_then(|http| http.max_requests_per_connection)),
            max_streams: number(http.and_then(|http| http.max_concurrent_streams)),
            tcp_keepalive: tcp.and_then(|tcp| tcp.tcp_keepalive),
            pings: http.and_then(|http| Pings::new(http.http2_keep_alive?)),
        }
    }
}

impl Pings {
    fn new(pings: Http2KeepAlive) -> Option<Self> {
        let time = |time: Option<ProtoDuration>| time.map(|time| time.0).filter(|time| !time.is_zero());
        Some(Self { interval: time(pings.interval)?, timeout: time(pings.timeout).unwrap_or(PING_TIMEOUT) })
    }
}

impl Default for Limits {
    /// None.
    fn default() -> Self {
        Self { max_requests: u32::MAX, max_pending: None, max_retries: None, retry_budget: None }
    }
}

impl Limits {
    pub(super) fn new(pool: Option<&ConnectionPool>, budget: Option<&RetryBudget>) -> Self {
        let http = pool.and_then(|pool| pool.http.as_ref());
        Self {
            max_requests: http.and_then(|http| http.http2_max_requests).unwrap_or(u32::MAX),
            max_pending: http.and_then(|http| http.http1_max_pending_requests).filter(|limit| *limit > 0),
            max_retries: http.and_then(|http| http.max_retries),
            retry_budget: budget.map(Budget::new),
        }
    }
}

impl Budget {
    fn new(budget: &RetryBudget) -> Self {
        Self {
            percent: budget.percent.unwrap_or(20.0),
            min_concurrency: budget.min_retry_concurrency.unwrap_or(3),
        }
    }
}

/// As in gRPC.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
