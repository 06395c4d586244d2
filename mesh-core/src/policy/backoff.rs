//! Exponential waits with jitter: between connection attempts, streams to a control server, DNS queries and retries.

use std::time::Duration;

use rand::{Rng, RngExt};

/// How long to wait between attempts that fail. The default is gRPC's connection backoff: 1 s, times 1.6 each time, at most
/// 120 s, all ±20 %.
// LB-74, TR-25
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffSettings {
    /// The first wait; at most a year.
    pub initial: Duration,
    /// Each wait is this many times the one before, 1 to 1000; a value out of this range counts as the nearer end.
    pub multiplier: f64,
    /// The share by which a wait is made longer or shorter at random, 0 to 1; a value out of this range counts as the nearer
    /// end.
    pub jitter: f64,
    /// The longest wait, before jitter; at most a year.
    pub max: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), multiplier: 1.6, jitter: 0.2, max: Duration::from_secs(120) }
    }
}

impl BackoffSettings {
    /// The default's growth and jitter between these waits.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, ..Self::default() }
    }

    /// The same settings with every value in its range; a value that is not a number is the default's. No sum of an instant
    /// and a wait of these settings overflows.
    #[must_use]
    pub fn bounded(self) -> Self {
        let number = |value: f64, default: f64| if value.is_nan() { default } else { value };
        let default = Self::default();
        Self {
            initial: self.initial.min(YEAR),
            multiplier: number(self.multiplier, default.multiplier).clamp(1.0, MAX_MULTIPLIER),
            jitter: number(self.jitter, default.jitter).clamp(0.0, 1.0),
            max: self.max.min(YEAR),
        }
    }
}

/// A series of growing waits. The default has not started; a success replaces the series with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    next: Option<Duration>,
}

impl Backoff {
    /// The next wait. Jitter may make it longer than the maximum.
    pub fn next(&mut self, settings: &BackoffSettings, rng: &mut dyn Rng) -> Duration {
        let BackoffSettings { initial, multiplier, jitter, max } = settings.bounded();
        let wait = self.next.unwrap_or(initial).min(max);
        self.next = Some(wait.mul_f64(multiplier));
        wait.mul_f64(rng.random_range(1.0 - jitter..=1.0 + jitter))
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A year times this is still a duration.
const MAX_MULTIPLIER: f64 = 1_000.0;
