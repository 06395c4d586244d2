//! Metrics of load reports, and their content.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::load_reports::LoadList;

use super::{Metrics, count};

#[derive(Debug, Default)]
pub(super) struct LoadMetrics {
    reports: Counter,
    ignored: Counter,
    refused: Counter,
    reporters: Gauge,
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

    pub(super) fn set(&self, load: &LoadList) {
        self.reporters.set(count(load.reporters));
        self.calls.clear();
        self.in_progress.clear();
        for one in &load.clusters {
            let cluster = || one.cluster.clone();
            let results = [
                ("success", one.rates.success_per_second),
                ("error", one.rates.error_per_second),
                ("dropped", one.dropped_per_second),
            ];
            for (result, rate) in results {
                // A cluster under two EDS services has one series.
                self.calls.get_or_create(&CallsLabel { cluster: cluster(), result }).inc_by(rate);
            }
            let in_progress = i64::try_from(one.rates.in_progress).unwrap_or(i64::MAX);
            self.in_progress.get_or_create(&ClusterLabel { cluster: cluster() }).inc_by(in_progress);
        }
    }
}

impl Metrics {
    /// Counts a load report, of which some parts were left out.
    pub fn load_reported(&self, ignored: usize) {
        self.inner.load.reports.inc();
        self.inner.load.ignored.inc_by(u64::try_from(ignored).unwrap_or(u64::MAX));
    }

    /// Counts a load report for which there was no room.
    pub fn load_refused(&self) {
        self.inner.load.refused.inc();
    }
}
