//! Decides on new streams. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::server::options::StreamLimits;

/// The number of streams, and when the next may start.
#[derive(Debug)]
pub(super) struct Gate {
    limits: StreamLimits,
    /// The time whose worth of streams may come at once.
    burst: Duration,
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
    /// Of one machine.
    TooManyOfMachine,
    /// On one connection.
    ConnectionTooFast,
}

impl Gate {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { limits, burst: Duration::from_secs(1), open: 0, next: None }
    }

    /// Limits only how fast streams come; `burst` times `per_second` of them may come at once.
    pub(super) fn of_rate(per_second: u32, burst: Duration) -> Self {
        Self { limits: StreamLimits { max_streams: usize::MAX, per_second }, burst, open: 0, next: None }
    }

    /// Whether a new stream would have to wait, or be refused for its haste.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        Duration::from_secs(1).checked_div(self.limits.per_second).is_some_and(|spacing| {
            let next = self.next.unwrap_or(now).max(now);
            next - now > self.burst.saturating_sub(spacing)
        })
    }

    /// Whether there are as many streams as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.open >= self.limits.max_streams
    }

    /// A new stream that another gate has let in, if there are not too many.
    pub(super) fn arrive_beside(&mut self) -> Admission {
        if self.is_full() {
            return Admission::Refuse(Reason::TooMany);
        }
        self.open += 1;
        Admission::Enter
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
        let wait = (next - now).saturating_sub(self.burst.saturating_sub(spacing));
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
