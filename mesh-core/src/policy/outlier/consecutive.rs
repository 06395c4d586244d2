//! Failures in a row.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Failures in a row of one kind, and how many are too many.
#[derive(Debug, Default)]
pub(super) struct ConsecutiveFailures {
    length: AtomicU32,
    /// 0 is off.
    threshold: AtomicU32,
    /// The threshold was reached, and [`take`](Self::take) has not been called since.
    is_reached: AtomicBool,
}

impl ConsecutiveFailures {
    pub(super) fn set_threshold(&self, threshold: u32) {
        self.threshold.store(threshold, Ordering::Relaxed);
        if threshold == 0 {
            self.reset();
        }
    }

    /// Counts one failure. `true` if the threshold is reached and [`take`](Self::take) has been called since it was reached
    /// before.
    pub(super) fn grow(&self) -> bool {
        let threshold = self.threshold.load(Ordering::Relaxed);
        if threshold == 0 {
            return false;
        }
        // The row starts at zero again when it reaches the threshold, so that the detector does not have to reset it in
        // time: every further `threshold` failures reach it again.
        let longer = |length: u32| Some(if length + 1 >= threshold { 0 } else { length + 1 });
        let before = self.length.fetch_update(Ordering::Relaxed, Ordering::Relaxed, longer);
        before.is_ok_and(|length| length + 1 >= threshold) && !self.is_reached.swap(true, Ordering::Relaxed)
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
        self.is_reached.swap(false, Ordering::Relaxed)
    }

    /// Clears the row.
    pub(super) fn reset(&self) {
        self.length.store(0, Ordering::Relaxed);
        self.is_reached.store(false, Ordering::Relaxed);
    }

    pub(super) fn threshold(&self) -> u32 {
        self.threshold.load(Ordering::Relaxed)
    }
}
