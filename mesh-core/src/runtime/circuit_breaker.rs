//! Concurrency limits of clusters (gRFC A32): the counts that all channels of a mesh share. A call is counted until its last
//! byte.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::{ClusterSettings, Name};
use crate::policy::circuit_breaker::InFlight;
use crate::policy::retry::RetryBudget;

/// The counts of a mesh's clusters by `{cluster, EDS service name}`, whatever channel or target uses them (LB-23).
///
/// A count exists as long as a configuration or a call refers to it, so that a cluster that is removed and added again still
/// counts its running calls.
#[derive(Debug, Default)]
pub(crate) struct LoadRegistry(Mutex<HashMap<(Name, Name), Weak<ClusterLoad>>>);

impl LoadRegistry {
    pub(crate) fn load(&self, settings: &ClusterSettings) -> Arc<ClusterLoad> {
        let mut loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (settings.name.clone(), settings.service_name.clone());
        if let Some(load) = loads.get(&key).and_then(Weak::upgrade) {
            return load;
        }
        if loads.len() == loads.capacity() {
            loads.retain(|_, load| load.strong_count() > 0);
        }
        let load = Arc::new(ClusterLoad::new(settings.name.clone()));
        loads.insert(key, Arc::downgrade(&load));
        load
    }

    /// All counts that something refers to.
    pub(crate) fn loads(&self) -> Vec<Arc<ClusterLoad>> {
        let loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loads.values().filter_map(Weak::upgrade).collect()
    }
}

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
    /// Whether there was a call, if health checks or the load-balancing policy make the mesh look.
    is_used: AtomicBool,
}

impl ClusterLoad {
    fn new(cluster: Name) -> Self {
        Self {
            cluster,
            in_flight: InFlight::default(),
            waiting: AtomicU32::new(0),
            retrying: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            is_used: AtomicBool::new(false),
        }
    }

    /// There is a call.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was a call.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::LoadRegistry;
    use crate::config::{ClusterSettings, MaxRequests};
    use crate::policy::retry::RetryBudget;

    /// Proves: LB-23, LB-24.
    #[test]
    fn clusters_share_a_count_by_cluster_and_service_name() {
        let registry = LoadRegistry::default();
        let settings = ClusterSettings::new("a");
        let other_service = ClusterSettings { service_name: "b".into(), ..settings.clone() };
        let first = registry.load(&settings);
        let limit = MaxRequests(2);
        assert!(first.in_flight.enter(limit));
        assert!(registry.load(&settings).in_flight.enter(limit));
        assert!(!first.in_flight.enter(limit), "as many as the limit");
        assert!(registry.load(&other_service).in_flight.enter(limit));
        first.in_flight.leave();
        assert!(first.in_flight.enter(limit));
    }

    #[test]
    fn count_outlives_its_cluster_while_calls_run() {
        let registry = LoadRegistry::default();
        let settings = ClusterSettings::new("a");
        let call = registry.load(&settings);
        assert!(call.in_flight.enter(MaxRequests(1)));
        assert!(!registry.load(&settings).in_flight.enter(MaxRequests(1)));
        let load = Arc::downgrade(&call);
        drop(call);
        assert!(load.upgrade().is_none());
    }

    #[test]
    fn retries_that_wait_count_against_the_budget() {
        let registry = LoadRegistry::default();
        let load = registry.load(&ClusterSettings::new("a"));
        let budget = RetryBudget::default();
        assert!((0..3).all(|_| load.start_retry(budget)));
        assert!(!load.start_retry(budget));
        load.send_retry();
        assert!(!load.start_retry(budget), "an attempt that runs is still a retry");
        load.end_retry();
        assert!(load.start_retry(budget));
    }
}
