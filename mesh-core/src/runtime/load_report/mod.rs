//! Load reports (gRFC A27): who reports what to whom, and the guards that count attempts to their real end.
//!
//! ```text
//!  configuration ─▶ Reporting, one per cluster in use ─▶ Recording, one per attempt
//!                        │ registers                          │ counts
//!                        ▼                                    ▼
//!                    LoadStore ◀──── take ──── reporter    LocalityCounts
//! ```

mod recording;
mod reporting;
mod store;
#[cfg(test)]
mod tests;

pub use store::LoadStore;

pub(crate) use recording::{Recording, Unsent};
pub(crate) use reporting::Reporting;
