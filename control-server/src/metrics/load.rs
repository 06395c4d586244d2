//! Metrics of load reports, and their content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::load_reports::{CallCounts, LoadList, Rates};

use super::{Metrics, count};

#[derive(Debug, Default)]
pub(super) struct LoadMetrics {
    reports: Counter,
    ignored: Counter,
    refused: Counter,
    reporters: Gauge,
    counts: Family<CallsLabel, Counter>,
    /// The clusters in `counts`.
    counted: Mutex<BTreeSet<Arc<str>>>,
    calls: Family<CallsLabel, Gauge<f64, AtomicU64>>,
    in_progress: Family<ClusterLabel, Gauge>,
}

/// Only served clusters: no client makes up a label (SEC-09).
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabel {
    cluster: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallsLabel {
    cluster: String,
    result: &'static str,
}

impl LoadMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("load_reports", "Load reports taken", metrics.reports.clone());
        registry.register(
            "load_report_parts_ignored",
            "Parts of load reports left out: over a limit, or of clusters that are not served",
            metrics.ignored.clone(),
        );
        registry.register(
            "load_reports_refused",
            "Load reports for which there was no room",
            metrics.refused.clone(),
        );
        registry.register(
            "load_reporters",
            "Streams whose last load report counts",
            metrics.reporters.clone(),
        );
        registry.register(
            "load_calls",
            "Calls in the reports of clients since this server began, by cluster and result",
            metrics.counts.clone(),
        );
        registry.register(
            "load_calls_per_second",
            "Calls that clients report, by cluster and result",
            metrics.calls.clone(),
        );
        registry.register(
            "load_calls_in_progress",
            "Calls under way that clients report, by cluster",
            metrics.in_progress.clone(),
        );
        metrics
    }

    fn add(&self, counts: &BTreeMap<Arc<str>, CallCounts>) {
        for (cluster, counts) in counts {
            for (result, count) in results(counts.success, counts.error, counts.dropped) {
                let label = CallsLabel { cluster: cluster.as_ref().to_owned(), result };
                self.counts.get_or_create(&label).inc_by(count);
            }
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for cluster in counts.keys().filter(|cluster| !counted.contains(*cluster)).collect::<Vec<_>>() {
            counted.insert(Arc::clone(cluster));
        }
    }

    /// Forgets the counters of clusters that are not served any more.
    pub(super) fn keep(&self, is_served: impl Fn(&str) -> bool) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|cluster| {
            let stays = is_served(cluster);
            if !stays {
                for (result, ()) in results((), (), ()) {
                    self.counts.remove(&CallsLabel { cluster: cluster.as_ref().to_owned(), result });
                }
            }
            stays
        });
    }

    pub(super) fn set(&self, load: &LoadList) {
        self.reporters.set(count(load.reporters));
        self.calls.clear();
        self.in_progress.clear();
        for one in &load.clusters {
            let cluster = || one.cluster.clone();
            let Rates { success_per_second, error_per_second, .. } = one.rates;
            for (result, rate) in results(success_per_second, error_per_second, one.dropped_per_second) {
                // A cluster under two EDS services has one series.
                self.calls.get_or_create(&CallsLabel { cluster: cluster(), result }).inc_by(rate);
            }
            let in_progress = i64::try_from(one.rates.in_progress).unwrap_or(i64::MAX);
            self.in_progress.get_or_create(&ClusterLabel { cluster: cluster() }).inc_by(in_progress);
        }
    }
}

impl Metrics {
    /// Counts a load report, of which some parts were left out, and its calls.
    pub fn load_reported(&self, ignored: usize, counts: &BTreeMap<Arc<str>, CallCounts>) {
        self.inner.load.add(counts);
        self.inner.load.reports.inc();
        self.inner.load.ignored.inc_by(u64::try_from(ignored).unwrap_or(u64::MAX));
    }

    /// Counts a load report for which there was no room.
    pub fn load_refused(&self) {
        self.inner.load.refused.inc();
    }
}

/// By the label of each.
fn results<T>(success: T, error: T, dropped: T) -> [(&'static str, T); 3] {
    [("success", success), ("error", error), ("dropped", dropped)]
}
