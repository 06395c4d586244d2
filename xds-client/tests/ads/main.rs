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
