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

use crate::yaml::FieldPath;

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
    /// Of a route configuration: the rule behind each route, in the order of the routes. `None`: no route has one.
    pub rules: Option<Rules>,
}

/// The rules behind the routes of a route configuration; `None`: a route that is there without a rule.
pub type Rules = Arc<[Option<Rule>]>;

/// A rule of an object of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `kind namespace/name`.
    pub(crate) object: Arc<str>,
    pub(crate) field: FieldPath,
}

/// Objects of the configuration as `kind namespace/name`, the one that decides most first. Shared by the resources of a service.
pub type MadeBy = Arc<[Arc<str>]>;

impl EncodedResource {
    /// A resource whose version is the hash of its content.
    pub fn new(name: Arc<str>, bytes: Bytes) -> Self {
        let mut hasher = twox_hash::XxHash64::with_seed(0);
        hasher.write(&bytes);
        Self {
            name,
            version: format!("{:016x}", hasher.finish()).into(),
            bytes,
            made_by: MadeBy::default(),
            rules: None,
        }
    }

    /// The same resource, made by these objects.
    #[must_use]
    pub fn made_by(self, made_by: MadeBy) -> Self {
        Self { made_by, ..self }
    }

    /// The same resource, with the rules behind its routes.
    #[must_use]
    pub(crate) fn with_rules(self, rules: Option<Rules>) -> Self {
        Self { rules, ..self }
    }
}
