//! Clients and servers that are not ours, at the other end of the wire: docs/interop.md.

mod client;
mod envoy;
mod grpc;
mod servers;
