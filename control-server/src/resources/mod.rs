//! Encoded resources under their names, made by translation and served by discovery.

mod collection;
mod kind;
mod set;
mod table;

use std::sync::Arc;

use bytes::Bytes;

pub use collection::Collection;
pub(crate) use collection::glob_of;
pub use kind::{ClientClass, ResourceKind, Slot};
pub use set::ResourceSet;
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
}
