//! Load in the admin API. Rates are per second, over each client's last interval.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::load::Load;
use super::report::{Cluster, ClusterKey};

/// What clients have reported lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadList {
    /// How often clients are told to report; 0 if they are not asked to.
    pub interval_seconds: f64,
    /// Streams whose last report counts.
    pub reporters: usize,
    /// By name; clusters without load are not listed.
    pub clusters: Vec<ClusterLoad>,
}

/// The load on one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterLoad {
    /// Its name.
    pub cluster: String,
    /// The EDS service that its endpoints came under; empty if that is the cluster's name.
    pub service: String,
    /// Streams that report it.
    pub reporters: usize,
    /// All localities together.
    #[serde(flatten)]
    pub rates: Rates,
    /// Calls that were dropped before they had an endpoint.
    pub dropped_per_second: f64,
    /// The same by category; those that a circuit breaker dropped are in none.
    pub drops: BTreeMap<String, f64>,
    /// By name.
    pub localities: Vec<LocalityLoad>,
    /// Every reporter, oldest stream first; only if the request has the cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_reporter: Option<Vec<ReporterLoad>>,
}

/// The load on one locality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalityLoad {
    /// `region/zone/sub_zone`; empty for endpoints without one.
    pub locality: String,
    /// Its calls.
    #[serde(flatten)]
    pub rates: Rates,
    /// Custom metrics: the mean over the calls that carried them.
    pub metrics: BTreeMap<String, f64>,
}

/// The load that one client makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReporterLoad {
    /// Numbers the reporting streams of this server process.
    pub id: u64,
    /// The xDS node's id.
    pub node_id: String,
    /// How old the report is.
    pub age_seconds: u64,
    /// All localities together.
    #[serde(flatten)]
    pub rates: Rates,
    /// Calls that were dropped before they had an endpoint.
    pub dropped_per_second: f64,
}

/// Calls per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// That ended well.
    pub success_per_second: f64,
    /// That failed.
    pub error_per_second: f64,
    /// That began.
    pub issued_per_second: f64,
    /// That have not ended: a count, when the report was made.
    pub in_progress: u64,
}

impl LoadList {
    pub(super) fn of(now: Instant, ledger: &Ledger, cluster: Option<&str>) -> Self {
        let sums = ledger.sums();
        let sums = sums.iter().filter(|(key, _)| cluster.is_none_or(|name| *key.cluster == *name));
        let clusters = sums.map(|(key, (reporters, sum))| ClusterLoad {
            by_reporter: cluster.map(|_| by_reporter(now, ledger, key)),
            ..summary(key, *reporters, sum)
        });
        Self {
            interval_seconds: ledger.interval().as_secs_f64(),
            reporters: ledger.reporters().len(),
            clusters: clusters.collect(),
        }
    }
}

fn summary(key: &ClusterKey, reporters: usize, sum: &Cluster) -> ClusterLoad {
    let drops = sum.drops.categories.iter().map(|(name, rate)| (owned(name), *rate));
    let localities = sum.localities.iter().map(|(name, load)| LocalityLoad {
        locality: owned(name),
        rates: Rates::of([load]),
        metrics: load.metrics.iter().filter_map(|(name, mean)| Some((owned(name), mean.value()?))).collect(),
    });
    ClusterLoad {
        cluster: owned(&key.cluster),
        service: owned(&key.service),
        reporters,
        rates: Rates::of(sum.localities.values()),
        dropped_per_second: sum.drops.total,
        drops: drops.collect(),
        localities: localities.collect(),
        by_reporter: None,
    }
}

fn by_reporter(now: Instant, ledger: &Ledger, key: &ClusterKey) -> Vec<ReporterLoad> {
    let found = ledger.reporters().filter_map(|(id, reporter)| {
        let cluster = reporter.report.clusters.get(key)?;
        Some(ReporterLoad {
            id,
            node_id: owned(&reporter.node_id),
            age_seconds: now.saturating_duration_since(reporter.received).as_secs(),
            rates: Rates::of(cluster.localities.values()),
            dropped_per_second: cluster.drops.total,
        })
    });
    found.collect()
}

impl Rates {
    fn of<'a>(loads: impl IntoIterator<Item = &'a Load>) -> Self {
        loads.into_iter().fold(Self::default(), |sum, load| Self {
            success_per_second: sum.success_per_second + load.success,
            error_per_second: sum.error_per_second + load.error,
            issued_per_second: sum.issued_per_second + load.issued,
            in_progress: sum.in_progress.saturating_add(load.in_progress),
        })
    }
}

fn owned(text: &Arc<str>) -> String {
    text.as_ref().to_owned()
}
