//! The attempts of a call so far.

use std::sync::Arc;

use tokio::time::Instant;

use crate::observe::{AttemptCounts, AttemptTrace, CallPlace};

/// The attempts of a call so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The attempt that has no endpoint yet; `None`: there is none.
    pub(super) picking: Option<Picking>,
    pub(super) next_is_transparent: bool,
    pub(super) counts: AttemptCounts,
    /// Where the last attempt that has ended was sent.
    pub(super) place: Option<CallPlace>,
    /// How many have begun and not ended.
    running: u32,
    /// Since when none runs; `None`: one does, or there has been none.
    idle_since: Option<Instant>,
}

/// An attempt without an endpoint.
#[derive(Debug)]
pub(super) struct Picking {
    pub(super) began: Instant,
    /// How often it has looked for an endpoint.
    pub(super) picks: u32,
    pub(super) traces: Vec<Arc<dyn AttemptTrace>>,
}

/// Why an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptKind {
    First,
    Retry,
    Transparent,
    Hedge,
}

impl History {
    /// Whether there is an attempt without an endpoint, which looks for one once more.
    pub(super) fn pick_again(&mut self) -> bool {
        match &mut self.picking {
            None => false,
            Some(picking) => {
                picking.picks += 1;
                true
            }
        }
    }

    /// An attempt begins. Returns why, and how many there have been before, without transparent retries.
    pub(super) fn begin(&mut self, now: Instant, is_hedged: bool) -> (AttemptKind, u32) {
        if let Some(since) = self.idle_since.take() {
            self.counts.delay += now.saturating_duration_since(since);
        }
        self.running += 1;
        let is_transparent = std::mem::take(&mut self.next_is_transparent);
        let (kind, counted) = match (self.counts.attempts, is_transparent, is_hedged) {
            (0, ..) => (AttemptKind::First, None),
            (_, true, _) => (AttemptKind::Transparent, Some(&mut self.counts.transparent_retries)),
            (_, false, false) => (AttemptKind::Retry, Some(&mut self.counts.retries)),
            (_, false, true) => (AttemptKind::Hedge, Some(&mut self.counts.hedges)),
        };
        if let Some(counted) = counted {
            *counted += 1;
        }
        self.counts.attempts += 1;
        (kind, self.counts.retries + self.counts.hedges)
    }

    /// An attempt has ended.
    pub(super) fn end(&mut self, now: Instant) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.idle_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn delay_is_the_time_in_which_no_attempt_runs() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut history = History::default();
        assert_eq!(history.begin(start, false), (AttemptKind::First, 0));
        history.end(start + second);
        assert_eq!(history.begin(start + 3 * second, false), (AttemptKind::Retry, 1));
        history.next_is_transparent = true;
        history.end(start + 4 * second);
        assert_eq!(history.begin(start + 4 * second, false), (AttemptKind::Transparent, 1));
        // the time after the last attempt is not waited for another one
        history.end(start + 5 * second);
        let AttemptCounts { attempts, retries, transparent_retries, hedges, delay } = history.counts;
        assert_eq!((attempts, retries, transparent_retries, hedges, delay), (3, 1, 1, 0, 2 * second));
    }

    #[test]
    fn attempts_that_run_at_the_same_time_leave_no_delay() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut history = History::default();
        history.begin(start, true);
        assert_eq!(history.begin(start + second, true), (AttemptKind::Hedge, 1));
        history.end(start + second);
        assert_eq!(history.begin(start + 2 * second, true), (AttemptKind::Hedge, 2));
        assert_eq!((history.counts.hedges, history.counts.delay), (2, Duration::ZERO));
    }
}
