//! Load reports: counts of the calls that clients made (LRS), summed up for the admin API.
//!
//! ```text
//! stream of a client -> Report (limits, rates) -> Ledger (latest of each client) -> sums -> admin, metrics
//! ```
//!
//! The protocol is section 2.7 of the conformance list. Invariants:
//! - Rates are over one interval at least; counters have every call of every report that was taken.
//! - A report has its client's calls of one interval; the next one replaces it. A cluster that it does not mention has no
//!   load.
//! - A disconnected client counts for one interval more, in which it may report again over another stream; a silent
//!   one for three.
//! - Only served clusters are kept, and other parts only up to a limit: no client makes the server grow, and none
//!   uses the room of all others.
//! - `Ledger` never reads a clock; its callers pass the time.

mod budget;
mod client;
mod ledger;
mod limits;
mod load;
mod refusal;
mod report;
mod reports;
mod service;
mod status;
mod stream;
#[cfg(test)]
mod tests;

pub use load::CallCounts;
pub use reports::LoadReports;
pub use service::LoadReporting;
pub use status::{ClusterLoad, LoadList, LocalityLoad, Rates, ReporterLoad};
