//! Decides on new streams. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::server::options::StreamLimits;

/// The number of streams, and when the next may start.
#[derive(Debug)]
pub(super) struct Gate {
    limits: StreamLimits,
    open: usize,
    /// When a stream may start after the burst is used up; in the past after a quiet time.
    next: Option<Instant>,
}

/// The decision about a new stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is served; it has to [`leave`](Gate::leave).
    Enter,
    /// The same, after this time.
    Wait(Duration),
    /// It is refused.
    Refuse(Reason),
}

/// The limit that has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    TooMany,
    TooFast,
}

impl Gate {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { limits, open: 0, next: None }
    }

    /// A new stream.
    pub(super) fn arrive(&mut self, now: Instant) -> Admission {
        if self.open >= self.limits.max_streams {
            return Admission::Refuse(Reason::TooMany);
        }
        let Some(spacing) = Duration::from_secs(1).checked_div(self.limits.per_second) else {
            // No limit.
            self.open += 1;
            return Admission::Enter;
        };
        // A second's worth may come at once.
        let next = self.next.unwrap_or(now).max(now);
        let wait = (next - now).saturating_sub(Duration::from_secs(1).saturating_sub(spacing));
        if wait > PATIENCE {
            return Admission::Refuse(Reason::TooFast);
        }
        self.next = Some(next + spacing);
        self.open += 1;
        if wait.is_zero() { Admission::Enter } else { Admission::Wait(wait) }
    }

    /// A stream that was served has ended.
    pub(super) fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

/// The longest wait of a new stream. Well below the 15 s after which clients treat an unanswered resource as missing.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
