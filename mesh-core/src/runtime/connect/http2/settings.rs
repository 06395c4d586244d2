//! How an HTTP/2 connection behaves.

use std::time::Duration;

/// How an HTTP/2 connection behaves. Values beyond what the protocol allows are moved into its range.
///
/// All calls of a connection share it. The limits here are each stream's own: a response that nobody reads, or one that
/// exceeds a limit, ends or waits by itself, and the connection and its other calls go on.
///
/// Beyond the limits here there are these, which are not settings: DATA frames without data are passed over, padded or not, and
/// so is DATA of streams that have ended; at most 1,024 answers to late heads wait to be written, then nothing is read until
/// they are; from 16 KiB on, a request's body leaves a quarter of the endpoint's connection window to other calls. h2's own
/// counts of small frames and of streams that were reset for an error are off, because they end a connection for what one
/// stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Settings {
    /// How many bytes of a response may wait for their reader; 2 MiB.
    pub stream_window: u32,
    /// How many bytes of all responses of a connection may wait for their readers; 2 GiB - 1, the protocol's maximum. A
    /// smaller value lets responses that nobody reads hold up all others.
    pub connection_window: u32,
    /// How many bytes of a request may wait for the socket; 1 MiB.
    pub max_send_buffer: u32,
    /// How many bytes a response's head or trailers may have: names, values, and 32 bytes for each field (RFC 9113
    /// section 6.5.2); 64 KiB. A call whose response exceeds it fails.
    ///
    /// Endpoints are told of 16 times as much, at least 1 MiB: what they hold back for it would be harder to
    /// understand. An endpoint ends its connection only if it sends more than four times that, or a header block in more
    /// CONTINUATION frames than a quarter more than full frames of that size: 80, if each head has at most 1 MiB. What
    /// comes after such a block cannot be decoded, because header compression has lost its state.
    pub max_header_list: u32,
    /// How many DATA frames of a response may wait for their reader; 65,536. However small, each costs about 300 bytes of
    /// memory. A call whose reader is further behind fails.
    pub max_unread_frames: u32,
    /// How many calls may be cancelled before the endpoint has accepted them; 16. A call counts as accepted once a part of
    /// a response to it or to a later call has arrived. The streams of others stay open until then, for 200 ms at most, and
    /// keep their places: endpoints built on h2, as hyper's and tonic's servers are, end a connection at the 21st
    /// reset of a call that they have not accepted.
    pub max_unaccepted_resets: u32,
    /// How many cancelled calls are remembered, so that late parts of their responses are passed over in silence; 16,384.
    /// Each costs about 500 bytes. Late heads of others are answered with a reset.
    pub max_cancelled_streams: u32,
    /// How long a cancelled call is remembered; 30 s.
    pub cancelled_stream_memory: Duration,
    /// Pings in a fixed interval; off.
    // LB-80
    pub keepalive: Option<Keepalive>,
    /// Single pings that find connections whose other end is gone; on. Without effect where `keepalive` is set.
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

/// Finds connections whose other end is gone without a word, for example behind a proxy that has failed.
///
/// While calls are in flight and nothing arrives, one ping is sent. An endpoint that answers is asked again after 5
/// minutes, or once more of a response has arrived. That is less than what gRPC servers by default take for too many pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The silence before a ping; 10 s.
    pub silence: Duration,
    /// How long the answer may take before the connection is given up, and its calls fail; 20 s.
    pub timeout: Duration,
}

impl Default for Probe {
    fn default() -> Self {
        Self { silence: Duration::from_secs(10), timeout: Duration::from_secs(20) }
    }
}

/// Pings on connections on which nothing arrives (gRFC A8). A dead connection is given up `interval` and `timeout` after
/// the last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
