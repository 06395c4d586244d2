//! A token bucket. Pure: time is an argument.

use std::time::Instant;

/// A token bucket, full at first.
#[derive(Debug)]
pub(crate) struct Bucket {
    left: f64,
    counted: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, burst: u32) -> Self {
        Self { left: f64::from(burst), counted: now }
    }

    /// Takes `cost`; `false` if there was not as much. It has at most `burst`, and gets `per_second` back.
    pub(crate) fn spend(&mut self, now: Instant, cost: u32, burst: u32, per_second: f64) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.left = (self.left + passed * per_second).min(f64::from(burst)) - f64::from(cost);
        self.left >= 0.0
    }
}
