//! A cluster whose load is reported.

use std::fmt;
use std::sync::Arc;

use crate::policy::load_report::ClusterCounts;

use super::LoadStore;
use super::store::ClusterKey;

/// A cluster in use whose load is reported. When it is dropped, the counts are reported a last time.
pub(crate) struct Reporting {
    store: Arc<LoadStore>,
    key: ClusterKey,
    counts: Arc<ClusterCounts>,
}

impl Reporting {
    pub(super) fn new(store: Arc<LoadStore>, key: ClusterKey, counts: Arc<ClusterCounts>) -> Self {
        Self { store, key, counts }
    }

    /// The counts of the cluster's calls.
    pub(crate) fn counts(&self) -> &Arc<ClusterCounts> {
        &self.counts
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
