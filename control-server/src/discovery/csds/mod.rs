//! The status of every connected client over gRPC (CSDS), as this server sees it: what it has sent, and how clients
//! answered.
//!
//! A client that serves CSDS itself reports what it uses; comparing both shows differences. The answers have all of the
//! configuration, so it belongs on the admin listener and never on the one that serves xDS (SEC-10).

mod matcher;
mod message;
mod service;
#[cfg(test)]
mod tests;

pub use service::ClientStatusDiscovery;
