//! The stream to one server: whether there should be one, and when to try again.

use std::time::Instant;

use rand::Rng;

use super::backoff::Backoff;
use super::{BackoffPolicy, Outage};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// The server or the network ended it.
    Closed {
        /// The error, or that it ended without one.
        reason: String,
    },
    /// This client ended it because it cannot go on, for example with a message over the limit. Always an outage.
    Unusable {
        /// What was wrong.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Idle,
    Opening,
    Open { responded: bool, node_sent: bool },
    Waiting { until: Instant },
}

/// What the caller must tell watchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Outage,
    Nothing,
}

/// See the diagram at the top of [`super`].
#[derive(Debug)]
pub(super) struct Link {
    phase: Phase,
    backoff: Backoff,
    outage: Option<Outage>,
    /// When the server was last lost, or first tried.
    lost_at: Option<Instant>,
    /// When a stream that had responses was last replaced: at once only if that was a while ago.
    replaced_at: Option<Instant>,
    ever_open: bool,
}

impl Link {
    pub(super) fn new(backoff: BackoffPolicy) -> Self {
        Self {
            phase: Phase::Idle,
            backoff: Backoff::new(backoff),
            outage: None,
            lost_at: None,
            replaced_at: None,
            ever_open: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    pub(super) fn outage(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// OB-09: from the first stream to an outage, and again from the first response after one.
    pub(super) fn is_connected(&self) -> bool {
        self.ever_open && self.outage.is_none()
    }

    pub(super) fn on_opening(&mut self, now: Instant) {
        self.phase = Phase::Opening;
        self.lost_at.get_or_insert(now);
    }

    pub(super) fn on_opened(&mut self) {
        self.phase = Phase::Open { responded: false, node_sent: false };
        self.ever_open = true;
    }

    /// TR-02: whether this is the stream's first request.
    pub(super) fn take_node(&mut self) -> bool {
        match &mut self.phase {
            Phase::Open { node_sent, .. } => !std::mem::replace(node_sent, true),
            _ => false,
        }
    }

    pub(super) fn on_response(&mut self) -> News {
        if let Phase::Open { responded, .. } = &mut self.phase {
            *responded = true;
        }
        self.lost_at = None;
        // TR-25
        match self.outage.take() {
            Some(_) => News::Outage,
            None => News::Nothing,
        }
    }

    pub(super) fn on_ended(&mut self, now: Instant, end: StreamEnd, rng: &mut dyn Rng) -> News {
        let responded = matches!(self.phase, Phase::Open { responded: true, .. });
        self.lost_at.get_or_insert(now);
        match end {
            // TR-24: not an error. At once, but not in a loop: a server that ends every stream gets one a second.
            StreamEnd::Closed { .. } if responded => {
                self.backoff.reset();
                let next = self.replaced_at.map(|replaced_at| replaced_at + self.backoff.initial());
                self.phase = match next.filter(|next| *next > now) {
                    Some(until) => Phase::Waiting { until },
                    None => Phase::Idle,
                };
                self.replaced_at = next.max(Some(now));
                News::Nothing
            }
            StreamEnd::Closed { reason } | StreamEnd::Unusable { reason } => self.fail(now, &reason, rng),
        }
    }

    /// TR-25
    pub(super) fn fail(&mut self, now: Instant, reason: &str, rng: &mut dyn Rng) -> News {
        self.phase = Phase::Waiting { until: now + self.backoff.next(rng) };
        let since = *self.lost_at.get_or_insert(now);
        let outage = Some(Outage { since, reason: reason.into() });
        match self.outage == outage {
            true => News::Nothing,
            false => {
                self.outage = outage;
                News::Outage
            }
        }
    }

    /// This side ended the stream because nobody needs it.
    pub(super) fn on_dropped(&mut self) {
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.phase = Phase::Idle;
            self.lost_at = None;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Waiting { until } if until <= now) {
            self.phase = Phase::Idle;
        }
    }
}
