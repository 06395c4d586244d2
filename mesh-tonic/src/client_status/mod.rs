//! CSDS: what the process's xDS clients have in use, over gRPC (gRFC A40).
//!
//! Messages pass through as bytes: xds-client alone knows what is in them.

mod codec;
mod method;
mod service;

pub use service::ClientStatusService;
