//! Counts of calls for load reports (gRFC A27, A64, A85): the request path adds, a reporter takes and resets.
//!
//! ```text
//!  ClusterCounts ─┬─ drops by category, and without one
//!                 └─ LocalityCounts of each locality ── MetricTotal of each metric
//!        │ take
//!        ▼
//!  ClusterSums ── LocalitySums ── MetricSums
//! ```
//!
//! Counting takes no lock, and allocates only for a locality, category or metric that is new. The sum over all reports
//! is exact; a call that ends while a report is taken may be split between this report and the next.

mod cluster;
mod locality;
mod metric;
mod on_demand;
pub(crate) mod orca;
#[cfg(test)]
mod tests;

pub(crate) use cluster::ClusterCounts;
pub use cluster::{ClusterReport, ClusterSums};
pub use locality::LocalitySums;
pub(crate) use locality::{Ending, LocalityCounts};
pub(crate) use metric::MetricTotals;
pub use metric::{MetricSum, MetricSums};
