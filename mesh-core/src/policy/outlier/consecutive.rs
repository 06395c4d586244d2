//! Failures in a row.

use std::sync::atomic::{AtomicU32, Ordering};

/// Failures in a row of one kind, and how many are too many.
#[derive(Debug, Default)]
pub(super) struct ConsecutiveFailures {
    length: AtomicU32,
    /// The threshold; 0 is off. The bit [`REACHED`] says that it was reached and that [`take`](Self::take) has not been called
    /// since.
    threshold: AtomicU32,
}

const REACHED: u32 = 1 << 31;

impl ConsecutiveFailures {
    pub(super) fn set_threshold(&self, threshold: u32) {
        let replace = |before| Some((before & REACHED) | threshold.min(REACHED - 1));
        let _ = self.threshold.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
        if threshold == 0 {
            self.reset();
        }
    }

    /// Counts one failure. `true` if the threshold is reached and [`take`](Self::take) has been called since it was reached
    /// before.
    pub(super) fn grow(&self) -> bool {
        let threshold = self.threshold();
        if threshold == 0 {
            return false;
        }
        // The row starts at zero again when it reaches the threshold, so that the detector does not have to reset it in
        // time: every further `threshold` failures reach it again.
        let longer = |length: u32| Some(if length + 1 >= threshold { 0 } else { length + 1 });
        let before = self.length.fetch_update(Ordering::Relaxed, Ordering::Relaxed, longer);
        before.is_ok_and(|length| length + 1 >= threshold)
            && self.threshold.fetch_or(REACHED, Ordering::Relaxed) & REACHED == 0
    }

    /// A call succeeded: the row ends.
    pub(super) fn end(&self) {
        // Written only if it changes: otherwise threads that share an endpoint would take the cache line from each other.
        if self.length.load(Ordering::Relaxed) != 0 {
            self.length.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the threshold was reached since the last call of this function.
    pub(super) fn take(&self) -> bool {
        self.threshold.fetch_and(!REACHED, Ordering::Relaxed) & REACHED != 0
    }

    /// Clears the row.
    pub(super) fn reset(&self) {
        self.length.store(0, Ordering::Relaxed);
        self.threshold.fetch_and(!REACHED, Ordering::Relaxed);
    }

    pub(super) fn threshold(&self) -> u32 {
        self.threshold.load(Ordering::Relaxed) & !REACHED
    }
}
