//! What decoding may depend on besides the resource.

use mesh_core::config::Name;

use crate::bootstrap::{Bootstrap, FeatureGuards, ServerConfig};

/// What decoding may depend on: the server that sent the resource, and the bootstrap.
#[derive(Debug, Clone, Default)]
pub struct DecodeContext {
    /// The server has the feature `trusted_xds_server` (BS-20).
    pub trusted_server: bool,
    /// Instance names of the bootstrap's certificate providers (TLS-05).
    pub certificate_providers: Vec<Name>,
    /// Behaviour that the environment switches on or off.
    pub guards: FeatureGuards,
}

impl DecodeContext {
    /// The context for what `server` sends.
    pub fn new(bootstrap: &Bootstrap, server: &ServerConfig) -> Self {
        Self {
            trusted_server: server.features().trusted_xds_server,
            certificate_providers: bootstrap.certificate_providers().keys().cloned().collect(),
            guards: bootstrap.guards(),
        }
    }
}
