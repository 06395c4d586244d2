//! The endpoints that get no calls, in the clusters of a mesh, for metrics and status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::{EndpointAddresses, Name};
use crate::policy::outlier::{EjectionCounts, EjectionReason};

/// The ejections of outlier detection, and the failed health checks, in the clusters of a mesh. The configuration source makes the store and gives it to the
/// mesh ([`ConfigSource::ejections`](crate::runtime::ConfigSource::ejections)), which writes it; the source shows it in
/// metrics and status.
#[derive(Default)]
pub struct EjectionStore {
    counts: Arc<EjectionCounts>,
    clusters: Mutex<EjectionsByCluster>,
}

#[derive(Default)]
struct EjectionsByCluster {
    /// The endpoints that are ejected now, by the number of the cluster's task.
    ejected: BTreeMap<u64, Vec<EjectedEndpoint>>,
    /// The endpoints whose health checks fail now, likewise.
    unhealthy: BTreeMap<u64, Vec<UnhealthyEndpoint>>,
    /// The next number.
    next: u64,
}

/// An endpoint of a cluster that gets no calls at the moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EjectedEndpoint {
    /// The cluster's name.
    pub cluster: Name,
    /// The endpoint's addresses.
    pub addresses: EndpointAddresses,
    /// Since when.
    pub since: Instant,
    /// Why.
    pub reason: EjectionReason,
    /// The ejection's length is the base time multiplied by this: it grows with each ejection, and shrinks with time.
    pub multiplier: u32,
}

/// An endpoint of a cluster that gets no calls because its active health checks fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnhealthyEndpoint {
    /// The cluster's name.
    pub cluster: Name,
    /// The endpoint's addresses.
    pub addresses: EndpointAddresses,
    /// Since when.
    pub since: Instant,
    /// The check that failed.
    pub reason: Arc<str>,
}

impl UnhealthyEndpoint {
    /// An endpoint that is unhealthy for this reason.
    pub fn new(
        cluster: impl Into<Name>,
        addresses: EndpointAddresses,
        since: Instant,
        reason: impl Into<Arc<str>>,
    ) -> Self {
        Self { cluster: cluster.into(), addresses, since, reason: reason.into() }
    }
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
    /// How many outliers were found and ejected, over all clusters since the start.
    pub fn counts(&self) -> &Arc<EjectionCounts> {
        &self.counts
    }

    /// The endpoints that are ejected now, by cluster. An endpoint that several targets use is listed once for each.
    pub fn ejected(&self) -> Vec<EjectedEndpoint> {
        let mut ejected: Vec<_> = self.lock().ejected.values().flatten().cloned().collect();
        ejected.sort_by(|a, b| (&a.cluster, a.addresses.first()).cmp(&(&b.cluster, b.addresses.first())));
        ejected
    }

    /// The endpoints whose active health checks fail now, by cluster. An endpoint that several targets use is listed once for each.
    pub fn unhealthy(&self) -> Vec<UnhealthyEndpoint> {
        let mut unhealthy: Vec<_> = self.lock().unhealthy.values().flatten().cloned().collect();
        unhealthy.sort_by(|a, b| (&a.cluster, a.addresses.first()).cmp(&(&b.cluster, b.addresses.first())));
        unhealthy
    }

    /// Adds a cluster, which is listed until the returned value is dropped.
    pub(crate) fn register(self: &Arc<Self>) -> ShownEjections {
        let mut clusters = self.lock();
        let number = clusters.next;
        clusters.next += 1;
        ShownEjections { store: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, EjectionsByCluster> {
        // No code that holds the lock can panic in the middle of a change.
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EjectionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EjectionStore").field("ejected", &self.ejected()).finish_non_exhaustive()
    }
}

/// The listed ejections of one cluster. Dropping it removes the cluster from the store.
#[derive(Debug)]
pub(crate) struct ShownEjections {
    store: Arc<EjectionStore>,
    number: u64,
}

impl ShownEjections {
    /// Replaces the cluster's ejected endpoints.
    pub(crate) fn set(&self, ejected: Vec<EjectedEndpoint>) {
        let mut clusters = self.store.lock();
        if ejected.is_empty() {
            clusters.ejected.remove(&self.number);
        } else {
            clusters.ejected.insert(self.number, ejected);
        }
    }

    /// Replaces the cluster's unhealthy endpoints.
    pub(crate) fn set_unhealthy(&self, unhealthy: Vec<UnhealthyEndpoint>) {
        let mut clusters = self.store.lock();
        if unhealthy.is_empty() {
            clusters.unhealthy.remove(&self.number);
        } else {
            clusters.unhealthy.insert(self.number, unhealthy);
        }
    }
}

impl Drop for ShownEjections {
    fn drop(&mut self) {
        self.set(Vec::new());
        self.set_unhealthy(Vec::new());
    }
}
