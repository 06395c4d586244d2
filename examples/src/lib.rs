//! What the examples, the tests across crates and the benches share: the greeter service.

pub mod service;

/// The generated messages, clients and servers of `proto/greeter.proto` and `proto/echo.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    reason = "generated code"
)]
pub mod greeter {
    tonic::include_proto!("mesh.examples.v1");
}
