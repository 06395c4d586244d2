//! The whole client against control servers: in memory on virtual time, and over gRPC on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod connection;
mod control;
mod echo;
mod endpoint;
mod errors;
mod flow;
mod grpc;
mod load_report;
mod load_report_grpc;
mod logs;
mod memory;
mod secure;
mod shared;
mod snapshot;
mod streams;
mod tokens;

/// TLS for a test's own server, by aws-lc. tonic asks for the provider of the process, and where another package of a
/// build brings a second one into the tree there is none unless the program chooses.
pub(crate) fn server_tls() -> tonic::transport::ServerTlsConfig {
    // An error means that another test has chosen it already.
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    tonic::transport::ServerTlsConfig::new()
}
