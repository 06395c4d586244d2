//! Concurrency limits of clusters (gRFC A32): the counts that all channels of a mesh share. A call is counted until its last
//! byte.

mod permits;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::config::{CallLimits, ClusterSettings, Name, RoutingPriority};
use crate::policy::circuit_breaker::InFlight;
use crate::policy::retry::RetryBudget;

use super::queue::{LimitedResource, RemainingCapacity};

pub(crate) use permits::{ConnectionLimit, CountedConnection, PendingCall};

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
#[derive(Debug)]
pub(crate) struct ClusterLoad {
    pub(crate) cluster: Name,
    default: PriorityLoad,
    /// `None` until there is a call of high priority.
    high: OnceLock<Box<PriorityLoad>>,
    /// Connections that count against a limit.
    connections: AtomicU32,
    /// The limits whose remainders metrics show.
    tracked: Mutex<Vec<(RoutingPriority, CallLimits)>>,
    /// Calls in flight that wait for room on a connection.
    queued: AtomicU32,
    /// Whether there was a call, if health checks or the load-balancing policy make the mesh look.
    is_used: AtomicBool,
}

/// The calls of one priority to a cluster.
///
/// Every active call is either in flight or waits for its next attempt; calls of both kinds may be retries.
#[derive(Debug, Default)]
pub(crate) struct PriorityLoad {
    pub(crate) in_flight: InFlight,
    /// Calls that wait for a connection or for room on one, if their number is limited.
    pending: AtomicU32,
    waiting: AtomicU32,
    retrying: AtomicU32,
}

impl ClusterLoad {
    fn new(cluster: Name) -> Self {
        Self {
            cluster,
            default: PriorityLoad::default(),
            high: OnceLock::new(),
            connections: AtomicU32::new(0),
            tracked: Mutex::default(),
            queued: AtomicU32::new(0),
            is_used: AtomicBool::new(false),
        }
    }

    /// The calls of a priority.
    #[inline(always)]
    pub(crate) fn of(&self, priority: RoutingPriority) -> &PriorityLoad {
        match priority {
            RoutingPriority::Default => &self.default,
            RoutingPriority::High => self.high(),
        }
    }

    #[cold]
    fn high(&self) -> &PriorityLoad {
        self.high.get_or_init(Box::default)
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

    /// Sets the limits whose remainders metrics show.
    // LB-28
    pub(crate) fn track(&self, limits: [(RoutingPriority, CallLimits); 2]) {
        let limits = limits.into_iter().filter(|(_, limits)| limits.track_remaining);
        *self.tracked.lock().unwrap_or_else(PoisonError::into_inner) = limits.collect();
    }

    /// What is left of the limits that are tracked.
    pub(crate) fn remaining(&self) -> Vec<RemainingCapacity> {
        let tracked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_priority = |(priority, limits): (RoutingPriority, CallLimits)| {
            let load = self.of(priority);
            // LB-28: not of a budget, whose size changes with the calls
            let retries = limits.retry_budget.filter(|budget| budget.percent == 0);
            let rows = [
                (LimitedResource::Requests, Some(limits.max_requests.0), load.in_flight.count()),
                (LimitedResource::Pending, limits.max_pending, load.pending.load(Ordering::Relaxed)),
                (LimitedResource::Connections, limits.max_connections, self.connections()),
                (
                    LimitedResource::Retries,
                    retries.map(|budget| budget.minimum),
                    load.retrying.load(Ordering::Relaxed),
                ),
            ];
            rows.map(|(resource, limit, used)| {
                let remaining = limit?.saturating_sub(used);
                Some(RemainingCapacity { cluster: self.cluster.clone(), priority, resource, remaining })
            })
        };
        tracked.into_iter().flat_map(of_priority).flatten().collect()
    }

    fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl PriorityLoad {
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
