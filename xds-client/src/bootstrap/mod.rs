#![doc = include_str!("../../../docs/bootstrap.md")]

mod authority;
mod builder;
mod certificate_provider;
mod credentials;
mod error;
mod guards;
mod json;
mod load;
mod node;
mod parse;
mod server;
mod target;
#[cfg(test)]
mod target_tests;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mesh_core::config::Name;
use mesh_core::runtime::Target;

pub use authority::Authority;
pub use builder::BootstrapBuilder;
pub use certificate_provider::{CertificateProvider, FileWatcher, RevocationDirectory, WorkloadApi};
pub use credentials::{
    AllowedGrpcService, CallCredentials, ChannelCredentials, IdentityFiles, TlsCredentials,
};
pub use error::{BootstrapError, Origin, TargetError};
pub use guards::FeatureGuards;
pub use node::Node;
pub use server::{ServerConfig, ServerFeatures};
pub use target::parse as parse_target;

use template::Template;

/// The xDS servers, the node that this client reports, and the names of listeners. Validated and immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    servers: Vec<ServerConfig>,
    node: Node,
    certificate_providers: BTreeMap<Name, CertificateProvider>,
    client_template: Template,
    server_template: Option<Template>,
    authorities: BTreeMap<String, Authority>,
    allowed_grpc_services: BTreeMap<String, AllowedGrpcService>,
    guards: FeatureGuards,
}

impl Bootstrap {
    /// The bootstrap of the process, from `GRPC_XDS_BOOTSTRAP` or `GRPC_XDS_BOOTSTRAP_CONFIG`.
    ///
    /// It is read once, at the first call; later calls give the same answer, even if the variables or the file have
    /// changed.
    ///
    /// # Errors
    /// [`BootstrapError`], also remembered: neither variable is set, the file cannot be read, or its content is wrong.
    // BS-06
    pub fn from_env() -> Result<Self, BootstrapError> {
        load::once()
    }

    /// Reads a bootstrap from JSON with the content of a bootstrap file. Reads no variables, not even feature guards.
    ///
    /// # Errors
    /// [`BootstrapError`] with line and column for bad JSON, with the field's path for anything else.
    pub fn from_json(json: &str) -> Result<Self, BootstrapError> {
        Self::from_json_with(json, FeatureGuards::default())
    }

    /// As [`from_json`](Self::from_json), with the feature guards that the environment would set.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_json_with(json: &str, guards: FeatureGuards) -> Result<Self, BootstrapError> {
        parse::from_json(json, &Origin::Json, guards)
    }

    /// Starts a bootstrap in code.
    ///
    /// ```
    /// use xds_client::bootstrap::{Bootstrap, ServerConfig};
    ///
    /// let bootstrap =
    ///     Bootstrap::builder().server(ServerConfig::insecure("127.0.0.1:15010")).node_id("shop-1").build()?;
    /// assert_eq!(bootstrap.servers()[0].uri(), "127.0.0.1:15010");
    /// # Ok::<(), xds_client::bootstrap::BootstrapError>(())
    /// ```
    pub fn builder() -> BootstrapBuilder {
        BootstrapBuilder::default()
    }

    /// The xDS servers for names without an authority, the preferred one first. At least one.
    // BS-07
    pub fn servers(&self) -> &[ServerConfig] {
        &self.servers
    }

    /// The xDS node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The certificate providers that this library knows, by instance name; the others are left out.
    // BS-30
    pub fn certificate_providers(&self) -> &BTreeMap<Name, CertificateProvider> {
        &self.certificate_providers
    }

    /// The federation's authorities, by name (gRFC A47).
    pub fn authorities(&self) -> &BTreeMap<String, Authority> {
        &self.authorities
    }

    /// The targets that servers which are not trusted may send calls to, by target URI.
    // BS-46
    pub fn allowed_grpc_services(&self) -> &BTreeMap<String, AllowedGrpcService> {
        &self.allowed_grpc_services
    }

    /// The node as this process states it to servers.
    pub(crate) fn stated_node(&self) -> Node {
        self.node.of_process(self.allowed_grpc_services.keys())
    }

    /// Behaviour that the environment switches on or off.
    pub fn guards(&self) -> FeatureGuards {
        self.guards
    }

    /// Parses a target: `xds:///name`, `xds:name`, `xds://authority/name` or `name`.
    ///
    /// # Errors
    /// [`TargetError`] for another scheme, a name that is empty or not UTF-8 once decoded, and for an authority that
    /// the bootstrap does not have.
    // BS-42
    pub fn target(&self, target: &str) -> Result<Target, TargetError> {
        let target = target::parse(target)?;
        if let Some(authority) = &target.xds_authority {
            self.known_authority(authority)?;
        }
        Ok(target)
    }

    /// The name of the listener that a client requests to reach `target`.
    ///
    /// # Errors
    /// [`TargetError::UnknownAuthority`] when the target's authority, or the one that the default template leads to,
    /// is not in the bootstrap.
    // BS-37 to BS-43
    pub fn listener_name(&self, target: &Target) -> Result<String, TargetError> {
        if let Some(authority) = &target.xds_authority {
            return Ok(self.known_authority(authority)?.template.expand(&target.name));
        }
        let name = self.client_template.expand(&target.name);
        // BS-43: the authority must exist, but its own template is not used.
        if let Some(authority) = template::xdstp_authority(&name) {
            self.known_authority(&authority)?;
        }
        Ok(name)
    }

    /// The name of the listener that a server requests which listens on `address`.
    ///
    /// # Errors
    /// [`TargetError::NoServerTemplate`] when the bootstrap has no template for servers.
    // BS-39
    pub fn server_listener_name(&self, address: SocketAddr) -> Result<String, TargetError> {
        let template = self.server_template.as_ref().ok_or(TargetError::NoServerTemplate)?;
        Ok(template.expand(&address.to_string()))
    }

    fn known_authority(&self, name: &str) -> Result<&Authority, TargetError> {
        self.authorities.get(name).ok_or_else(|| TargetError::UnknownAuthority {
            authority: name.to_owned(),
            known: self.authorities.keys().cloned().collect(),
        })
    }
}
