//! What is sent to the server.

use mesh_core::config::Name;

/// A `DiscoveryRequest`, as far as the protocol decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The type that it is about.
    pub type_url: &'static str,
    /// Everything that is watched, sorted (TR-09).
    pub names: Vec<Name>,
    /// The last accepted version, or the one that is accepted hereby.
    pub version: String,
    /// The last received nonce, empty at first.
    pub nonce: String,
    /// Why the response with this nonce is rejected; `INVALID_ARGUMENT` on the wire (TR-06).
    pub error: Option<String>,
    /// Whether it is the stream's first, which carries the node (TR-02).
    pub with_node: bool,
}
