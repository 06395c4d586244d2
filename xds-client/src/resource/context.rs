//! What decoding may depend on besides the resource.

use mesh_core::config::Name;

use crate::bootstrap::{Bootstrap, FeatureGuards, ServerConfig};

/// What decoding may depend on: the server that sent the resource, and the bootstrap.
#[derive(Debug, Clone, Default)]
pub struct DecodeContext {
    /// The server's URI.
    pub server: Name,
    /// The server has the feature `trusted_xds_server` (BS-20).
    pub trusted_server: bool,
    /// Instance names of the bootstrap's certificate providers (TLS-05).
    pub certificate_providers: Vec<Name>,
    /// Behaviour that the environment switches on or off.
    pub guards: FeatureGuards,
    /// The server is spoken to in incremental xDS, so glob collections can be asked for (TR-56).
    pub incremental: bool,
    /// The largest message of one resource that is decoded, in bytes; `None`: any.
    pub max_resource_size: Option<usize>,
}

impl DecodeContext {
    /// The context for what `server` sends in SotW xDS, without a limit of size.
    pub fn new(bootstrap: &Bootstrap, server: &ServerConfig) -> Self {
        Self {
            server: server.uri().into(),
            trusted_server: server.features().trusted_xds_server,
            certificate_providers: bootstrap.certificate_providers().keys().cloned().collect(),
            guards: bootstrap.guards(),
            incremental: false,
            max_resource_size: None,
        }
    }
}
