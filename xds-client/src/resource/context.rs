//! What decoding may depend on besides the resource.

use std::sync::Arc;

use mesh_core::config::Name;
use mesh_core::policy::matcher::RegexCache;

use crate::bootstrap::{Bootstrap, FeatureGuards, ServerConfig};

use super::FilterRegistry;

/// What decoding may depend on: the server that sent the resource, and the bootstrap.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DecodeContext {
    /// The server's URI.
    pub server: Name,
    /// The server has the feature `trusted_xds_server`.
    // BS-20
    pub trusted_server: bool,
    /// Instance names of the bootstrap's certificate providers.
    // TLS-05
    pub certificate_providers: Vec<Name>,
    /// Behaviour that the environment switches on or off.
    pub guards: FeatureGuards,
    /// The server is spoken to in incremental xDS, so glob collections can be asked for.
    // TR-56
    pub incremental: bool,
    /// The largest message of one resource that is decoded, in bytes; `None`: any.
    pub max_resource_size: Option<usize>,
    /// What the compiled regular expressions of one resource may take together, in bytes.
    pub max_regex_size: usize,
    /// The regular expressions that are in use, so that equal ones are compiled once. Share it between contexts.
    pub regexes: Arc<RegexCache>,
    /// The HTTP filters that are known.
    pub filters: FilterRegistry,
}

impl Default for DecodeContext {
    /// For a server without features; without a limit of a resource's size, and 16 MiB for regular expressions.
    fn default() -> Self {
        Self {
            server: Name::default(),
            trusted_server: false,
            certificate_providers: Vec::new(),
            guards: FeatureGuards::default(),
            incremental: false,
            max_resource_size: None,
            max_regex_size: MAX_REGEX_SIZE,
            regexes: Arc::default(),
            filters: FilterRegistry::default(),
        }
    }
}

impl DecodeContext {
    /// The context for what `server` sends in SotW xDS, without a limit of size.
    pub fn new(bootstrap: &Bootstrap, server: &ServerConfig) -> Self {
        Self {
            server: server.uri().into(),
            trusted_server: server.features().trusted_xds_server,
            certificate_providers: bootstrap.certificate_providers().keys().cloned().collect(),
            guards: bootstrap.guards(),
            ..Self::default()
        }
    }
}

/// Room for 10,000 ordinary expressions. To compile that much takes a second.
pub(crate) const MAX_REGEX_SIZE: usize = 16 << 20;
