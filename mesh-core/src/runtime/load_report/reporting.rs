//! A cluster whose load is reported.

use std::fmt;
use std::sync::Arc;

use crate::config::{LocalityId, Name, ReportedMetric};
use crate::policy::load_report::ClusterCounts;

use super::store::ClusterKey;
use super::{LoadStore, Unsent};

/// A cluster in use whose load is reported. Dropping it ends its use; what was counted is reported a last time.
pub(crate) struct Reporting {
    store: Arc<LoadStore>,
    key: ClusterKey,
    counts: Arc<ClusterCounts>,
    /// `None`: no report of an endpoint needs to be read.
    metrics: Option<Arc<[ReportedMetric]>>,
}

impl Reporting {
    pub(super) fn new(
        store: Arc<LoadStore>,
        key: ClusterKey,
        counts: Arc<ClusterCounts>,
        metrics: Arc<[ReportedMetric]>,
    ) -> Self {
        let metrics = Some(metrics).filter(|metrics| !metrics.is_empty());
        Self { store, key, counts, metrics }
    }

    /// An attempt has an endpoint in this locality.
    pub(crate) fn attempt(&self, locality: &LocalityId) -> Unsent {
        Unsent::new(self.counts.locality(locality), self.metrics.clone())
    }

    /// A call was dropped by the control plane's wish.
    pub(crate) fn drop_in(&self, category: &Name) {
        self.counts.drop_in(category);
    }

    /// A call was refused by the circuit breaker.
    pub(crate) fn drop_over_limit(&self) {
        self.counts.drop_over_limit();
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.store.stop(&self.key);
    }
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("key", &self.key).finish_non_exhaustive()
    }
}
