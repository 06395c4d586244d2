//! ORCA: the load that an endpoint reports with each response (gRFC A51).
//!
//! The message is `xds.data.orca.v3.OrcaLoadReport`, in the header [`HEADER`] as base64. An unreadable report is
//! ignored; it never fails the call.

mod header;
#[cfg_attr(
    not(feature = "testing"),
    expect(unreachable_pub, reason = "a test of xds-client compares the report with protobuf's")
)]
mod report;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(test)]
pub(crate) use header::HEADER;
pub(crate) use header::Payload;
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "see above"))]
pub use report::OrcaReport;
