//! ORCA: the load that an endpoint reports with each response (gRFC A51).
//!
//! The message is `xds.data.orca.v3.OrcaLoadReport`, in the header [`HEADER`] as base64. An unreadable report is
//! ignored; it never fails the call.

mod header;
#[cfg(test)]
mod tests;
mod weight;
mod wire;

use std::str;

use wire::{Field, Fields, Value};

#[cfg(test)]
pub(crate) use header::HEADER;
pub(crate) use header::Payload;

/// A report that borrows from the message's bytes. A field that is not on the wire is `None`; protobuf leaves out zeros.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(unreachable_pub, reason = "a test of xds-client compares the report with protobuf's")
)]
pub struct OrcaReport<'a> {
    /// Share of the CPU that is used; may be above 1.
    pub cpu_utilization: Option<f64>,
    /// Share of the memory that is used.
    pub mem_utilization: Option<f64>,
    /// Share of the application's scarcest resource that is used; may be above 1.
    pub application_utilization: Option<f64>,
    /// Requests per second.
    pub requests_per_second: Option<f64>,
    /// Errors per second.
    pub errors_per_second: Option<f64>,
    message: &'a [u8],
}

#[cfg_attr(not(any(test, feature = "testing")), expect(unreachable_pub, reason = "see above"))]
impl<'a> OrcaReport<'a> {
    /// Reads a message; `None` if any byte of it does not parse.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut report = Self { message, ..Self::default() };
        for field in Fields::of(message) {
            // The last value of a field counts.
            match field? {
                Field { number: CPU_UTILIZATION, value } => report.cpu_utilization = Some(value.as_double()?),
                Field { number: MEM_UTILIZATION, value } => report.mem_utilization = Some(value.as_double()?),
                Field { number: APPLICATION_UTILIZATION, value } => {
                    report.application_utilization = Some(value.as_double()?);
                }
                Field { number: RPS_FRACTIONAL, value } => {
                    report.requests_per_second = Some(value.as_double()?)
                }
                Field { number: EPS, value } => report.errors_per_second = Some(value.as_double()?),
                Field { number: REQUEST_COST | UTILIZATION | NAMED_METRICS, value } => _ = entry(value)?,
                _ => {}
            }
        }
        Some(report)
    }

    /// The cost of the request, by resource. The last value of a repeated name counts.
    #[cfg(any(test, feature = "testing"))]
    pub fn request_cost(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        self.entries(REQUEST_COST)
    }

    /// Shares in use, by resource. The last value of a repeated name counts.
    pub fn utilization(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        self.entries(UTILIZATION)
    }

    /// The application's own metrics. The last value of a repeated name counts.
    pub fn named_metrics(&self) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        self.entries(NAMED_METRICS)
    }

    /// One of the application's own metrics.
    pub fn named_metric(&self, name: &str) -> Option<f64> {
        self.named_metrics().filter(|(known, _)| *known == name).last().map(|(_, value)| value)
    }

    fn entries(&self, map: u32) -> impl Iterator<Item = (&'a str, f64)> + use<'a> {
        let fields = Fields::of(self.message).flatten();
        fields.filter(move |field| field.number == map).filter_map(|field| entry(field.value))
    }
}

/// An entry of a map; an omitted part has its default.
fn entry(value: Value<'_>) -> Option<(&str, f64)> {
    let mut entry = ("", 0.0);
    for field in Fields::of(value.as_bytes()?) {
        match field? {
            Field { number: 1, value } => entry.0 = str::from_utf8(value.as_bytes()?).ok()?,
            Field { number: 2, value } => entry.1 = value.as_double()?,
            _ => {}
        }
    }
    Some(entry)
}

const CPU_UTILIZATION: u32 = 1;
const MEM_UTILIZATION: u32 = 2;
const REQUEST_COST: u32 = 4;
const UTILIZATION: u32 = 5;
const RPS_FRACTIONAL: u32 = 6;
const EPS: u32 = 7;
const NAMED_METRICS: u32 = 8;
const APPLICATION_UTILIZATION: u32 = 9;
