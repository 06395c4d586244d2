//! CSDS: the configuration in use by the process's xDS clients, over gRPC (gRFC A40).
//!
//! Messages pass through as bytes: only xds-client decodes them.

mod codec;
mod method;
mod service;

pub use service::ClientStatusService;
