//! The counts of a cluster's calls: for its circuit breaker, and for load reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::config::{
    CallLimits, ClusterSettings, HealthStatus, LbPolicy, LocalityId, Name, ReportedMetric, ReportedWeights,
    RoutingPriority,
};
use crate::counters::CounterStore;
use crate::policy::load_report::{ClusterCounts, LocalityCounts};
use crate::sharded::{Ref, Refs};

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
    /// For health checks.
    pub(crate) counters: Arc<CounterStore>,
}

/// The counts of a cluster's calls, shared by the slots of its endpoints.
#[derive(Debug)]
pub(crate) struct Accounting {
    /// Calls in flight, over all channels of the mesh.
    pub(crate) load: Arc<ClusterLoad>,
    /// The limits of its calls.
    pub(crate) limits: CallLimits,
    high_priority_limits: CallLimits,
    /// The load-balancing policy reads how many calls each endpoint has in flight, or health checks read whether there was one.
    pub(crate) counts_by_endpoint: bool,
    /// The load-balancing policy reads the hash of calls.
    pub(crate) reads_hash: bool,
    /// How the latency of calls is averaged for the load-balancing policy; `None`: it is not measured.
    pub(crate) latency_decay: Option<Duration>,
    /// How the load that endpoints report with responses becomes their weight; `None`: it does not.
    pub(crate) weights: Option<ReportedWeights>,
    /// The health of endpoints that take calls of their sessions.
    pub(crate) session_health: Arc<[HealthStatus]>,
    /// The counts for load reports; `None`: the cluster's load is not reported.
    reported: Option<Reported>,
}

/// The counts of a cluster for load reports.
#[derive(Debug)]
struct Reported {
    counts: Arc<ClusterCounts>,
    in_use: Arc<InUse>,
    /// The endpoints' own metrics that are read; `None`: none.
    metrics: Option<Arc<[ReportedMetric]>>,
}

/// Held by the cluster's configuration and by calls without a response: as long as one of them holds it, the cluster is in use.
/// `None`: the configuration does not have the cluster any more.
type InUse = ArcSwapOption<Refs<Reporting>>;

/// Keeps a cluster's load reported: held by the cluster's configuration.
#[derive(Debug)]
pub(crate) struct KeepReported(Arc<InUse>);

impl Drop for KeepReported {
    fn drop(&mut self) {
        self.0.store(None);
    }
}

impl Accounting {
    /// The accounting of a cluster, and a guard that keeps its load reported while it is held.
    pub(crate) fn new(
        now: Instant,
        settings: &ClusterSettings,
        counts: &Counts,
    ) -> (Self, Option<KeepReported>) {
        let reporting = counts.store.as_ref().and_then(|store| store.start(now, settings));
        let reported = reporting.map(|reporting| Reported {
            counts: reporting.counts().clone(),
            in_use: Arc::new(InUse::from_pointee(Refs::new(reporting))),
            metrics: Some(&settings.reported_metrics).filter(|metrics| !metrics.is_empty()).cloned(),
        });
        let keep_reported = reported.as_ref().map(|reported| KeepReported(reported.in_use.clone()));
        let load = counts.loads.load(settings);
        let counts_by_endpoint = counts_by_endpoint(settings);
        let weights = weights_of_responses(settings).cloned();
        let (limits, high_priority_limits) = (settings.limits, settings.high_priority_limits);
        load.track([(RoutingPriority::Default, limits), (RoutingPriority::High, high_priority_limits)]);
        let latency_decay = settings.lb_policy.latency_decay();
        let session_health = session_health(settings);
        let accounting = Self {
            load,
            limits,
            high_priority_limits,
            counts_by_endpoint,
            reads_hash: settings.lb_policy.reads_hash(),
            latency_decay,
            weights,
            session_health,
            reported,
        };
        (accounting, keep_reported)
    }

    /// Whether both settings lead to the same accounting.
    pub(crate) fn is_same(before: &ClusterSettings, now: &ClusterSettings) -> bool {
        before.service_name == now.service_name
            && before.limits == now.limits
            && before.high_priority_limits == now.high_priority_limits
            && counts_by_endpoint(before) == counts_by_endpoint(now)
            && before.lb_policy.reads_hash() == now.lb_policy.reads_hash()
            && before.lb_policy.latency_decay() == now.lb_policy.latency_decay()
            && weights_of_responses(before) == weights_of_responses(now)
            && session_health(before) == session_health(now)
            && before.load_reporting == now.load_reporting
            && before.reported_metrics == now.reported_metrics
    }

    /// The limits of calls of a priority.
    pub(crate) fn limits(&self, priority: RoutingPriority) -> &CallLimits {
        match priority {
            RoutingPriority::Default => &self.limits,
            RoutingPriority::High => &self.high_priority_limits,
        }
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
    pub(crate) fn reporting(&self) -> Option<Ref<Reporting>> {
        Some(self.reported.as_ref()?.in_use.load().as_ref()?.own())
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

/// A55: `pick_first` has one endpoint for all calls, and sessions change nothing.
fn session_health(settings: &ClusterSettings) -> Arc<[HealthStatus]> {
    match settings.lb_policy.innermost() {
        LbPolicy::PickFirst { .. } => Arc::default(),
        _ => settings.override_host_status.clone(),
    }
}

fn counts_by_endpoint(settings: &ClusterSettings) -> bool {
    settings.lb_policy.reads_in_flight() || settings.health_check.is_some()
}

/// LB-44: reports with responses count unless the endpoints are asked to send reports apart from them.
fn weights_of_responses(settings: &ClusterSettings) -> Option<&ReportedWeights> {
    settings.lb_policy.reported_weights().filter(|weights| weights.out_of_band.is_none())
}
