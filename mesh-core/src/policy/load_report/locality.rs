//! The requests to one locality of a cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use super::MetricSums;
use super::MetricTotals;

/// The requests to one locality of a cluster, each attempt of a call being one.
#[derive(Debug, Default)]
pub struct LocalityCounts {
    issued: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicU64,
    /// What endpoints sent with their responses.
    pub metrics: MetricTotals,
}

/// What happened in one locality between two reports (TR-66).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LocalitySums {
    /// Sent since the last report.
    pub issued: u64,
    /// Ended well since then.
    pub succeeded: u64,
    /// Ended otherwise since then.
    pub failed: u64,
    /// Sent whenever and not ended by now.
    pub in_progress: u64,
    /// What endpoints sent with responses that ended since then.
    pub metrics: MetricSums,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the protocol's success.
    Success,
    /// With any other status, with an error, or because the caller gave it up.
    Failure,
}

impl LocalityCounts {
    /// A request is sent. Each is followed by one [`end`](Self::end).
    pub fn start(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that was sent has ended.
    pub fn end(&self, ending: Ending) {
        let count = match ending {
            Ending::Success => &self.succeeded,
            Ending::Failure => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
    }

    /// TR-66: `None` where nothing happened and nothing is in progress.
    pub(super) fn take(&self) -> Option<LocalitySums> {
        let load = LocalitySums {
            issued: self.issued.swap(0, Ordering::Relaxed),
            succeeded: self.succeeded.swap(0, Ordering::Relaxed),
            failed: self.failed.swap(0, Ordering::Relaxed),
            in_progress: self.in_progress.load(Ordering::Relaxed),
            metrics: self.metrics.take(),
        };
        (load != LocalitySums::default()).then_some(load)
    }
}
