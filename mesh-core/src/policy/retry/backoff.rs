//! The waits between attempts.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::config::RetryBackoff;

/// A series of growing waits: `min(initial * 2^(n-1), max)`, times a random factor of 0.8 to 1.2 (RT-41).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    settings: RetryBackoff,
    next: Duration,
}

impl Backoff {
    /// A series that starts at the initial wait.
    pub(crate) fn new(settings: RetryBackoff) -> Self {
        Self { settings, next: settings.initial }
    }

    /// The next wait. Jitter may make it longer than the maximum.
    pub(crate) fn next(&mut self, rng: &mut dyn Rng) -> Duration {
        let wait = self.next.min(self.settings.max);
        // RT-40: the multiplier is 2
        self.next = wait.saturating_mul(2);
        wait.mul_f64(rng.random_range(0.8..=1.2))
    }

    /// Starts again at the initial wait.
    pub(crate) fn restart(&mut self) {
        self.next = self.settings.initial;
    }
}
