//! What the examples share: the greeter service.

/// The generated messages, client and server of `proto/greeter.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_lines,
    clippy::use_self,
    reason = "generated code"
)]
pub mod greeter {
    tonic::include_proto!("mesh.examples.v1");
}
