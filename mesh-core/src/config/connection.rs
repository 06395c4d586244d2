//! How connections to a cluster's endpoints are made and kept.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How connections to a cluster's endpoints are made and kept.
///
/// Where a field is `None`, the mesh's own setting holds. The default holds for clusters whose configuration says
/// nothing of connections. Set the fields of a default value:
///
/// ```
/// # use std::time::Duration;
/// # use mesh_core::config::ConnectionSettings;
/// let mut connection = ConnectionSettings::default();
/// connection.connect_timeout = Some(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConnectionSettings {
    /// How long a connection, TLS included, may take; more than 0.
    // CDS-21
    pub connect_timeout: Option<Duration>,
    /// How long a connection without a call is kept; 1 h by default, at least 1 ms, `None` for ever. The next call
    /// to the endpoint makes another one.
    // CDS-17
    pub idle_timeout: Option<Duration>,
    /// How many connections one endpoint may have; 1 by default. The client has a limit of its own
    /// above this one.
    // CDS-12, LB-78
    pub max_connections: NonZeroU32,
    /// How many calls one connection may carry at once, if its endpoint allows more (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    pub max_concurrent_streams: Option<NonZeroU32>,
    /// After how many calls a connection gets no further ones; `None` is no limit. Another connection is made at
    /// once, calls that run finish, and none fails for it.
    pub max_requests: Option<NonZeroU32>,
    /// HTTP/2 pings.
    pub http2_keepalive: Option<Http2Keepalive>,
    /// Probes of the operating system.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Where connections come from; port 0 is any port. Connections to endpoints of the other address family cannot be
    /// made from it.
    pub local_address: Option<SocketAddr>,
    /// Connections to endpoints that have a [proxy](super::EndpointDetails::proxy) go through it, by HTTP CONNECT (gRFC A86). Where
    /// connections are secured, that is done with the endpoint, inside of what the proxy carries.
    // LB-79
    pub through_proxies: bool,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            connect_timeout: None,
            idle_timeout: Some(Duration::from_secs(60 * 60)),
            max_connections: NonZeroU32::MIN,
            max_concurrent_streams: None,
            max_requests: None,
            http2_keepalive: None,
            tcp_keepalive: None,
            local_address: None,
            through_proxies: false,
        }
    }
}

/// HTTP/2 pings, with or without calls in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Http2Keepalive {
    /// From ping to ping; more than 0. The client has a lower limit of its own.
    // LB-80
    pub interval: Duration,
    /// How long nothing at all may arrive after a ping before the connection is closed; more than 0.
    pub timeout: Duration,
}

/// TCP's own probes, switched on; `None` is the operating system's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpKeepalive {
    /// After how many unanswered probes the connection is closed.
    pub probes: Option<NonZeroU32>,
    /// How long nothing arrives before the first probe; whole seconds.
    pub time: Option<Duration>,
    /// From probe to probe; whole seconds.
    pub interval: Option<Duration>,
}
