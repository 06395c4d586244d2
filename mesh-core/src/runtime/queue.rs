//! How many calls wait for room on connections, for metrics and status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::config::Name;

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

impl QueueStore {
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
