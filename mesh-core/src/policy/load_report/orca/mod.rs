//! ORCA: the load that an endpoint reports with each response (gRFC A51).
//!
//! The message is `xds.data.orca.v3.OrcaLoadReport`, in the header [`HEADER`] as base64. An unreadable report is
//! ignored; it never fails the call.

mod header;
mod report;
#[cfg(test)]
mod tests;
mod wire;

pub use header::{HEADER, Payload};
pub use report::OrcaReport;
