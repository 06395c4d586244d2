//! How an HTTP/2 connection behaves.

use std::time::Duration;

/// How an HTTP/2 connection behaves. Values beyond what the protocol allows are moved into its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Settings {
    /// How many bytes of a response may wait for their reader; 2 MiB.
    pub stream_window: u32,
    /// How many bytes of all responses of a connection may wait for their readers; 5 MiB.
    pub connection_window: u32,
    /// How many bytes of a request may wait for the socket; 1 MiB.
    pub max_send_buffer: u32,
    /// How large a response's head or trailers may be; 16 KiB.
    pub max_header_list: u32,
    /// Pings; off (LB-80).
    pub keepalive: Option<Keepalive>,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            stream_window: 2 << 20,
            connection_window: 5 << 20,
            max_send_buffer: 1 << 20,
            max_header_list: 16 << 10,
            keepalive: None,
        }
    }
}

/// Pings on connections on which nothing arrives (gRFC A8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// After how long a silence.
    pub interval: KeepaliveInterval,
    /// How long the answer may take before the connection is given up; 20 s.
    pub timeout: Duration,
    /// On which connections.
    pub scope: KeepaliveScope,
}

impl Keepalive {
    /// Pings while there are calls, after this much silence.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval: KeepaliveInterval::new(interval),
            timeout: Duration::from_secs(20),
            scope: KeepaliveScope::Calls,
        }
    }
}

/// The silence before a ping: at least 10 s (LB-80), because endpoints close connections that ping too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepaliveInterval(Duration);

impl KeepaliveInterval {
    /// An interval, moved into the allowed range.
    pub fn new(interval: Duration) -> Self {
        Self(interval.max(Duration::from_secs(10)))
    }

    /// The interval.
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// Which connections are pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepaliveScope {
    /// Those with calls in flight.
    Calls,
    /// All.
    All,
}
