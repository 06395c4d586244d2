//! Limits and times of a server.

use std::time::Duration;

use super::TokenKeySettings;

/// Limits and times of a server. Each protects the server's other clients from one that is slow, greedy or silent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// How long a new connection may take until its client speaks, a TLS handshake included: 10 s.
    pub handshake_timeout: Duration,
    /// How many connections may be in that state at once: 1,024. At the limit a new connection takes the place of the oldest
    /// one that has not sent anything; if all have, the server accepts no more until one is through.
    pub max_pending_handshakes: usize,
    /// How long old connections may go on with their calls after an update of the listener, or while the server does not
    /// serve: 10 minutes. What is left then is cut.
    // SV-08
    pub drain_grace: Duration,
    /// How long a connection lives; `None`, the default: as long as the client keeps it. At the age its client is asked to
    /// make another one for new calls.
    // SV-22
    pub max_connection_age: Option<Duration>,
    /// The part by which ages differ at random, up or down, so that connections that were made together do not end
    /// together: 0.1.
    // SV-22
    pub age_jitter: f64,
    /// How long a connection beyond its age may go on with its calls; `None`, the default: until they end.
    pub max_connection_age_grace: Option<Duration>,
    /// How long calls may go on after the client's certificate has expired: 10 minutes; `None`: until they end. At the expiry
    /// the client is asked to make another connection for new calls. A client whose certificate is revoked, or whose root is not
    /// trusted any more, is cut at once.
    pub expired_peer_grace: Option<Duration>,
    /// Limits of HTTP/1.1, on servers that have it.
    pub http1: ServerHttp1Settings,
    /// Limits and windows of HTTP/2.
    pub http2: ServerHttp2Settings,
    /// How the keys of those who issue tokens are fetched.
    pub token_keys: TokenKeySettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_pending_handshakes: 1024,
            drain_grace: Duration::from_secs(600),
            max_connection_age: None,
            age_jitter: 0.1,
            max_connection_age_grace: None,
            expired_peer_grace: Some(Duration::from_secs(600)),
            http1: ServerHttp1Settings::default(),
            http2: ServerHttp2Settings::default(),
            token_keys: TokenKeySettings::default(),
        }
    }
}

/// Limits of a server's HTTP/1.1 connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerHttp1Settings {
    /// How long a client may take to send the head of a request, and may leave a connection idle between two: 30 s.
    pub head_timeout: Duration,
    /// How many bytes a request's head may have: 64 KiB, and at least 8 KiB. A request beyond it gets 431.
    pub max_head: usize,
    /// How many fields a request's head may have: 100. A request beyond it gets 431.
    pub max_headers: usize,
}

impl Default for ServerHttp1Settings {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(30), max_head: 64 << 10, max_headers: 100 }
    }
}

/// Limits and windows of a server's HTTP/2 connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerHttp2Settings {
    /// How many calls one connection may have at once: 1,000. Clients keep more calls waiting, or make another connection.
    pub max_concurrent_streams: u32,
    /// How many bytes a request's head may have, with 32 bytes for each field: 64 KiB. A call beyond it fails.
    pub max_header_list: u32,
    /// How many bytes of a request may wait for the application: 1 MiB.
    pub stream_window: u32,
    /// How many bytes of all requests of a connection may wait for the application: 16 MiB.
    pub connection_window: u32,
    /// How many bytes of a response may wait for a slow client; the application waits beyond that: 400 KiB.
    pub max_send_buffer: usize,
    /// How many calls that the client has reset may still be at work before the connection is ended: 100.
    pub max_pending_resets: usize,
    /// A ping on connections that have been silent for the first time; a connection that does not answer within the second is
    /// ended. 2 hours and 20 s, as in gRPC; `None`: no pings.
    pub keepalive: Option<(Duration, Duration)>,
}

impl Default for ServerHttp2Settings {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1000,
            max_header_list: 64 << 10,
            stream_window: 1 << 20,
            connection_window: 16 << 20,
            max_send_buffer: 400 << 10,
            max_pending_resets: 100,
            keepalive: Some((Duration::from_secs(7200), Duration::from_secs(20))),
        }
    }
}
