//! The stream to one server: whether there should be one, and when to try again.

use std::time::{Duration, Instant};

use mesh_core::config::Name;
use mesh_core::policy::backoff::{Backoff, BackoffSettings};
use rand::Rng;

use super::{Outage, ServerSettings};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The server or the network ended it.
    Closed {
        /// The error, or that it ended without one.
        reason: String,
    },
    /// This client ended it because it cannot use it, for example after a message over the limit. Always an outage.
    Unusable {
        /// What was wrong.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy)]
enum StreamPhase {
    Idle,
    Opening,
    Open {
        responded: bool,
        asked_at: Option<Instant>,
        unanswered: bool,
    },
    /// The driver has to end the stream and to open another.
    Leaving,
    Waiting {
        until: Instant,
    },
}

/// Whether an outage has begun or ended, or has another reason: watchers get an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutageChange {
    Changed,
    Unchanged,
}

/// See the diagram at the top of [`super`].
#[derive(Debug)]
pub(super) struct Link {
    server: Name,
    silence_timeout: Option<Duration>,
    /// A server without changes sends nothing: an open stream counts as a response after this time.
    quiet_timeout: Duration,
    phase: StreamPhase,
    backoff: Backoff,
    waits: BackoffSettings,
    /// The current outage. It ends with a response, or, if the server is not needed any more, with its backoff: a later
    /// watch must not see the outage of an earlier one.
    outage: Option<Outage>,
    /// When the server was last lost, or first tried.
    lost_at: Option<Instant>,
    /// OB-09: there was an outage, and no response since.
    disconnected: bool,
    /// When a stream with responses last ended: the next one opens at once only if that was a while ago.
    replaced_at: Option<Instant>,
    ever_open: bool,
    ever_responded: bool,
    /// How often the server was lost (OB-08).
    failures: u64,
}

impl Link {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            server: settings.name.clone(),
            silence_timeout: settings.silence_timeout,
            quiet_timeout: settings.quiet_timeout,
            phase: StreamPhase::Idle,
            backoff: Backoff::default(),
            waits: settings.backoff,
            outage: None,
            lost_at: None,
            disconnected: false,
            replaced_at: None,
            ever_open: false,
            ever_responded: false,
            failures: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, StreamPhase::Idle)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, StreamPhase::Waiting { .. })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, StreamPhase::Open { .. })
    }

    /// Whether the driver should have a stream, open or opening.
    pub(super) fn has_stream(&self) -> bool {
        matches!(self.phase, StreamPhase::Open { .. } | StreamPhase::Opening)
    }

    /// Whether the open stream has had a response.
    pub(super) fn has_responded(&self) -> bool {
        matches!(self.phase, StreamPhase::Open { responded: true, .. })
    }

    /// Whether any stream to the server has had a response.
    pub(super) fn has_ever_responded(&self) -> bool {
        self.ever_responded
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures
    }

    pub(super) fn outage(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// When the server was lost, during an outage.
    pub(super) fn outage_since(&self) -> Option<Instant> {
        self.lost_at.filter(|_| self.outage.is_some())
    }

    /// OB-09: from the first stream to an outage, and again from the first response after one.
    pub(super) fn is_connected(&self) -> bool {
        self.ever_open && !self.disconnected
    }

    pub(super) fn on_opening(&mut self, now: Instant) {
        self.phase = StreamPhase::Opening;
        self.lost_at.get_or_insert(now);
    }

    pub(super) fn on_opened(&mut self) {
        self.phase = StreamPhase::Open { responded: false, asked_at: None, unanswered: false };
        self.ever_open = true;
    }

    /// A request is about to be sent. TR-02: returns whether it is the stream's first.
    pub(super) fn on_request(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            StreamPhase::Open { asked_at: asked_at @ None, .. } => {
                *asked_at = Some(now);
                true
            }
            _ => false,
        }
    }

    /// A resource that this stream has a subscription for has not come in time.
    pub(super) fn on_unanswered(&mut self) {
        if let StreamPhase::Open { unanswered, .. } = &mut self.phase {
            *unanswered = true;
        }
    }

    pub(super) fn on_response(&mut self) -> OutageChange {
        if let StreamPhase::Open { responded, .. } = &mut self.phase {
            *responded = true;
        }
        self.ever_responded = true;
        self.disconnected = false;
        self.lost_at = None;
        // TR-25
        match self.outage.take() {
            Some(_) => OutageChange::Changed,
            None => OutageChange::Unchanged,
        }
    }

    pub(super) fn on_ended(&mut self, now: Instant, end: StreamEnd, rng: &mut dyn Rng) -> OutageChange {
        let responded = matches!(self.phase, StreamPhase::Open { responded: true, .. });
        self.lost_at.get_or_insert(now);
        match end {
            // TR-24: not an error. The next stream opens at once, but at most one per second.
            StreamEnd::Closed { .. } if responded => {
                self.backoff = Backoff::default();
                let next = self.replaced_at.map(|replaced_at| replaced_at + self.waits.initial);
                self.phase = match next.filter(|next| *next > now) {
                    Some(until) => StreamPhase::Waiting { until },
                    None => StreamPhase::Idle,
                };
                self.replaced_at = next.max(Some(now));
                OutageChange::Unchanged
            }
            StreamEnd::Closed { reason } | StreamEnd::Unusable { reason } => self.fail(now, &reason, rng),
        }
    }

    // TR-25
    pub(super) fn fail(&mut self, now: Instant, reason: &str, rng: &mut dyn Rng) -> OutageChange {
        self.phase = StreamPhase::Waiting { until: now + self.backoff.next(&self.waits, rng) };
        self.failures += 1;
        self.disconnected = true;
        let since = *self.lost_at.get_or_insert(now);
        let outage = Some(Outage { since, reason: reason.into(), server: self.server.clone() });
        match self.outage == outage {
            true => OutageChange::Unchanged,
            false => {
                self.outage = outage;
                OutageChange::Changed
            }
        }
    }

    /// Ends the stream, because the subscriptions have to be sent as the first requests of a new one.
    pub(super) fn restart(&mut self) {
        if matches!(self.phase, StreamPhase::Open { asked_at: Some(_), .. }) {
            self.phase = StreamPhase::Leaving;
        }
    }

    /// The driver has ended the stream.
    pub(super) fn on_dropped(&mut self) {
        if !self.is_waiting() {
            self.phase = StreamPhase::Idle;
        }
    }

    /// Whether the server was lost, without a response since.
    pub(super) fn is_lost(&self) -> bool {
        self.lost_at.is_some() || self.outage.is_some()
    }

    /// The server is not needed any more.
    pub(super) fn on_unneeded(&mut self) {
        if !self.is_waiting() {
            (self.outage, self.lost_at) = (None, None);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            StreamPhase::Waiting { until } => Some(until),
            // Silence alone is no failure: the server may have no changes.
            StreamPhase::Open { responded: false, asked_at: Some(asked_at), unanswered } => {
                let timeout = if unanswered { self.silence_timeout } else { Some(self.quiet_timeout) };
                timeout.map(|timeout| asked_at + timeout)
            }
            _ => None,
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) -> OutageChange {
        match (self.phase, self.next_deadline()) {
            (StreamPhase::Waiting { .. }, Some(until)) if until <= now => {
                self.phase = StreamPhase::Idle;
                OutageChange::Unchanged
            }
            (StreamPhase::Open { unanswered: false, .. }, Some(end)) if end <= now => self.on_response(),
            (StreamPhase::Open { .. }, Some(end)) if end <= now => {
                let seconds = self.silence_timeout.unwrap_or_default().as_secs_f64();
                self.fail(now, &format!("connected, but without any response for {seconds} s"), rng)
            }
            _ => OutageChange::Unchanged,
        }
    }
}
