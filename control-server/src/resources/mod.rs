//! Encoded resources under their names, made by translation and served by discovery.

mod collection;
mod kind;
mod members;
mod scope;
mod servers;
mod set;
mod table;

use std::hash::Hasher as _;
use std::sync::Arc;

use bytes::Bytes;

pub use collection::Collection;
pub(crate) use collection::glob_of;
pub use kind::{ClientClass, ResourceKind, Slot};
pub(crate) use members::{Assignment, path_segment};
pub(crate) use scope::TOPOLOGY;
pub use scope::{ClientScope, Locality, ScopeSelector, Scoped};
pub use servers::ServerListeners;
pub(crate) use servers::{SERVER_LISTENERS, is_server_listener};
pub use set::ResourceSet;
pub(crate) use set::canonical_name;
pub use table::Table;

/// One resource, encoded once and shared by all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedResource {
    /// Its name.
    pub name: Arc<str>,
    /// The content's hash, in hexadecimal.
    pub version: Arc<str>,
    /// The encoded message (the `value` of its `Any`).
    pub bytes: Bytes,
    /// The objects that it comes from.
    pub made_by: MadeBy,
}

/// Objects of the configuration as `kind namespace/name`, the one that decides most first. Shared by the resources of a service.
pub type MadeBy = Arc<[Arc<str>]>;

impl EncodedResource {
    /// A resource whose version is the hash of its content.
    pub fn new(name: Arc<str>, bytes: Bytes) -> Self {
        let mut hasher = twox_hash::XxHash64::with_seed(0);
        hasher.write(&bytes);
        Self { name, version: format!("{:016x}", hasher.finish()).into(), bytes, made_by: MadeBy::default() }
    }

    /// The same resource, made by these objects.
    #[must_use]
    pub fn made_by(self, made_by: MadeBy) -> Self {
        Self { made_by, ..self }
    }
}
