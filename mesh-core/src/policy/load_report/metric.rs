//! Metrics that endpoints send with their responses (gRFC A64, A85).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{Name, ReportedMetric};

use super::on_demand::OnDemand;
use super::orca::OrcaReport;

/// The values of one metric since the last report.
#[derive(Debug, Default)]
struct MetricTotal {
    count: AtomicU64,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// Number and sum of a metric's values between two reports.
// TR-72
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MetricSum {
    /// The number of ended requests that carried it.
    pub count: u64,
    /// The sum of their values.
    pub sum: f64,
}

impl MetricTotal {
    /// Adds one request's value. Infinite values and NaN are ignored: they would make the sum useless.
    fn add(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let plus = |sum| Some((f64::from_bits(sum) + value).to_bits());
        _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, plus);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes and resets number and sum; `None` if there are no values.
    fn take(&self) -> Option<MetricSum> {
        let count = self.count.swap(0, Ordering::Relaxed);
        (count > 0).then(|| MetricSum { count, sum: f64::from_bits(self.sum.swap(0, Ordering::Relaxed)) })
    }
}

/// The metrics of one locality since the last report.
#[derive(Debug, Default)]
pub(crate) struct MetricTotals {
    cpu_utilization: MetricTotal,
    mem_utilization: MetricTotal,
    application_utilization: MetricTotal,
    /// By name, without the prefix `named_metrics.`.
    named: OnDemand<Name, MetricTotal>,
}

/// A locality's metrics between two reports, without those that no request carried.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MetricSums {
    /// `cpu_utilization`.
    pub cpu_utilization: Option<MetricSum>,
    /// `mem_utilization`.
    pub mem_utilization: Option<MetricSum>,
    /// `application_utilization`.
    pub application_utilization: Option<MetricSum>,
    /// The named metrics by name, without `named_metrics.`.
    pub named: BTreeMap<Name, MetricSum>,
}

impl MetricTotals {
    /// Adds those metrics of one request's report that the control plane asked for (TR-71).
    pub(crate) fn add(&self, report: &OrcaReport<'_>, wanted: &[ReportedMetric]) {
        let add =
            |total: &MetricTotal, value: Option<f64>| value.into_iter().for_each(|value| total.add(value));
        for metric in wanted {
            match metric {
                ReportedMetric::CpuUtilization => add(&self.cpu_utilization, report.cpu_utilization),
                ReportedMetric::MemUtilization => add(&self.mem_utilization, report.mem_utilization),
                ReportedMetric::ApplicationUtilization => {
                    add(&self.application_utilization, report.application_utilization);
                }
                ReportedMetric::Named(name) => self.add_named(name, report.named_metric(name)),
                ReportedMetric::AllNamed => {
                    // The last value of a name counts, as in any map on the wire.
                    let last: BTreeMap<_, _> = report.named_metrics().collect();
                    last.into_iter().for_each(|(name, value)| self.add_named(name, Some(value)));
                }
            }
        }
    }

    fn add_named(&self, name: &str, value: Option<f64>) {
        if let Some(value) = value
            && let Some(total) = self.named.entry(name, MAX_NAMES, || name.into())
        {
            total.add(value);
        }
    }

    pub(super) fn take(&self) -> MetricSums {
        let named = self.named.load();
        MetricSums {
            cpu_utilization: self.cpu_utilization.take(),
            mem_utilization: self.mem_utilization.take(),
            application_utilization: self.application_utilization.take(),
            named: named.iter().filter_map(|(name, total)| Some((name.clone(), total.take()?))).collect(),
        }
    }
}

/// The most named metrics of a locality: an endpoint that invents names cannot fill the memory.
const MAX_NAMES: usize = 1_000;
