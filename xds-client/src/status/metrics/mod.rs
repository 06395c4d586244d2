//! Metrics of a client (gRFC A78, A88): values for any metrics system, and instruments for OpenTelemetry.

mod family;
#[cfg(feature = "opentelemetry")]
mod observe;
mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::{Metric, MetricKind, Point};
