//! The whole client against control servers: in memory on virtual time, and over gRPC on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod control;
mod endpoint;
mod grpc;
mod load_report;
mod memory;
mod shared;
mod streams;
