//! How often a lasting trouble is worth a line in the log.

use std::time::{Duration, Instant};

/// Warnings about one trouble: at most one in ten seconds, so that a long outage does not fill a log.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    last: Option<Instant>,
}

impl Warnings {
    /// Whether to warn now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now >= last + QUIET);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

const QUIET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario 31.
    #[test]
    fn there_is_one_warning_in_ten_seconds() {
        let (mut warnings, began) = (Warnings::default(), Instant::now());
        let due = [0, 1, 3, 9, 10, 11, 20, 300].map(|at| warnings.is_due(began + Duration::from_secs(at)));
        assert_eq!(due, [true, false, false, false, true, false, true, true]);
    }
}
