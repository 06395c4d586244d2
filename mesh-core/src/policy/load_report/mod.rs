//! What clusters have had to do since the last report (gRFC A27, A64, A85): counts that the request path writes and a
//! reporter takes.
//!
//! ```text
//!  ClusterCounts ─┬─ drops by category, and without one
//!                 └─ LocalityCounts of each locality ── MetricTotal of each metric
//!        │ take
//!        ▼
//!  ClusterSums ── LocalitySums ── MetricSums
//! ```
//!
//! Counting takes no lock, and allocates only what is counted for the first time. Each number is exact over all reports;
//! what happens while a report is taken may be split between it and the next.

mod cluster;
mod locality;
mod metric;
mod on_demand;
pub mod orca;
#[cfg(test)]
mod tests;

pub use cluster::{ClusterCounts, ClusterReport, ClusterSums};
pub use locality::{Ending, LocalityCounts, LocalitySums};
pub use metric::{MetricSum, MetricSums, MetricTotals};
