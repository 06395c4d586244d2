//! The requests to one locality of a cluster.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::sharded::Sharded;

use super::MetricSums;
use super::MetricTotals;

/// The requests to one locality of a cluster; each attempt of a call is a request.
#[derive(Debug, Default)]
pub(crate) struct LocalityCounts {
    requests: Sharded<RequestCounts>,
    /// Metrics that endpoints sent with their responses.
    pub metrics: MetricTotals,
}

/// The requests that the threads of one shard have sent, and those that ended on them. A request may end in another shard than
/// its own: only sums over all shards have a meaning.
#[derive(Debug, Default)]
struct RequestCounts {
    issued: AtomicI64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicI64,
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
        let requests = self.requests.own();
        requests.issued.fetch_add(1, Ordering::Relaxed);
        requests.in_progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request.
    pub(crate) fn end(&self, ending: Ending) {
        let requests = self.requests.own();
        let count = match ending {
            Ending::Success => &requests.succeeded,
            Ending::Failure => &requests.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        requests.in_progress.fetch_sub(1, Ordering::Relaxed);
    }

    /// Uncounts a request that was counted and then not sent.
    pub(crate) fn withdraw(&self) {
        let requests = self.requests.own();
        requests.issued.fetch_sub(1, Ordering::Relaxed);
        requests.in_progress.fetch_sub(1, Ordering::Relaxed);
    }

    /// TR-66: takes and resets the counts; `None` if all are zero.
    pub(super) fn take(&self) -> Option<LocalitySums> {
        let load = LocalitySums {
            issued: self.take_issued(),
            succeeded: self.take_sum(|requests| &requests.succeeded),
            failed: self.take_sum(|requests| &requests.failed),
            in_progress: self.in_progress(),
            metrics: self.metrics.take(),
        };
        (load != LocalitySums::default()).then_some(load)
    }

    /// A withdrawn request that an earlier report has counted is subtracted from later reports.
    fn take_issued(&self) -> u64 {
        let issued: i64 =
            self.requests.iter().map(|requests| requests.issued.swap(0, Ordering::Relaxed)).sum();
        u64::try_from(issued).unwrap_or_else(|_| {
            self.requests.own().issued.fetch_add(issued, Ordering::Relaxed);
            0
        })
    }

    fn take_sum(&self, count: fn(&RequestCounts) -> &AtomicU64) -> u64 {
        self.requests.iter().map(|requests| count(requests).swap(0, Ordering::Relaxed)).sum()
    }

    /// The sum may miss the start of a request whose end it has seen.
    fn in_progress(&self) -> u64 {
        let in_progress: i64 =
            self.requests.iter().map(|requests| requests.in_progress.load(Ordering::Relaxed)).sum();
        u64::try_from(in_progress).unwrap_or(0)
    }
}
