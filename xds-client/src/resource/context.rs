//! The inputs of decoding besides the resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::config::Name;
use mesh_core::policy::matcher::RegexCache;

use crate::bootstrap::{AllowedGrpcService, Bootstrap, FeatureGuards, ServerConfig};
use crate::certificate::CertificateProviders;

use super::{FilterRegistry, LbPolicyRegistry};

/// The inputs of decoding besides the resource: the server that sent it, and the bootstrap.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DecodeContext {
    /// The server's URI.
    pub server: Name,
    /// The server has the feature `trusted_xds_server`.
    // BS-20
    pub trusted_server: bool,
    /// The certificate providers that resources may name.
    // TLS-05
    pub certificate_providers: CertificateProviders,
    /// The services beside the control plane that resources may name, by their targets.
    // SEC-02
    pub allowed_grpc_services: Arc<BTreeMap<String, AllowedGrpcService>>,
    /// Behaviour that the environment switches on or off.
    pub guards: FeatureGuards,
    /// The client uses incremental xDS with the server, so it can subscribe to glob collections.
    // TR-56
    pub incremental: bool,
    /// The largest message of one resource that is decoded, in bytes; `None`: any.
    pub max_resource_size: Option<usize>,
    /// The maximum of the compiled regular expressions of one resource together, in bytes.
    pub max_regex_size: usize,
    /// The regular expressions that are in use, so that equal ones are compiled once. Share it between contexts.
    pub regexes: Arc<RegexCache>,
    /// The known HTTP filters.
    pub filters: FilterRegistry,
    /// The load-balancing policies of users.
    pub lb_policies: LbPolicyRegistry,
}

impl Default for DecodeContext {
    /// For a server without features; without a limit of a resource's size, and 16 MiB for regular expressions.
    fn default() -> Self {
        Self {
            server: Name::default(),
            trusted_server: false,
            certificate_providers: CertificateProviders::default(),
            allowed_grpc_services: Arc::default(),
            guards: FeatureGuards::default(),
            incremental: false,
            max_resource_size: None,
            max_regex_size: MAX_REGEX_SIZE,
            regexes: Arc::default(),
            filters: FilterRegistry::default(),
            lb_policies: LbPolicyRegistry::default(),
        }
    }
}

impl DecodeContext {
    /// The context of a server with SotW xDS, without a limit of size.
    pub fn new(bootstrap: &Bootstrap, server: &ServerConfig) -> Self {
        Self {
            server: server.uri().into(),
            trusted_server: server.features().trusted_xds_server,
            certificate_providers: CertificateProviders::of(bootstrap),
            allowed_grpc_services: Arc::new(bootstrap.allowed_grpc_services().clone()),
            guards: bootstrap.guards(),
            ..Self::default()
        }
    }
}

/// Enough for 10,000 ordinary expressions, which take a second to compile.
pub(crate) const MAX_REGEX_SIZE: usize = 16 << 20;
