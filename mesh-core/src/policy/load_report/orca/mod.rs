//! ORCA: what an endpoint says of its own load with each response (gRFC A51).
//!
//! The message is `xds.data.orca.v3.OrcaLoadReport`, in the header [`HEADER`] as base64. A report that cannot be read is
//! none: no byte of an endpoint is an error of the call.

mod header;
mod report;
#[cfg(test)]
mod tests;
mod wire;

pub use header::{HEADER, Payload};
pub use report::OrcaReport;
