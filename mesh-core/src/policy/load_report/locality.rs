//! The requests to one locality of a cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use super::MetricSums;
use super::MetricTotals;

/// The requests to one locality of a cluster; each attempt of a call is a request.
#[derive(Debug, Default)]
pub(crate) struct LocalityCounts {
    issued: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicU64,
    /// Metrics that endpoints sent with their responses.
    pub metrics: MetricTotals,
}

/// The counts of one locality between two reports.
// TR-66
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct LocalitySums {
    /// Requests sent since the last report.
    pub issued: u64,
    /// Requests that succeeded since the last report.
    pub succeeded: u64,
    /// Requests that failed since the last report.
    pub failed: u64,
    /// Requests that have not ended, whenever they were sent.
    pub in_progress: u64,
    /// Metrics that endpoints sent with responses that ended since the last report.
    pub metrics: MetricSums,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The protocol's status for success.
    Success,
    /// Any other status, an error, or the caller dropped it.
    Failure,
}

impl LocalityCounts {
    /// Counts a request that is sent. Call [`end`](Self::end) once for each.
    pub(crate) fn start(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request.
    pub(crate) fn end(&self, ending: Ending) {
        let count = match ending {
            Ending::Success => &self.succeeded,
            Ending::Failure => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
    }

    /// Uncounts a request that was counted and then not sent.
    pub(crate) fn withdraw(&self) {
        self.issued.fetch_sub(1, Ordering::Relaxed);
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
    }

    /// TR-66: takes and resets the counts; `None` if all are zero.
    pub(super) fn take(&self) -> Option<LocalitySums> {
        let load = LocalitySums {
            issued: self.take_issued(),
            succeeded: self.succeeded.swap(0, Ordering::Relaxed),
            failed: self.failed.swap(0, Ordering::Relaxed),
            in_progress: self.in_progress.load(Ordering::Relaxed),
            metrics: self.metrics.take(),
        };
        (load != LocalitySums::default()).then_some(load)
    }

    /// A withdrawn request that an earlier report has counted is subtracted from later reports.
    fn take_issued(&self) -> u64 {
        let issued = self.issued.swap(0, Ordering::Relaxed);
        if issued.cast_signed() >= 0 {
            return issued;
        }
        self.issued.fetch_add(issued, Ordering::Relaxed);
        0
    }
}
