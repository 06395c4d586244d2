//! How an endpoint's connection is made.

use std::time::Duration;

use rand::{Rng, RngExt};

/// How an endpoint's connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The pause between failed passes over the addresses.
    pub backoff: BackoffSettings,
    /// How long an attempt may take at least; 20 s.
    pub connect_timeout: ConnectTimeout,
    /// How long one address is tried alone before the next one is tried beside it; 250 ms.
    pub attempt_delay: AttemptDelay,
}

/// gRPC's connection backoff: exponential, with jitter.
// LB-74
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BackoffSettings {
    /// From the beginning of the first failed pass to the beginning of the next; 1 s.
    pub initial: Duration,
    /// How much longer each further pause is; 1.6. Less than 1 counts as 1.
    pub multiplier: f64,
    /// How far a pause may be from its nominal length, as a share of it; 0.2. At most 1.
    pub jitter: f64,
    /// The longest nominal pause; 120 s.
    pub max: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), multiplier: 1.6, jitter: 0.2, max: Duration::from_secs(120) }
    }
}

/// How long an attempt may take at least. A longer backoff gives it more time.
// LB-74
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectTimeout(pub Duration);

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(20))
    }
}

/// The connection attempt delay of happy eyeballs (RFC 8305), from 100 ms to 2 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptDelay(Duration);

impl AttemptDelay {
    /// A delay, moved into the allowed range.
    // LB-69
    pub fn new(delay: Duration) -> Self {
        Self(delay.clamp(Duration::from_millis(100), Duration::from_secs(2)))
    }

    /// The delay.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for AttemptDelay {
    /// 250 ms.
    fn default() -> Self {
        Self(Duration::from_millis(250))
    }
}

/// The current length of a backoff. The default is a backoff that has not started; a success resets to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The next pause.
    pub(crate) fn next(&mut self, settings: &BackoffSettings, rng: &mut dyn Rng) -> Duration {
        let nominal = match self.last {
            None => settings.initial,
            // In f64 and saturating: no setting can overflow a Duration.
            Some(last) => Duration::try_from_secs_f64(last.as_secs_f64() * settings.multiplier.max(1.0))
                .unwrap_or(Duration::MAX),
        }
        .min(settings.max);
        self.last = Some(nominal);
        // `max` also turns a NaN into a number.
        let jitter = settings.jitter.max(0.0).clamp(0.0, 1.0);
        let factor = rng.random_range(1.0 - jitter..=1.0 + jitter);
        Duration::try_from_secs_f64(nominal.as_secs_f64() * factor).unwrap_or(nominal)
    }
}
