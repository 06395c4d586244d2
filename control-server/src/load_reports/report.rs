//! One report of one client: from the message to rates, within limits. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use xds_proto::envoy::config::core::v3::Locality;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterStats, EndpointLoadMetricStats, UnnamedEndpointLoadMetricStats, UpstreamLocalityStats,
};

use crate::translate::is_secured;

use super::limits::{
    MAX_CATEGORIES, MAX_CLUSTERS, MAX_LOCALITIES, MAX_METRICS, MAX_NAME, MAX_REPORT_ENTRIES,
};
use super::load::{CallCounts, Drops, Load, Mean};

/// One client's report of one interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    pub(super) clusters: BTreeMap<ClusterKey, Cluster>,
    /// What the report adds to the counters, by cluster.
    pub(super) counts: BTreeMap<Arc<str>, CallCounts>,
    /// The number of dropped parts: over a limit, invalid, or of a cluster that is not served.
    pub(super) ignored: usize,
    entries: Entries,
}

/// The size of a report: its clusters, localities, metrics and categories.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Entries(usize);

/// A cluster, and the EDS service that its endpoints came under; empty if that is the cluster's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClusterKey {
    pub(super) cluster: Arc<str>,
    pub(super) service: Arc<str>,
}

/// Calls to one cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cluster {
    pub(super) drops: Drops,
    /// By `region/zone/sub_zone`; empty for none.
    pub(super) localities: BTreeMap<Arc<str>, Load>,
}

impl Report {
    /// Reads a report. `elapsed` is the time since the client's last one, `least` the shortest time that rates are made of:
    /// calls of a process that lived for a moment are no rate of that moment. `served` finds the name of a cluster that
    /// is served.
    pub(super) fn read(
        stats: Vec<ClusterStats>,
        elapsed: Duration,
        least: Duration,
        served: impl Fn(&str) -> Option<Arc<str>>,
    ) -> Self {
        let mut report = Self::default();
        for stats in stats {
            let Self { clusters, counts, ignored, entries } = &mut report;
            let Some(key) = cluster_key(&stats, &served) else {
                *ignored += 1;
                continue;
            };
            let name = Arc::clone(&key.cluster);
            let Some(cluster) = entries.slot(clusters, key, MAX_CLUSTERS) else {
                *ignored += 1;
                continue;
            };
            counts.entry(name).or_default().add(&stats);
            let seconds = interval(&stats, elapsed).max(least).as_secs_f64();
            *ignored += cluster.add(stats, seconds, entries);
        }
        report
    }

    /// The size of the report; at most [`MAX_REPORT_ENTRIES`].
    pub(super) fn entries(&self) -> usize {
        self.entries.0
    }
}

impl Entries {
    /// The value under a key, unless there are too many of them.
    fn slot<'a, K: Ord, T: Default>(
        &mut self,
        map: &'a mut BTreeMap<K, T>,
        key: K,
        limit: usize,
    ) -> Option<&'a mut T> {
        let has_room = map.len() < limit && self.0 < MAX_REPORT_ENTRIES;
        match map.entry(key) {
            Entry::Occupied(found) => Some(found.into_mut()),
            Entry::Vacant(free) if has_room => {
                self.0 += 1;
                Some(free.insert(T::default()))
            }
            Entry::Vacant(_) => None,
        }
    }

    /// The value under a name, unless there are too many names or this one is too long.
    fn named<'a, T: Default>(
        &mut self,
        map: &'a mut BTreeMap<Arc<str>, T>,
        name: &str,
        limit: usize,
    ) -> Option<&'a mut T> {
        if name.len() > MAX_NAME {
            return None;
        }
        self.slot(map, name.into(), limit)
    }
}

impl Cluster {
    /// Adds the parts within limits; returns the number of the others.
    fn add(&mut self, stats: ClusterStats, seconds: f64, entries: &mut Entries) -> usize {
        let mut ignored = 0;
        self.drops.total += rate(stats.total_dropped_requests, seconds);
        for dropped in stats.dropped_requests {
            match entries.named(&mut self.drops.categories, &dropped.category, MAX_CATEGORIES) {
                Some(category) => *category += rate(dropped.dropped_count, seconds),
                None => ignored += 1,
            }
        }
        for stats in stats.upstream_locality_stats {
            let name = stats.locality.as_ref().map(locality_name).unwrap_or_default();
            match entries.named(&mut self.localities, &name, MAX_LOCALITIES) {
                Some(load) => ignored += add_locality(load, stats, seconds, entries),
                None => ignored += 1,
            }
        }
        ignored
    }
}

/// `None` for a cluster that is not served, and for a service with too long a name.
fn cluster_key(stats: &ClusterStats, served: impl Fn(&str) -> Option<Arc<str>>) -> Option<ClusterKey> {
    let cluster = served(&stats.cluster_name)?;
    let service = match stats.cluster_service_name.as_str() {
        service if *service == *cluster || is_secured(service, &cluster) => Arc::from(""),
        service if service.len() > MAX_NAME => return None,
        service => Arc::from(service),
    };
    Some(ClusterKey { cluster, service })
}

fn add_locality(load: &mut Load, stats: UpstreamLocalityStats, seconds: f64, entries: &mut Entries) -> usize {
    load.success += rate(stats.total_successful_requests, seconds);
    load.error += rate(stats.total_error_requests, seconds);
    load.issued += rate(stats.total_issued_requests, seconds);
    load.in_progress = load.in_progress.saturating_add(stats.total_requests_in_progress);
    let unnamed = [
        ("cpu_utilization", stats.cpu_utilization),
        ("mem_utilization", stats.mem_utilization),
        ("application_utilization", stats.application_utilization),
    ];
    let unnamed = unnamed.into_iter().filter_map(|(name, stats)| Some(named(name, &stats?)));
    let mut ignored = 0;
    for stats in unnamed.chain(stats.load_metric_stats) {
        let mean = Mean { calls: stats.num_requests_finished_with_metric, total: stats.total_metric_value };
        match entries.named(&mut load.metrics, &stats.metric_name, MAX_METRICS) {
            Some(found) if mean.total.is_finite() => found.add(mean),
            _ => ignored += 1,
        }
    }
    ignored
}

fn named(name: &str, stats: &UnnamedEndpointLoadMetricStats) -> EndpointLoadMetricStats {
    EndpointLoadMetricStats {
        metric_name: name.to_owned(),
        num_requests_finished_with_metric: stats.num_requests_finished_with_metric,
        total_metric_value: stats.total_metric_value,
    }
}

/// The interval that the client has measured (TR-66), or the time since its last report if it sends no valid one.
fn interval(stats: &ClusterStats, elapsed: Duration) -> Duration {
    let measured = stats.load_report_interval.as_ref();
    let measured = measured.and_then(|measured| {
        let seconds = Duration::from_secs(measured.seconds.try_into().ok()?);
        seconds.checked_add(Duration::from_nanos(measured.nanos.try_into().ok()?))
    });
    measured
        .filter(|measured| (SHORTEST..=LONGEST).contains(measured))
        .unwrap_or_else(|| elapsed.clamp(SHORTEST, LONGEST))
}

#[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn locality_name(locality: &Locality) -> String {
    match (&*locality.region, &*locality.zone, &*locality.sub_zone) {
        ("", "", "") => String::new(),
        (region, zone, sub_zone) => format!("{region}/{zone}/{sub_zone}"),
    }
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
