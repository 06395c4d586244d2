//! Limits of the reports that are kept. Far above real reports.

use std::time::Duration;

/// Pairs of cluster and EDS service in one report.
pub(super) const MAX_CLUSTERS: usize = 10_000;
/// Localities of one cluster in one report.
pub(super) const MAX_LOCALITIES: usize = 64;
/// Custom metrics of one locality.
pub(super) const MAX_METRICS: usize = 32;
/// Categories of dropped calls of one cluster.
pub(super) const MAX_CATEGORIES: usize = 32;
/// Bytes of the name of a locality, a metric, a category or a service.
pub(super) const MAX_NAME: usize = 256;
/// Clusters, localities, metrics and categories of one report: a stream's share of [`MAX_ENTRIES`]. Room for 500 clusters
/// with three localities of ten metrics each.
pub(super) const MAX_REPORT_ENTRIES: usize = 20_000;
/// Clusters, localities, metrics and categories of all clients together.
pub(super) const MAX_ENTRIES: usize = 500_000;
/// Bytes of a node's id on the wire; [`MAX_NAME`] of them are kept.
pub(super) const MAX_NODE_ID: usize = 64 << 10;
/// Bytes of one report on the wire.
pub(super) const MAX_REPORT_BYTES: usize = 4 << 20;
/// How long a stream may take to send its node.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// Reports at once.
pub(super) const BURST: u32 = 100;
/// How many more of them every interval. Honest clients send one.
pub(super) const PER_INTERVAL: u32 = 10;
