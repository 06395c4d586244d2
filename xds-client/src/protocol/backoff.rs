//! How long to wait before the next stream.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Exponential waits with jitter. The default is gRPC's: 1 s, times 1.6 each time, at most 120 s, all ±20 % (TR-25).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffPolicy {
    /// The first wait.
    pub initial: Duration,
    /// Each wait is this many times the one before.
    pub multiplier: f64,
    /// The share by which a wait is made longer or shorter at random, 0 to 1.
    pub jitter: f64,
    /// The longest wait, before jitter.
    pub max: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), multiplier: 1.6, jitter: 0.2, max: Duration::from_secs(120) }
    }
}

/// A run of waits.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    policy: BackoffPolicy,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(policy: BackoffPolicy) -> Self {
        Self { policy, next: policy.initial }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.policy.initial;
    }

    pub(crate) fn initial(&self) -> Duration {
        self.policy.initial
    }

    pub(crate) fn next(&mut self, rng: &mut dyn Rng) -> Duration {
        let wait = self.next.min(self.policy.max);
        self.next = wait.mul_f64(self.policy.multiplier.max(1.0)).min(self.policy.max);
        let jitter = self.policy.jitter.clamp(0.0, 1.0);
        wait.mul_f64(rng.random_range(1.0 - jitter..=1.0 + jitter))
    }
}
