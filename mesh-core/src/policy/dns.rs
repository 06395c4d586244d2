//! When a DNS name is resolved (gRFC A37): first at once, then only when connections fail, at most once per interval.
//!
//! ```text
//!              start                      on_answered
//!   WANTED -------------->  RESOLVING ------------------->  KNOWN
//!     ^  ^                      |                             |
//!     |  +---- on_failed -------+                             |
//!     +-------------------- request --------------------------+
//! ```
//!
//! WANTED waits: the interval after an answer, the backoff after a failure.

use std::time::{Duration, Instant};

use rand::Rng;

use super::backoff::{Backoff, BackoffSettings};

/// When one DNS name is resolved.
#[derive(Debug)]
pub(crate) struct Resolution {
    interval: Duration,
    phase: ResolutionPhase,
    /// No resolution before then.
    earliest: Option<Instant>,
    backoff: Backoff,
}

#[derive(Debug, PartialEq, Eq)]
enum ResolutionPhase {
    Wanted,
    /// `again`: there was a request that this resolution may not have seen.
    Resolving {
        again: bool,
    },
    Known,
}

impl Resolution {
    /// A name that has never been resolved and is wanted now; afterwards at most once per `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, phase: ResolutionPhase::Wanted, earliest: None, backoff: Backoff::default() }
    }

    /// A connection failed or was lost: the addresses may be out of date.
    pub(crate) fn request(&mut self) {
        match &mut self.phase {
            ResolutionPhase::Known => self.phase = ResolutionPhase::Wanted,
            ResolutionPhase::Resolving { again } => *again = true,
            ResolutionPhase::Wanted => {}
        }
    }

    /// Whether the caller has to resolve the name now. It then calls [`on_answered`](Self::on_answered) or
    /// [`on_failed`](Self::on_failed).
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        let due =
            self.phase == ResolutionPhase::Wanted && self.earliest.is_none_or(|earliest| earliest <= now);
        if due {
            self.phase = ResolutionPhase::Resolving { again: false };
        }
        due
    }

    /// The addresses are known.
    pub(crate) fn on_answered(&mut self, now: Instant) {
        let again = matches!(self.phase, ResolutionPhase::Resolving { again: true });
        self.phase = if again { ResolutionPhase::Wanted } else { ResolutionPhase::Known };
        self.backoff = Backoff::default();
        // LB-06: at most one resolution per interval.
        self.earliest = Some(now + self.interval);
    }

    /// There was no answer: resolve again after a backoff. Addresses that were known before stay in use.
    pub(crate) fn on_failed(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.phase = ResolutionPhase::Wanted;
        self.earliest = Some(now + self.backoff.next(&BackoffSettings::default(), rng));
    }

    /// When to call [`start`](Self::start), if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.earliest.filter(|_| self.phase == ResolutionPhase::Wanted)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn resolves_once_and_then_on_request_but_not_more_often_than_the_interval() {
        let start = Instant::now();
        let mut resolution = Resolution::new(INTERVAL);
        assert!(resolution.start(start));
        assert!(!resolution.start(start), "one at a time");
        resolution.on_answered(start);
        assert_eq!(resolution.next_deadline(), None, "no polling");

        let soon = start + Duration::from_secs(1);
        resolution.request();
        assert!(!resolution.start(soon));
        assert_eq!(resolution.next_deadline(), Some(start + INTERVAL));
        assert!(resolution.start(start + INTERVAL));
        resolution.request();
        resolution.on_answered(start + INTERVAL);
        assert_eq!(resolution.next_deadline(), Some(start + INTERVAL * 2), "a request meanwhile counts");
    }

    #[test]
    fn failures_back_off_and_an_answer_resets_them() {
        let mut now = Instant::now();
        let mut rng = StdRng::seed_from_u64(7);
        let mut resolution = Resolution::new(INTERVAL);
        for nominal in [1.0, 1.6, 2.56] {
            assert!(resolution.start(now));
            resolution.on_failed(now, &mut rng);
            assert!(!resolution.start(now));
            let pause = resolution.next_deadline().unwrap() - now;
            assert!((nominal * 0.8..=nominal * 1.2).contains(&pause.as_secs_f64()), "{pause:?}");
            now += pause;
        }
        assert!(resolution.start(now));
        resolution.on_answered(now);
        now += INTERVAL;
        resolution.request();
        assert!(resolution.start(now));
        resolution.on_failed(now, &mut rng);
        assert!(resolution.next_deadline().unwrap() <= now + Duration::from_millis(1_200));
    }
}
