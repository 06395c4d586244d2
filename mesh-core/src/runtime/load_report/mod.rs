//! Counts of calls for load reports (gRFC A27), by cluster and server. An attempt is counted until it has really ended.
//!
//! ```text
//!  configuration ─▶ Reporting, one per cluster in use ─▶ Attempt, one per attempt of a call
//!                        │ registers                          │ counts
//!                        ▼                                    ▼
//!                    LoadStore ◀──── take ──── reporter    LocalityCounts
//! ```

mod store;
#[cfg(test)]
mod tests;

pub use store::LoadStore;

pub(crate) use store::Reporting;
