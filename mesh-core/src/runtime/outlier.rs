//! What outlier detection does in the clusters of a mesh, for metrics and status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::{EndpointAddresses, Name};
use crate::policy::outlier::{EjectionCounts, EjectionReason};

/// What outlier detection does in the clusters of a mesh. The configuration source makes one and gives it to the mesh
/// ([`ConfigSource::ejections`](crate::runtime::ConfigSource::ejections)), which writes it; the source shows it in metrics
/// and status.
#[derive(Default)]
pub struct EjectionStore {
    counts: Arc<EjectionCounts>,
    clusters: Mutex<Clusters>,
}

#[derive(Default)]
struct Clusters {
    /// What is ejected now, by the number of the cluster's task.
    ejected: BTreeMap<u64, Vec<EjectedEndpoint>>,
    /// The next number.
    next: u64,
}

/// An endpoint of a cluster that gets no calls at the moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EjectedEndpoint {
    /// The cluster's name.
    pub cluster: Name,
    /// Which endpoint.
    pub addresses: EndpointAddresses,
    /// Since when.
    pub since: Instant,
    /// Why.
    pub reason: EjectionReason,
    /// How often it has been ejected of late: its time out of rotation grows with it.
    pub multiplier: u32,
}

impl EjectedEndpoint {
    /// An endpoint that is ejected for the first time.
    pub fn new(
        cluster: impl Into<Name>,
        addresses: EndpointAddresses,
        since: Instant,
        reason: EjectionReason,
    ) -> Self {
        Self { cluster: cluster.into(), addresses, since, reason, multiplier: 1 }
    }
}

impl EjectionStore {
    /// How often outliers were found, and what came of it, over all clusters that there have been.
    pub fn counts(&self) -> &Arc<EjectionCounts> {
        &self.counts
    }

    /// The endpoints that are ejected now, by cluster. Endpoints that several targets use are there once for each.
    pub fn ejected(&self) -> Vec<EjectedEndpoint> {
        let mut ejected: Vec<_> = self.lock().ejected.values().flatten().cloned().collect();
        ejected.sort_by(|a, b| (&a.cluster, a.addresses.first()).cmp(&(&b.cluster, b.addresses.first())));
        ejected
    }

    /// Begins to show a cluster.
    pub(crate) fn register(self: &Arc<Self>) -> ShownEjections {
        let mut clusters = self.lock();
        let number = clusters.next;
        clusters.next += 1;
        ShownEjections { store: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Clusters> {
        // Nothing that holds the lock can panic half way.
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EjectionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EjectionStore").field("ejected", &self.ejected()).finish_non_exhaustive()
    }
}

/// What is shown of one cluster. Dropping it takes the cluster away.
#[derive(Debug)]
pub(crate) struct ShownEjections {
    store: Arc<EjectionStore>,
    number: u64,
}

impl ShownEjections {
    /// These endpoints are ejected from now on, and no others.
    pub(crate) fn set(&self, ejected: Vec<EjectedEndpoint>) {
        let mut clusters = self.store.lock();
        if ejected.is_empty() {
            clusters.ejected.remove(&self.number);
        } else {
            clusters.ejected.insert(self.number, ejected);
        }
    }
}

impl Drop for ShownEjections {
    fn drop(&mut self) {
        self.set(Vec::new());
    }
}
