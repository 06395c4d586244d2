//! Load reports (gRFC A27): who reports what to whom. Attempts count themselves, to their real end.
//!
//! ```text
//!  configuration ─▶ Reporting, one per cluster in use ─▶ Attempt, one per attempt of a call
//!                        │ registers                          │ counts
//!                        ▼                                    ▼
//!                    LoadStore ◀──── take ──── reporter    LocalityCounts
//! ```

mod reporting;
mod store;
#[cfg(test)]
mod tests;

pub use store::LoadStore;

pub(crate) use reporting::Reporting;
