//! How long to wait before the next stream.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::settings::bounded;

/// Exponential waits with jitter. The default is gRPC's: 1 s, times 1.6 each time, at most 120 s, all ±20 %.
// TR-25
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BackoffPolicy {
    /// The first wait.
    pub initial: Duration,
    /// Each wait is this many times the one before, 1 to 1000; beyond them as the nearer one.
    pub multiplier: f64,
    /// The share by which a wait is made longer or shorter at random, 0 to 1; beyond them as the nearer one.
    pub jitter: f64,
    /// The longest wait, before jitter; at most a year.
    pub max: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), multiplier: 1.6, jitter: 0.2, max: Duration::from_secs(120) }
    }
}

impl BackoffPolicy {
    /// The default's growth and jitter between these waits.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, ..Self::default() }
    }

    /// With numbers that can be multiplied; what is no number at all is the default's.
    fn bounded(self) -> Self {
        let number =
            |value: f64, default: f64, most: f64| if value.is_nan() { default } else { value.min(most) };
        let default = Self::default();
        Self {
            initial: bounded(self.initial),
            multiplier: number(self.multiplier, default.multiplier, MAX_MULTIPLIER).max(1.0),
            jitter: number(self.jitter, default.jitter, 1.0).max(0.0),
            max: bounded(self.max),
        }
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
        let policy = policy.bounded();
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
        self.next = wait.mul_f64(self.policy.multiplier).min(self.policy.max);
        let jitter = self.policy.jitter;
        wait.mul_f64(rng.random_range(1.0 - jitter..=1.0 + jitter))
    }
}

/// A year times this is still a duration.
const MAX_MULTIPLIER: f64 = 1_000.0;
