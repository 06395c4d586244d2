//! The counts of one cluster.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::Name;
use crate::policy::circuit_breaker::InFlight;
use crate::policy::retry::RetryBudget;

/// The calls of one cluster, over all channels of a mesh.
///
/// Every active call is either in flight or waits for its next attempt; calls of both kinds may be retries.
#[derive(Debug)]
pub(crate) struct ClusterLoad {
    pub(crate) cluster: Name,
    pub(crate) in_flight: InFlight,
    waiting: AtomicU32,
    retrying: AtomicU32,
    /// Calls in flight that wait for room on a connection.
    queued: AtomicU32,
}

impl ClusterLoad {
    pub(super) fn new(cluster: Name) -> Self {
        Self {
            cluster,
            in_flight: InFlight::default(),
            waiting: AtomicU32::new(0),
            retrying: AtomicU32::new(0),
            queued: AtomicU32::new(0),
        }
    }

    /// A call begins to wait for room on a connection.
    pub(crate) fn enter_queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// It waits no more.
    pub(crate) fn leave_queue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many calls wait for room on a connection.
    pub(crate) fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Counts a call as waiting for a retry, if the budget has room for it.
    pub(crate) fn start_retry(&self, budget: RetryBudget) -> bool {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        let active = self.in_flight.count().saturating_add(waiting);
        if budget.allows(active, self.retrying.fetch_add(1, Ordering::Relaxed)) {
            return true;
        }
        self.send_retry();
        self.end_retry();
        false
    }

    /// The wait of a retry is over: the call counts as in flight.
    pub(crate) fn send_retry(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts the end of a retry.
    pub(crate) fn end_retry(&self) {
        self.retrying.fetch_sub(1, Ordering::Relaxed);
    }
}
