//! Exponential pauses with jitter (LB-74).

use std::time::Duration;

use rand::{Rng, RngExt};

use super::BackoffSettings;

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
