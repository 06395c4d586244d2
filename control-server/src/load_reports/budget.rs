//! How often a client may report. Pure: time is an argument.

use std::time::{Duration, Instant};

use super::limits::{BURST, PER_INTERVAL};
use super::refusal::Refusal;

/// The requests that a client has left.
#[derive(Debug)]
pub(super) struct Budget {
    interval: Duration,
    left: f64,
    counted: Instant,
}

impl Budget {
    /// Of a client that is told to report once per `interval`.
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self { interval, left: f64::from(BURST), counted: now }
    }

    /// Counts a request.
    pub(super) fn spend(&mut self, now: Instant) -> Result<(), Refusal> {
        let passed = now.saturating_duration_since(self.counted).div_duration_f64(self.interval);
        self.counted = now;
        self.left = (self.left + passed * f64::from(PER_INTERVAL)).min(f64::from(BURST)) - 1.0;
        match self.left >= 0.0 {
            true => Ok(()),
            false => Err(Refusal::Requests { interval: self.interval }),
        }
    }
}
