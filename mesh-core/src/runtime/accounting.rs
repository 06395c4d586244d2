//! What the calls of a cluster occupy, and where they are counted.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::config::{ClusterSettings, LocalityId, MaxRequests, Name, ReportedMetric};
use crate::policy::load_report::{ClusterCounts, LocalityCounts};

use super::circuit_breaker::{ClusterLoad, LoadRegistry};
use super::load_report::Reporting;
use super::{EjectionStore, LoadStore};

/// The counts that all clusters of a mesh have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// For circuit breakers and retry budgets.
    pub(crate) loads: Arc<LoadRegistry>,
    /// For load reports; `None`: nobody takes them.
    pub(crate) store: Option<Arc<LoadStore>>,
    /// What outlier detection does.
    pub(crate) ejections: Arc<EjectionStore>,
}

/// What the calls of a cluster occupy, and where they are counted: shared by the slots of its endpoints.
#[derive(Debug)]
pub(crate) struct Accounting {
    /// Calls in flight, over all channels of the mesh.
    pub(crate) load: Arc<ClusterLoad>,
    /// How many there may be.
    pub(crate) max_requests: MaxRequests,
    /// Where load is reported.
    reported: Option<Reported>,
}

/// Where the load of a cluster is counted for reports.
#[derive(Debug)]
struct Reported {
    counts: Arc<ClusterCounts>,
    /// The cluster is in use as long as somebody holds this: its configuration, and calls without a response.
    reporting: Weak<Reporting>,
    /// Which of the endpoints' own metrics are read; `None`: none.
    metrics: Option<Arc<[ReportedMetric]>>,
}

impl Accounting {
    /// The accounting of a cluster, and what keeps its load reported as long as it is held.
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

    /// Where calls to a locality are counted for reports.
    pub(crate) fn locality(&self, id: &LocalityId) -> Option<Arc<LocalityCounts>> {
        Some(self.reported.as_ref()?.counts.locality(id))
    }

    /// Keeps the cluster's load reported, if it is.
    pub(crate) fn reporting(&self) -> Option<Arc<Reporting>> {
        self.reported.as_ref()?.reporting.upgrade()
    }

    /// Which of the endpoints' own metrics are reported; `None`: none.
    pub(crate) fn reported_metrics(&self) -> Option<&[ReportedMetric]> {
        self.reported.as_ref()?.metrics.as_deref()
    }

    /// A call was dropped by the control plane's wish.
    pub(crate) fn drop_in(&self, category: &Name) {
        if let Some(reported) = &self.reported {
            reported.counts.drop_in(category);
        }
    }

    /// TR-67: a call was refused by the circuit breaker.
    pub(crate) fn drop_over_limit(&self) {
        if let Some(reported) = &self.reported {
            reported.counts.drop_over_limit();
        }
    }
}
