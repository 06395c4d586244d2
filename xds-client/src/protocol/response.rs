//! What the server sent, already decoded.

use std::fmt;

use bytes::Bytes;
use mesh_core::config::Name;

use crate::resource::AnyResource;

/// A `DiscoveryResponse` with every resource decoded or refused.
#[derive(Debug, Clone)]
pub struct Response {
    /// The type of all its resources.
    pub type_url: String,
    /// To be sent back when accepted.
    pub version: String,
    /// To be sent back in any case.
    pub nonce: String,
    /// In the order of the wire.
    pub resources: Vec<Result<Received, Rejected>>,
}

/// A valid resource.
#[derive(Clone)]
pub struct Received {
    /// As the resource itself says.
    pub name: Name,
    /// The validated value.
    pub resource: AnyResource,
    /// The message that it was decoded from: equal bytes are the same resource (TR-23).
    pub bytes: Bytes,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("name", &self.name).field("bytes", &self.bytes.len()).finish()
    }
}

/// A resource that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `None` when it could not be read (TR-15).
    pub name: Option<Name>,
    /// One line without the name: which field, what was found and what was expected.
    pub reason: String,
}
