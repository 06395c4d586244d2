//! Names, labels and values at a moment.

use mesh_core::config::Name;

use super::family::FAMILIES;
use crate::client::XdsClient;

/// One metric, with all its label sets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// As gRFC A78 has it.
    pub name: &'static str,
    /// For human eyes.
    pub description: &'static str,
    /// In the notation of OpenTelemetry: `{resource}`.
    pub unit: &'static str,
    /// What the values mean over time.
    pub kind: MetricKind,
    /// No two have the same labels.
    pub points: Vec<Point>,
}

/// What a value means over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// How it is now.
    Gauge,
    /// How often since the client started. Never falls.
    Counter,
}

/// One value, and what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// Names and values.
    pub labels: Vec<(&'static str, Name)>,
    /// A number of what the metric's unit says; 1 and 0 for true and false.
    pub value: u64,
}

impl XdsClient {
    /// The client's metrics, as gRFC A78 names and labels them. Takes time linear in the number of resources.
    ///
    /// `grpc.target` is always `#process`: one client serves every target of its process, and `#server` is what gRPC says
    /// of servers. A server has no `connected` while no stream to it is needed.
    pub fn metrics(&self) -> Vec<Metric> {
        let status = self.status();
        FAMILIES.iter().map(|family| family.metric(&status)).collect()
    }
}
