//! What tests of other crates need of this one.

use crate::policy::first_bytes::{FirstBytes, classify};

pub use crate::policy::load_report::orca::OrcaReport;

/// Whether a server takes a client for one that speaks TLS or HTTP/2, by its first bytes; `None`: it needs more of them.
pub fn first_bytes(bytes: &[u8]) -> Option<bool> {
    match classify(bytes) {
        FirstBytes::Incomplete => None,
        FirstBytes::Tls | FirstBytes::Http2 => Some(true),
        FirstBytes::Other => Some(false),
    }
}
