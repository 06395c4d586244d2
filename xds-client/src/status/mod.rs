//! A client's status: for CSDS (gRFC A40, A71, A88), as JSON, and as metrics (gRFC A78).
//!
//! ```text
//!  XdsClient::status ─┬─▶ client_config ─┬─▶ answer: encoded CSDS messages
//!                     │                  └─▶ XdsClient::status_json
//!                     └─▶ metrics: XdsClient::metrics, and instruments that read it
//! ```
//!
//! Nothing here keeps state: each answer is made from the current status. Only watched resources appear.
//! `mesh_tonic::ClientStatusService` is the gRPC service.
// TR-63

mod answer;
mod client_config;
mod clock;
mod json;
mod metrics;
#[cfg(test)]
mod tests;

pub use answer::{Refused, answer};
pub use metrics::{Metric, MetricKind, Point};
