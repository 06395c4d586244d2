//! Builds a bootstrap step by step. The JSON reader uses this builder too, so that the same rules hold for both.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::config::Name;

use super::template::Template;
use super::{
    AllowedGrpcService, Authority, Bootstrap, BootstrapError, CertificateProvider, FeatureGuards, Node,
    Origin, ServerConfig,
};

/// Steps to a [`Bootstrap`]; started by [`Bootstrap::builder`].
#[derive(Debug, Default)]
#[must_use = "nothing happens before build()"]
pub struct BootstrapBuilder {
    servers: Vec<ServerConfig>,
    node: Node,
    certificate_providers: BTreeMap<Name, CertificateProvider>,
    client_template: Option<String>,
    server_template: Option<String>,
    authorities: BTreeMap<String, (Option<String>, Vec<ServerConfig>)>,
    reachability_only: BTreeSet<String>,
    allowed_grpc_services: BTreeMap<String, AllowedGrpcService>,
    guards: FeatureGuards,
}

impl BootstrapBuilder {
    /// Adds a server, after those already added. At least one is needed.
    pub fn server(mut self, server: ServerConfig) -> Self {
        self.servers.push(server);
        self
    }

    /// The xDS node: its id only. Default: empty.
    pub fn node_id(mut self, id: impl Into<String>) -> Self {
        self.node.id = id.into();
        self
    }

    /// The xDS node, with locality and metadata.
    pub fn node(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    /// Adds a certificate provider under the name that resources use for it.
    pub fn certificate_provider(mut self, instance: impl Into<Name>, provider: CertificateProvider) -> Self {
        self.certificate_providers.insert(instance.into(), provider);
        self
    }

    /// How clients name listeners; every `%s` is the target's name. Default: `%s`.
    pub fn client_listener_template(mut self, template: impl Into<String>) -> Self {
        self.client_template = Some(template.into());
        self
    }

    /// How servers name listeners; every `%s` is `IP:port`. Without one there can be no xDS server.
    pub fn server_listener_template(mut self, template: impl Into<String>) -> Self {
        self.server_template = Some(template.into());
        self
    }

    /// Adds an authority. No template: the default one; no servers: those of the bootstrap.
    pub fn authority(
        mut self,
        name: impl Into<String>,
        listener_template: Option<String>,
        servers: Vec<ServerConfig>,
    ) -> Self {
        self.authorities.insert(name.into(), (listener_template, servers));
        self
    }

    /// Lets an authority that has been added fall back as soon as a server cannot be reached, even when all that is
    /// watched has been received.
    // BS-45
    pub fn fallback_on_reachability_only(mut self, authority: impl Into<String>) -> Self {
        self.reachability_only.insert(authority.into());
        self
    }

    /// Allows that servers which are not trusted send calls to this target, with these credentials.
    // BS-46
    pub fn allowed_grpc_service(mut self, target: impl Into<String>, service: AllowedGrpcService) -> Self {
        self.allowed_grpc_services.insert(target.into(), service);
        self
    }

    /// Sets the feature guards that the environment would set.
    pub fn guards(mut self, guards: FeatureGuards) -> Self {
        self.guards = guards;
        self
    }

    /// The bootstrap.
    ///
    /// # Errors
    /// [`BootstrapError::Invalid`] with the path that the field has in JSON: no server, an empty server URI, a
    /// certificate provider without files, an authority's template outside of that authority, fallback of an authority that
    /// has not been added.
    pub fn build(self) -> Result<Bootstrap, BootstrapError> {
        self.build_from(&Origin::Code)
    }

    pub(super) fn build_from(self, origin: &Origin) -> Result<Bootstrap, BootstrapError> {
        let invalid = |path: String, reason: &str| BootstrapError::Invalid {
            origin: origin.clone(),
            path,
            reason: reason.to_owned(),
        };
        // BS-07
        if self.servers.is_empty() {
            return Err(invalid("xds_servers".into(), "at least one server is needed"));
        }
        let lists =
            self.authorities.iter().map(|(name, (_, servers))| (format!("authorities[{name:?}]."), servers));
        for (prefix, servers) in lists.chain([(String::new(), &self.servers)]) {
            // BS-08
            if let Some(index) = servers.iter().position(|server| server.uri().is_empty()) {
                let path = format!("{prefix}xds_servers[{index}].server_uri");
                return Err(invalid(path, "must not be empty"));
            }
        }
        for (name, provider) in &self.certificate_providers {
            let checked = match provider {
                CertificateProvider::FileWatcher(watcher) => watcher.check(),
                CertificateProvider::WorkloadApi(agent) => agent.check(),
            };
            if let Err(reason) = checked {
                return Err(invalid(format!("certificate_providers[{name:?}].config"), reason));
            }
        }
        if let Some(name) = self.reachability_only.iter().find(|name| !self.authorities.contains_key(*name)) {
            return Err(invalid(format!("authorities[{name:?}]"), "there is no such authority"));
        }
        let mut authorities = BTreeMap::new();
        for (name, (template, own)) in self.authorities {
            // BS-40
            let servers = if own.is_empty() { self.servers.clone() } else { own };
            let mut authority = Authority::new(origin, &name, template, servers)?;
            if self.reachability_only.contains(&name) {
                authority = authority.falling_back_on_reachability_only();
            }
            authorities.insert(name, authority);
        }
        Ok(Bootstrap {
            servers: self.servers,
            node: self.node,
            certificate_providers: self.certificate_providers,
            client_template: Template::new(self.client_template.unwrap_or_else(|| "%s".into())),
            server_template: self.server_template.map(Template::new),
            authorities,
            allowed_grpc_services: self.allowed_grpc_services,
            guards: self.guards,
        })
    }
}
