//! The state that a connection's task and its calls share.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::runtime::tls::HandshakeError;

use super::cancelled::Cancelled;
use super::gate::Gate;
use super::lifetime::CallBudget;
use super::send_window::SendWindow;
use super::settings::Http2Settings;
use super::task::Wakes;
use super::unread::Unread;
use super::unsent::UnsentLimit;

/// The state that a connection's task and its calls share.
#[derive(Debug)]
pub(super) struct Shared {
    /// A holder for each call between its reservation and the end of its stream on the wire. The limit is the endpoint's.
    pub(super) places: Gate,
    max_streams: u32,
    /// A holder for each call that was handed to h2 and whose head is not written yet. h2 cannot return a call, so further
    /// calls wait here.
    pub(super) outbox: Gate,
    /// How many more calls may be handed to h2.
    pub(super) calls: CallBudget,
    /// The unread frames of responses.
    pub(super) unread: Unread,
    /// The connection window for requests.
    pub(super) send_window: SendWindow,
    /// What wakes the connection's task.
    pub(super) wakes: Arc<Wakes>,
    /// The streams of cancelled calls that are still open.
    pub(super) cancelled: Cancelled,
    /// The highest stream whose HEADERS were written.
    sent: AtomicU32,
    /// How large a request's head may be.
    max_header_list: AtomicU32,
    /// Above its lower half not 0: the code of a GOAWAY that has arrived.
    goaway: AtomicU64,
    /// What has arrived since the last [`take_sign`](Self::take_sign).
    signs: AtomicU8,
    /// The protocol of the endpoint's first bytes, if it is not HTTP/2.
    protocol: AtomicU8,
    /// The connection's task was dropped before its end.
    abandoned: AtomicBool,
    /// Why the endpoint is not accepted any more.
    refused: OnceLock<HandshakeError>,
    /// A call got a response.
    served: AtomicBool,
}

/// What has arrived.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// Anything.
    Life = 1,
    /// A part of a response.
    Progress = 2,
}

/// The protocol of an endpoint that does not speak HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    Tls = 1,
    Http1 = 2,
}

impl Shared {
    /// `max_streams`: how many calls there may be at once, if the endpoint takes more.
    pub(super) fn new(max_streams: u32, settings: &Http2Settings) -> Self {
        Self {
            places: Gate::new(max_streams),
            max_streams,
            outbox: Gate::new(UnsentLimit::MIN),
            calls: CallBudget::new(None),
            unread: Unread::default(),
            send_window: SendWindow::default(),
            wakes: Arc::default(),
            cancelled: Cancelled::new(settings.max_unaccepted_resets),
            sent: AtomicU32::new(0),
            max_header_list: AtomicU32::new(u32::MAX),
            goaway: AtomicU64::new(0),
            signs: AtomicU8::new(0),
            protocol: AtomicU8::new(0),
            abandoned: AtomicBool::new(false),
            refused: OnceLock::new(),
            served: AtomicBool::new(false),
        }
    }

    /// With so many calls over the connection's life; `None`: any number.
    pub(super) fn with_calls(self, limit: Option<NonZeroU32>) -> Self {
        Self { calls: CallBudget::new(limit), ..self }
    }

    /// Sets how many calls the endpoint allows at once.
    pub(super) fn limit_streams(&self, limit: u32) {
        self.places.set_limit(limit.min(self.max_streams));
    }

    pub(super) fn is_open(&self) -> bool {
        !self.places.is_closed()
    }

    /// No more calls are handed to h2.
    pub(super) fn close(&self) {
        self.places.close();
        self.outbox.close();
    }

    pub(super) fn on_sent(&self, stream: u32) {
        self.sent.store(stream, Ordering::Release);
    }

    /// Whether any byte of this stream may have reached the endpoint.
    pub(super) fn was_sent(&self, stream: u32) -> bool {
        stream <= self.sent.load(Ordering::Acquire)
    }

    pub(super) fn set_max_header_list(&self, bytes: u32) {
        self.max_header_list.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn max_header_list(&self) -> u32 {
        self.max_header_list.load(Ordering::Relaxed)
    }

    pub(super) fn on_goaway(&self, code: u32) {
        self.goaway.store(1 << 32 | u64::from(code), Ordering::Relaxed);
    }

    /// The code of the endpoint's GOAWAY.
    pub(super) fn goaway(&self) -> Option<u32> {
        let goaway = self.goaway.load(Ordering::Relaxed);
        (goaway != 0).then_some(goaway as u32)
    }

    // Only the connection's task writes and takes signs.

    pub(super) fn note(&self, sign: Sign) {
        let signs = self.signs.load(Ordering::Relaxed);
        self.signs.store(signs | sign as u8, Ordering::Relaxed);
    }

    /// What has arrived since the last call of this.
    pub(super) fn take_sign(&self) -> Option<Sign> {
        let signs = self.signs.load(Ordering::Relaxed);
        if signs == 0 {
            return None;
        }
        self.signs.store(0, Ordering::Relaxed);
        Some(if signs & Sign::Progress as u8 != 0 { Sign::Progress } else { Sign::Life })
    }

    pub(super) fn on_foreign(&self, protocol: Foreign) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    pub(super) fn foreign(&self) -> Option<Foreign> {
        let protocol = self.protocol.load(Ordering::Relaxed);
        [Foreign::Tls, Foreign::Http1].into_iter().find(|foreign| *foreign as u8 == protocol)
    }

    pub(super) fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// A response has arrived. Written once, so that calls do not contend for the cache line.
    pub(super) fn serve(&self) {
        if !self.has_served() {
            self.served.store(true, Ordering::Relaxed);
        }
    }

    /// The endpoint is not accepted any more: the connection is cut.
    pub(super) fn refuse_peer(&self, error: HandshakeError) {
        _ = self.refused.set(error);
        self.close();
    }

    /// Why the endpoint is not accepted any more.
    pub(super) fn peer_refusal(&self) -> Option<&HandshakeError> {
        self.refused.get()
    }

    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.close();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}
