//! How an HTTP/2 connection behaves.

use std::time::Duration;

/// How an HTTP/2 connection behaves. Values beyond what the protocol allows are moved into its range.
///
/// All calls of a connection share it. Limits apply to each stream: an unread response, or one that exceeds a limit, waits or
/// fails alone, and the connection and its other calls continue.
///
/// Some limits are fixed: DATA frames without data, padded or not, and DATA of streams that have ended are ignored; at most
/// 1,024 answers to late heads wait to be written, then nothing is read until they are written; a request's body of 16 KiB or
/// more leaves a quarter of the endpoint's connection window to other calls. h2's own counts of small frames and of streams
/// that were reset for an error are off, because they would end a connection because of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Settings {
    /// How many bytes of a response may wait for their reader; 2 MiB.
    pub stream_window: u32,
    /// How many bytes of all responses of a connection may wait for their readers; 2 GiB - 1, the protocol's maximum. With
    /// a smaller value unread responses block all others.
    pub connection_window: u32,
    /// How many bytes of a request may wait for the socket; 1 MiB.
    pub max_send_buffer: u32,
    /// How many bytes a response's head or trailers may have: names, values, and 32 bytes for each field (RFC 9113
    /// section 6.5.2); 64 KiB. A call whose response exceeds it fails.
    ///
    /// Endpoints are told 16 times as much, at least 1 MiB: an endpoint that withholds a response because of the limit gives
    /// a less clear error. An endpoint ends its connection only if it sends more than four times that, or a header block in more
    /// CONTINUATION frames than a quarter more than full frames of that size: 80, if each head has at most 1 MiB. Frames
    /// after such a block cannot be decoded, because the state of header compression is lost.
    pub max_header_list: u32,
    /// How many DATA frames of a response may wait for their reader; 65,536. Even a small one costs about 300 bytes of
    /// memory. A call with more unread frames fails.
    pub max_unread_frames: u32,
    /// How many calls may be cancelled before the endpoint has accepted them; 16. A call counts as accepted once a part of
    /// a response to it or to a later call has arrived. The streams of others stay open until then, for 200 ms at most, and
    /// keep their places: endpoints built on h2, as hyper's and tonic's servers are, end a connection at the 21st
    /// reset of a call that they have not accepted.
    pub max_unaccepted_resets: u32,
    /// How many cancelled calls are remembered, so that late parts of their responses are ignored; 16,384. Each costs about
    /// 500 bytes. Late heads of other calls are answered with a reset.
    pub max_cancelled_streams: u32,
    /// How long a cancelled call is remembered; 30 s.
    pub cancelled_stream_memory: Duration,
    /// How long running calls may go on after the endpoint's certificate has expired; 10 minutes. New calls go to another
    /// connection at the expiry. `None`: until they end.
    pub expired_peer_grace: Option<Duration>,
    /// Pings in a fixed interval; off.
    // LB-80
    pub keepalive: Option<Keepalive>,
    /// Single pings that detect dead connections; on. Without effect if `keepalive` is set.
    pub probe: Option<Probe>,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            stream_window: 2 << 20,
            connection_window: (1 << 31) - 1,
            max_send_buffer: 1 << 20,
            max_header_list: 64 << 10,
            max_unread_frames: 1 << 16,
            max_unaccepted_resets: 16,
            max_cancelled_streams: 1 << 14,
            cancelled_stream_memory: Duration::from_secs(30),
            expired_peer_grace: Some(Duration::from_secs(600)),
            keepalive: None,
            probe: Some(Probe::default()),
        }
    }
}

impl Http2Settings {
    /// How many bytes of a head or trailers h2 decodes.
    pub(super) fn decoded_header_list(&self) -> u32 {
        self.max_header_list.saturating_mul(16).max(1 << 20)
    }

    /// With more bytes of a head or trailers h2 ends the connection.
    pub(super) fn largest_header_list(&self) -> u32 {
        self.decoded_header_list().saturating_mul(4)
    }

    /// With more CONTINUATION frames in a header block h2 ends the connection.
    pub(super) fn continuation_frames(&self) -> u32 {
        let full = self.decoded_header_list() / MAX_FRAME_SIZE;
        full + full / 4
    }
}

/// RFC 9113 section 6.5.2: what endpoints send, as long as this side does not ask for more.
const MAX_FRAME_SIZE: u32 = 16 << 10;

/// Detects dead connections that were not closed, for example behind a proxy that has failed.
///
/// While calls are in flight and nothing arrives, one ping is sent. After an answer the next ping is sent 5 minutes later, or
/// after another part of a response. gRPC servers with default settings accept that many pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The silence before a ping; 10 s.
    pub silence: Duration,
    /// How long the answer may take before the connection is closed and its calls fail; 20 s.
    pub timeout: Duration,
}

impl Default for Probe {
    fn default() -> Self {
        Self { silence: Duration::from_secs(10), timeout: Duration::from_secs(20) }
    }
}

/// Pings on connections on which nothing arrives (gRFC A8). A dead connection is closed `interval` plus `timeout` after the
/// last received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// The silence before a ping.
    pub interval: KeepaliveInterval,
    /// How long the answer may take before the connection is closed; 20 s.
    pub timeout: Duration,
    /// Which connections are pinged.
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

/// The silence before a ping: at least 10 s, because endpoints close connections that ping too often.
// LB-80
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
#[non_exhaustive]
pub enum KeepaliveScope {
    /// Those with calls in flight.
    Calls,
    /// All.
    All,
}
