//! The counts of a cluster's calls: for its circuit breaker, and for load reports.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::config::{ClusterSettings, LocalityId, MaxRequests, Name, ReportedMetric};
use crate::policy::load_report::{ClusterCounts, LocalityCounts};

use super::circuit_breaker::{ClusterLoad, LoadRegistry};
use super::load_report::Reporting;
use super::{EjectionStore, LoadStore};

/// The counts of all clusters of a mesh.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// For circuit breakers and retry budgets.
    pub(crate) loads: Arc<LoadRegistry>,
    /// For load reports; `None`: the configuration source takes none.
    pub(crate) store: Option<Arc<LoadStore>>,
    /// For the ejections of outlier detection.
    pub(crate) ejections: Arc<EjectionStore>,
}

/// The counts of a cluster's calls, shared by the slots of its endpoints.
#[derive(Debug)]
pub(crate) struct Accounting {
    /// Calls in flight, over all channels of the mesh.
    pub(crate) load: Arc<ClusterLoad>,
    /// The maximum of calls in flight.
    pub(crate) max_requests: MaxRequests,
    /// The counts for load reports; `None`: the cluster's load is not reported.
    reported: Option<Reported>,
}

/// The counts of a cluster for load reports.
#[derive(Debug)]
struct Reported {
    counts: Arc<ClusterCounts>,
    /// Held by the cluster's configuration and by calls without a response: as long as one of them holds it, the cluster is
    /// in use.
    reporting: Weak<Reporting>,
    /// The endpoints' own metrics that are read; `None`: none.
    metrics: Option<Arc<[ReportedMetric]>>,
}

impl Accounting {
    /// The accounting of a cluster, and a guard that keeps its load reported while it is held.
    pub(crate) fn new(
        now: Instant,
        settings: &ClusterSettings,
        counts: &Counts,
    ) -> (Self, Option<Arc<Reporting>>) {
        let reporting = counts.store.as_ref().and_then(|store| store.start(now, settings)).map(Arc::new);
        let reported = reporting.as_ref().map(|reporting| Reported {
            counts: reporting.counts().clone(),
            reporting: Arc::downgrade(reporting),
            metrics: Some(&settings.reported_metrics).filter(|metrics| !metrics.is_empty()).cloned(),
        });
        let load = counts.loads.load(settings);
        (Self { load, max_requests: settings.max_requests, reported }, reporting)
    }

    /// Whether both settings lead to the same accounting.
    pub(crate) fn is_same(before: &ClusterSettings, now: &ClusterSettings) -> bool {
        before.service_name == now.service_name
            && before.max_requests == now.max_requests
            && before.load_reporting == now.load_reporting
            && before.reported_metrics == now.reported_metrics
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> &Name {
        &self.load.cluster
    }

    /// The counts of a locality for load reports.
    pub(crate) fn locality(&self, id: &LocalityId) -> Option<Arc<LocalityCounts>> {
        Some(self.reported.as_ref()?.counts.locality(id))
    }

    /// A guard that keeps the cluster's load reported; `None`: its load is not reported.
    pub(crate) fn reporting(&self) -> Option<Arc<Reporting>> {
        self.reported.as_ref()?.reporting.upgrade()
    }

    /// The endpoints' own metrics that are reported; `None`: none.
    pub(crate) fn reported_metrics(&self) -> Option<&[ReportedMetric]> {
        self.reported.as_ref()?.metrics.as_deref()
    }

    /// Counts a call that the control plane's drop policy dropped.
    pub(crate) fn drop_in(&self, category: &Name) {
        if let Some(reported) = &self.reported {
            reported.counts.drop_in(category);
        }
    }

    /// TR-67: counts a call that the circuit breaker refused.
    pub(crate) fn drop_over_limit(&self) {
        if let Some(reported) = &self.reported {
            reported.counts.drop_over_limit();
        }
    }
}
