//! How many calls wait for room on connections, and what is left of limits, for metrics and status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::config::{Name, RoutingPriority};

use super::circuit_breaker::LoadRegistry;

/// How many calls wait for room on connections, by cluster. The configuration source makes one and gives it to the mesh
/// ([`ConfigSource::queues`](crate::runtime::ConfigSource::queues)), which counts; the source shows it in metrics and status.
#[derive(Default)]
pub struct QueueStore(Mutex<Vec<Weak<LoadRegistry>>>);

/// The calls of a cluster that wait because all connections to their endpoints are full.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuedCalls {
    /// The cluster's name.
    pub cluster: Name,
    /// How many there are now.
    pub calls: u64,
}

impl QueuedCalls {
    /// So many calls of a cluster.
    pub fn new(cluster: impl Into<Name>, calls: u64) -> Self {
        Self { cluster: cluster.into(), calls }
    }
}

/// What a cluster's limit leaves room for, if its `track_remaining` is on.
// LB-28
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemainingCapacity {
    /// The cluster's name.
    pub cluster: Name,
    /// The priority of the calls.
    pub priority: RoutingPriority,
    /// What is limited.
    pub resource: LimitedResource,
    /// How many more there may be now.
    pub remaining: u32,
}

impl RemainingCapacity {
    /// Room for so many of a cluster's calls of default priority.
    pub fn of_requests(cluster: impl Into<Name>, remaining: u32) -> Self {
        let (priority, resource) = (RoutingPriority::Default, LimitedResource::Requests);
        Self { cluster: cluster.into(), priority, resource, remaining }
    }
}

/// What a circuit breaker limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LimitedResource {
    /// Calls in flight.
    Requests,
    /// Calls that wait for a connection or for room on one.
    Pending,
    /// Connections.
    Connections,
    /// Calls in a retry.
    Retries,
}

impl LimitedResource {
    /// As in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pending => "pending",
            Self::Connections => "connections",
            Self::Retries => "retries",
        }
    }
}

impl QueueStore {
    /// What is left of the limits of clusters with `track_remaining`. Takes time linear in the number of clusters.
    pub fn remaining(&self) -> Vec<RemainingCapacity> {
        let registries: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let mut remaining: Vec<_> = registries
            .iter()
            .flat_map(|registry| registry.loads())
            .flat_map(|load| load.remaining())
            .collect();
        remaining
            .sort_by(|a, b| (&a.cluster, a.priority, a.resource).cmp(&(&b.cluster, b.priority, b.resource)));
        remaining
    }

    /// Every cluster in use by name, most of them with no call that waits. Takes time linear in their number.
    pub fn clusters(&self) -> Vec<QueuedCalls> {
        let mut sums: BTreeMap<Name, u64> = BTreeMap::new();
        for registry in self.lock().iter().filter_map(Weak::upgrade) {
            for load in registry.loads() {
                *sums.entry(load.cluster.clone()).or_default() += u64::from(load.queued());
            }
        }
        sums.into_iter().map(|(cluster, calls)| QueuedCalls { cluster, calls }).collect()
    }

    /// Shows the clusters of one more mesh.
    pub(crate) fn add(&self, loads: &Arc<LoadRegistry>) {
        let mut registries = self.lock();
        registries.retain(|registry| registry.strong_count() > 0);
        registries.push(Arc::downgrade(loads));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<LoadRegistry>>> {
        // Nothing that holds the lock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for QueueStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueStore").field(&self.clusters()).finish()
    }
}
