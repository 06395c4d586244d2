//! Numbers of load, and their sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use xds_proto::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};

/// Calls to one locality in one interval, per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Load {
    pub(super) success: f64,
    pub(super) error: f64,
    pub(super) issued: f64,
    /// A count and no rate: at the end of the interval.
    pub(super) in_progress: u64,
    pub(super) metrics: BTreeMap<Arc<str>, Mean>,
}

/// A custom metric: the mean over the calls that carried it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mean {
    pub(super) calls: u64,
    pub(super) total: f64,
}

/// Calls to one cluster in one report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// That ended well.
    pub success: u64,
    /// That failed.
    pub error: u64,
    /// That were dropped before they had an endpoint.
    pub dropped: u64,
}

impl CallCounts {
    /// A count beyond all reason is cut: it would make a counter begin again.
    pub(super) fn add(&mut self, stats: &ClusterStats) {
        let sum = |count: fn(&UpstreamLocalityStats) -> u64| {
            stats.upstream_locality_stats.iter().map(count).fold(0, u64::saturating_add)
        };
        let with = |before: u64, more: u64| before.saturating_add(more).min(MOST_CALLS);
        self.success = with(self.success, sum(|stats| stats.total_successful_requests));
        self.error = with(self.error, sum(|stats| stats.total_error_requests));
        self.dropped = with(self.dropped, stats.total_dropped_requests);
    }
}

/// Calls to one cluster that were dropped before they had an endpoint, per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Drops {
    /// All of them; a circuit breaker's are in no category.
    pub(super) total: f64,
    pub(super) categories: BTreeMap<Arc<str>, f64>,
}

impl Load {
    pub(super) fn add(&mut self, other: &Self) {
        self.success += other.success;
        self.error += other.error;
        self.issued += other.issued;
        self.in_progress = self.in_progress.saturating_add(other.in_progress);
        for (name, mean) in &other.metrics {
            self.metrics.entry(name.clone()).or_default().add(*mean);
        }
    }
}

impl Mean {
    pub(super) fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.total += other.total;
    }

    /// `None` if no call carried it.
    pub(super) fn value(self) -> Option<f64> {
        // No count of calls comes near the 52 bits that are exact.
        #[expect(clippy::cast_precision_loss, reason = "a mean is no exact number")]
        let calls = self.calls as f64;
        Some(self.total / calls).filter(|value| value.is_finite())
    }
}

impl Drops {
    pub(super) fn add(&mut self, other: &Self) {
        self.total += other.total;
        for (category, rate) in &other.categories {
            *self.categories.entry(category.clone()).or_default() += rate;
        }
    }
}

/// Of one kind in one report.
const MOST_CALLS: u64 = 1 << 40;
