//! Names, labels and values at one moment.

use mesh_core::config::Name;
use mesh_core::counters::{CounterFamily, CounterValue};

use super::family::{FAMILIES, of_counter};
use crate::client::{Status, XdsClient};

/// One metric, with all its label sets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name in gRFC A78.
    pub name: &'static str,
    /// A text for users.
    pub description: &'static str,
    /// In the notation of OpenTelemetry: `{resource}`.
    pub unit: &'static str,
    /// How values change over time.
    pub kind: MetricKind,
    /// No two have the same labels.
    pub points: Vec<Point>,
}

/// How values change over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// The current value.
    Gauge,
    /// The number since the client started. Never falls.
    Counter,
}

/// One value with its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// Names and values.
    pub labels: Vec<(&'static str, Name)>,
    /// A number in the metric's unit; 1 and 0 for true and false.
    pub value: u64,
}

impl XdsClient {
    /// The client's metrics, as gRFC A78 names and labels them, and what filters, servers and connections of its mesh have
    /// counted. Takes time linear in the number of resources.
    ///
    /// `grpc.target` is always `#process`, because one client serves every target of its process; gRPC has `#server` for
    /// servers. A server has no `connected` while no stream to it is needed.
    pub fn metrics(&self) -> Vec<Metric> {
        let status = self.status();
        let own = FAMILIES.iter().map(|family| family.metric(&status));
        own.chain(counted(&status)).collect()
    }
}

/// What filters, servers and connections have counted, each family once.
pub(super) fn counted(status: &Status) -> impl Iterator<Item = Metric> {
    let families = status.counters.chunk_by(|a, b| a.family.name == b.family.name);
    families.filter_map(|values: &[CounterValue]| {
        let CounterFamily { name, description, unit, .. } = values.first()?.family;
        let points = values.iter().map(of_counter).collect();
        Some(Metric { name, description, unit, kind: MetricKind::Counter, points })
    })
}
