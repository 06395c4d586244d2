//! Load reports: what clients say of the calls that they made (LRS), summed up for the admin API.
//!
//! ```text
//! stream of a client -> Report (limits, rates) -> Ledger (latest of each client) -> sums -> admin, metrics
//! ```
//!
//! The protocol is section 2.7 of the conformance list. Invariants:
//! - A report is what its client has done in one interval; the next one replaces it. What a client does not mention has no
//!   load.
//! - A client that has left counts for one interval more, in which it may report again over another stream; one that is
//!   silent for three.
//! - Only clusters that are served are kept, and of everything else only so much: no client makes the server grow, and none
//!   takes the room of all others.
//! - `Ledger` never reads a clock; whoever has one tells the time.

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

pub use reports::LoadReports;
pub use service::LoadReporting;
pub use status::{ClusterLoad, LoadList, LocalityLoad, Rates, ReporterLoad};
