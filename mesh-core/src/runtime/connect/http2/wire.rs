//! The state of streams by the frames that were written and received.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frame::{self, Head, StreamMap};
use super::grants::Grants;
use super::settings::Http2Settings;
use super::shared::{Foreign, Shared, Sign};
use super::unread::WATCHED_FROM;
use super::unsent::UnsentLimit;

/// The streams that are open on the wire. It counts places as the endpoint does: a place is held until both ends have ended
/// the stream, even if the response is not read yet.
#[derive(Debug)]
pub(super) struct Wire {
    shared: Arc<Shared>,
    streams: StreamMap<Stream>,
    /// The highest stream whose HEADERS were written.
    sent: u32,
    /// Streams that the endpoint has reset since the last [`Wire::on_read`].
    reset: Vec<u32>,
    /// How many streams have been opened since the last [`Wire::settle`].
    opened: u32,
    /// How many heads of streams that have ended have arrived since the last [`Wire::on_flush`]. h2 answers each with a
    /// reset, unless it remembers the stream.
    late: u32,
    grants: Grants,
    /// One of them is reset already: its call was cancelled before it was written.
    is_given_up: bool,
    unsent: UnsentLimit,
    max_unread_frames: u32,
}

#[derive(Debug, Default)]
struct Stream {
    request_ended: bool,
    response_ended: bool,
    /// DATA frames that have arrived.
    frames: u32,
    /// How many of them have been read, if the reader is watched.
    read: Option<Arc<AtomicU32>>,
    reset: bool,
}

/// How a received frame is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Deliver,
    /// h2 does not see it.
    Drop,
    /// The caller resets its stream, then decides again.
    Reset,
}

impl Wire {
    pub(super) fn new(shared: Arc<Shared>, settings: &Http2Settings) -> Self {
        Self {
            shared,
            streams: StreamMap::default(),
            sent: 0,
            reset: Vec::new(),
            opened: 0,
            is_given_up: false,
            unsent: UnsentLimit::default(),
            late: 0,
            grants: Grants::new(settings.stream_window),
            max_unread_frames: settings.max_unread_frames,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The head of this frame was written to the socket.
    pub(super) fn on_sent(&mut self, head: Head) {
        if head.kind == frame::DATA {
            self.shared.send_window.on_sent(head.stream, head.length);
        }
        match head.kind {
            frame::HEADERS if head.stream > self.sent => {
                (self.sent, self.opened) = (head.stream, self.opened + 1);
                self.shared.on_sent(head.stream);
                let stream = Stream { request_ended: head.ends_stream(), ..Stream::default() };
                self.streams.insert(head.stream, stream);
                if head.stream >= LAST_STREAM {
                    self.shared.close();
                }
            }
            frame::DATA | frame::HEADERS if head.ends_stream() => {
                self.end(head.stream, |stream| stream.request_ended = true);
            }
            frame::RST_STREAM => {
                self.is_given_up |= head.stream > self.sent.saturating_sub(2 * self.opened);
                self.close(head.stream);
                self.shared.send_window.forget(head.stream);
            }
            // h2 ends the connection because of an error of the endpoint.
            frame::GOAWAY => self.shared.close(),
            _ => {}
        }
    }

    /// Admits calls that waited for the [written](Self::on_sent) heads.
    pub(super) fn settle(&mut self) {
        let (opened, is_given_up) = (std::mem::take(&mut self.opened), std::mem::take(&mut self.is_given_up));
        if opened > 0 {
            let outbox = &self.shared.outbox;
            if let Some(limit) = self.unsent.on_sent(opened, is_given_up, outbox.has_waiting()) {
                outbox.set_limit(limit);
            }
            outbox.leave(opened);
        }
    }

    /// The first received bytes, before any frame.
    pub(super) fn on_first_bytes(&self, bytes: &[u8]) {
        // A TLS record of an alert or a handshake; a status line.
        if let [0x15 | 0x16, 3, ..] = bytes {
            self.shared.on_foreign(Foreign::Tls);
        } else if bytes.starts_with(b"HTTP/") {
            self.shared.on_foreign(Foreign::Http1);
        }
    }

    /// The head of this frame has arrived, and for padded DATA the first byte of its payload.
    pub(super) fn on_received(&mut self, head: Head, padding: Option<u8>) -> Decision {
        match head.kind {
            frame::DATA => return self.on_data(head, padding),
            frame::HEADERS => {
                // Before its caller reads the response: a GOAWAY may follow in the same bytes.
                self.shared.serve();
                self.shared.note(Sign::Progress);
                if !self.streams.contains_key(&head.stream) {
                    self.late += 1;
                }
                self.shared.cancelled.accept(head.stream);
                if head.ends_stream() {
                    self.end(head.stream, |stream| stream.response_ended = true);
                }
            }
            frame::RST_STREAM => {
                self.close(head.stream);
                self.reset.push(head.stream);
            }
            // RFC 9113 section 6.8: no new stream, even if nothing but this head ever arrives.
            frame::GOAWAY => self.shared.close(),
            _ => {}
        }
        Decision::Deliver
    }

    fn on_data(&mut self, head: Head, padding: Option<u8>) -> Decision {
        self.shared.note(Sign::Progress);
        let is_open = self.streams.contains_key(&head.stream);
        let is_late = !is_open && head.stream % 2 == 1 && head.stream <= self.sent;
        if is_late {
            // h2 would answer it with a reset, unless it remembers the stream.
            self.grants.owe(0, head.length);
            return Decision::Drop;
        }
        if head.ends_stream() {
            self.end(head.stream, |stream| stream.response_ended = true);
            return Decision::Deliver;
        }
        let is_empty = padding.map_or(head.length == 0, |padding| head.length == usize::from(padding) + 1);
        if is_empty && (is_open || head.length == 0) {
            // h2 would count it, and end the connection at the 101st.
            self.grants.owe(0, head.length);
            self.grants.owe(head.stream, head.length);
            return Decision::Drop;
        }
        let Some(stream) = self.streams.get_mut(&head.stream) else { return Decision::Deliver };
        stream.frames = stream.frames.saturating_add(1);
        if stream.frames < WATCHED_FROM || stream.reset {
            return Decision::Deliver;
        }
        let read = stream.read.get_or_insert_with(|| self.shared.unread.watch(head.stream));
        if stream.frames - read.load(Ordering::Relaxed).min(stream.frames) <= self.max_unread_frames {
            return Decision::Deliver;
        }
        stream.reset = true;
        stream.frames -= 1;
        self.shared.unread.on_reset(head.stream);
        Decision::Reset
    }

    /// WINDOW_UPDATE frames to write.
    pub(super) fn grants(&mut self) -> &mut Grants {
        &mut self.grants
    }

    /// Whether h2 has to write before it reads more, because it queues too many answers to late heads.
    pub(super) fn is_to_write(&self) -> bool {
        self.late >= MAX_LATE
    }

    /// h2 has written its queue. Returns whether it can read again.
    pub(super) fn on_flush(&mut self) -> bool {
        std::mem::take(&mut self.late) >= MAX_LATE
    }

    /// h2 has read all frames that had arrived.
    pub(super) fn on_read(&mut self) {
        // Only now: until then uploads of these streams may hand bytes to h2.
        for stream in self.reset.drain(..) {
            self.shared.send_window.forget(stream);
        }
    }

    /// The payload of a WINDOW_UPDATE of the connection.
    pub(super) fn on_grant(&self, payload: &[u8]) {
        if let Some(bytes) = payload.first_chunk() {
            self.shared.send_window.on_grant(u32::from_be_bytes(*bytes) & MAX_GRANT);
        }
    }

    /// The payload of a SETTINGS frame.
    pub(super) fn on_settings(&self, payload: &[u8]) {
        for setting in payload.chunks_exact(6) {
            let &[high, low, a, b, c, d] = setting else { return };
            let value = u32::from_be_bytes([a, b, c, d]);
            match u16::from_be_bytes([high, low]) {
                MAX_CONCURRENT_STREAMS => self.shared.limit_streams(value),
                MAX_HEADER_LIST_SIZE => self.shared.set_max_header_list(value),
                _ => {}
            }
        }
    }

    /// The payload of a GOAWAY.
    pub(super) fn on_goaway(&self, payload: &[u8]) {
        let field = |at: usize| payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (Some(last), Some(code)) = (field(0), field(4)) else { return };
        let last = last & frame::MAX_STREAM;
        if code == u32::from(h2::Reason::NO_ERROR) && self.streams.keys().any(|stream| *stream <= last) {
            // The endpoint shuts down gracefully, and answers its running calls.
            self.shared.serve();
        }
        self.shared.on_goaway(code);
    }

    fn end(&mut self, stream: u32, note: impl FnOnce(&mut Stream)) {
        if let Some(open) = self.streams.get_mut(&stream) {
            note(open);
            if open.request_ended && open.response_ended {
                self.close(stream);
            }
        }
    }

    fn close(&mut self, stream: u32) {
        if let Some(closed) = self.streams.remove(&stream) {
            self.grants.forget(stream);
            if closed.read.is_some() {
                self.shared.unread.forget(stream);
            }
            self.shared.places.leave(1);
        }
    }
}

/// RFC 9113 section 6.9.
const MAX_GRANT: u32 = (1 << 31) - 1;

/// RFC 9113 section 6.5.2.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// From this stream on a connection takes no more calls, because its numbers run out.
const LAST_STREAM: u32 = frame::MAX_STREAM - (1 << 16);

/// How many answers to late heads h2 queues at most. Each costs about 500 bytes.
const MAX_LATE: u32 = 1_024;
