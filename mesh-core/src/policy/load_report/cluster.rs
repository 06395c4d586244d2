//! The load of one cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::{LocalityId, Name};

use super::on_demand::OnDemand;
use super::{LocalityCounts, LocalitySums};

/// The counts of one cluster since its last report.
#[derive(Debug, Default)]
pub(crate) struct ClusterCounts {
    localities: OnDemand<LocalityId, LocalityCounts>,
    drops: OnDemand<Name, AtomicU64>,
    drops_without_category: AtomicU64,
}

/// The load of one cluster between two reports.
// TR-66
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClusterReport {
    /// Its name.
    pub cluster: Name,
    /// The name under which its endpoints are discovered.
    pub service_name: Name,
    /// The time between the two reports.
    pub interval: Duration,
    /// The counts.
    pub sums: ClusterSums,
}

impl ClusterReport {
    /// A report whose counts are all zero.
    pub fn new(cluster: impl Into<Name>, service_name: impl Into<Name>, interval: Duration) -> Self {
        let (cluster, service_name) = (cluster.into(), service_name.into());
        Self { cluster, service_name, interval, sums: ClusterSums::default() }
    }
}

/// The counts of a cluster between two reports, without zero counts.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ClusterSums {
    /// The requests by locality.
    pub localities: BTreeMap<LocalityId, LocalitySums>,
    /// Calls that the control plane's drop policy refused, by category.
    pub drops: BTreeMap<Name, u64>,
    /// Calls that the drop policy or the circuit breaker refused.
    // TR-67
    pub total_drops: u64,
}

impl ClusterCounts {
    /// The counts of one locality.
    pub(crate) fn locality(&self, id: &LocalityId) -> Arc<LocalityCounts> {
        self.localities.entry(id, usize::MAX, || id.clone()).unwrap_or_default()
    }

    /// Counts a call that the control plane's drop policy refused.
    pub(crate) fn drop_in(&self, category: &Name) {
        if let Some(count) = self.drops.entry(category, usize::MAX, || category.clone()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a call that the circuit breaker refused.
    pub(crate) fn drop_over_limit(&self) {
        self.drops_without_category.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the counts since the last call and resets them. `None` if all are zero and no request is in progress.
    pub(crate) fn take(&self) -> Option<ClusterSums> {
        let localities: BTreeMap<_, _> = self
            .localities
            .load()
            .iter()
            .filter_map(|(id, counts)| Some((id.clone(), counts.take()?)))
            .collect();
        let drops = self.drops.load();
        let drops =
            drops.iter().map(|(category, count)| (category.clone(), count.swap(0, Ordering::Relaxed)));
        let drops: BTreeMap<_, _> = drops.filter(|(_, count)| *count > 0).collect();
        // TR-67
        let total_drops =
            self.drops_without_category.swap(0, Ordering::Relaxed) + drops.values().sum::<u64>();
        let load = ClusterSums { localities, drops, total_drops };
        (load != ClusterSums::default()).then_some(load)
    }
}
