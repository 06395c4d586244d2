//! The whole client against control servers: in memory on virtual time, and over gRPC on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod control;
mod grpc;
mod memory;
mod shared;
mod streams;
