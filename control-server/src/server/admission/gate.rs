//! Decides on new streams. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::server::options::StreamLimits;

/// How many streams there are, and when the next may come.
#[derive(Debug)]
pub(super) struct Gate {
    limits: StreamLimits,
    open: usize,
    /// When a stream may come for which there is no burst left; in the past after a quiet time.
    next: Option<Instant>,
}

/// What becomes of a new stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is served; it has to [`leave`](Gate::leave).
    Enter,
    /// The same, after this time.
    Wait(Duration),
    /// It is not.
    Refuse(Reason),
}

/// Which limit has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    TooMany,
    TooFast,
}

impl Gate {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { limits, open: 0, next: None }
    }

    /// A stream comes.
    pub(super) fn arrive(&mut self, now: Instant) -> Verdict {
        if self.open >= self.limits.max_streams {
            return Verdict::Refuse(Reason::TooMany);
        }
        let Some(spacing) = Duration::from_secs(1).checked_div(self.limits.per_second) else {
            // No limit.
            self.open += 1;
            return Verdict::Enter;
        };
        // A second's worth may come at once.
        let next = self.next.unwrap_or(now).max(now);
        let wait = (next - now).saturating_sub(Duration::from_secs(1).saturating_sub(spacing));
        if wait > PATIENCE {
            return Verdict::Refuse(Reason::TooFast);
        }
        self.next = Some(next + spacing);
        self.open += 1;
        if wait.is_zero() { Verdict::Enter } else { Verdict::Wait(wait) }
    }

    /// A stream that was served has ended.
    pub(super) fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

/// Longest wait before a stream is served. Well below the 15 s after which clients take what is not answered for missing.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
