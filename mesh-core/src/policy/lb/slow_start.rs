//! How the weight of an endpoint grows after it has become ready (gRFC A100, Envoy's slow start).

use std::time::{Duration, Instant};

use crate::config::SlowStart;

impl SlowStart {
    /// LB-51: the part of its weight that an endpoint has; `None`: it has all of it.
    pub(super) fn factor(&self, now: Instant, ready_since: Instant) -> Option<f64> {
        let ready_for = now.saturating_duration_since(ready_since);
        if ready_for >= self.window {
            return None;
        }
        let grown = ready_for.max(LEAST_TIME).as_secs_f64() / self.window.as_secs_f64();
        let least = (self.min_weight_percent / 100.0).clamp(0.0, 1.0);
        // The exponent of an aggression near 0 is infinite, which leaves the least part.
        let factor = grown.min(1.0).powf(1.0 / self.aggression).max(least);
        Some(if factor.is_nan() { 1.0 } else { factor })
    }

    /// How often the weights of endpoints are computed while they grow.
    pub(super) fn step(&self) -> Duration {
        (self.window / 100).clamp(SHORTEST_STEP, LONGEST_STEP)
    }
}

/// LB-51: an endpoint counts as ready for at least this long.
const LEAST_TIME: Duration = Duration::from_secs(1);
const SHORTEST_STEP: Duration = Duration::from_millis(100);
const LONGEST_STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_grows_by_the_formula_of_envoy() {
        let minute = Duration::from_secs(60);
        let rows = [
            // aggression, least percent, seconds, part in thousandths
            (1.0, 10.0, 0, 100),
            (1.0, 10.0, 6, 100),
            (1.0, 10.0, 15, 250),
            (1.0, 10.0, 30, 500),
            (1.0, 10.0, 59, 983),
            (1.0, 10.0, 60, 1_000),
            (1.0, 0.0, 0, 17),
            (2.0, 10.0, 15, 500),
            (0.5, 0.0, 30, 250),
            (1e-30, 10.0, 59, 100),
            (1e-30, 0.0, 59, 0),
            (1.0, 100.0, 0, 1_000),
        ];
        let begin = Instant::now();
        for (aggression, min_weight_percent, seconds, expected) in rows {
            let slow_start = SlowStart { window: minute, aggression, min_weight_percent };
            let factor = slow_start.factor(begin + Duration::from_secs(seconds), begin).unwrap_or(1.0);
            assert_eq!((factor * 1_000.0).round() as i64, expected, "{slow_start:?} after {seconds} s");
        }
        let short = SlowStart::new(Duration::from_millis(10));
        assert_eq!(short.factor(begin, begin), Some(1.0), "a window below the least time");
    }
}
