//! An authority of the federation (gRFC A47).

use super::template::Template;
use super::{BootstrapError, Origin, ServerConfig};

/// An authority: the servers of its names, and the template of its listeners' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    servers: Vec<ServerConfig>,
    pub(super) template: Template,
    fallback_on_reachability_only: bool,
}

impl Authority {
    /// Checks the template; without one the default is taken (BS-41).
    pub(super) fn new(
        origin: &Origin,
        name: &str,
        template: Option<String>,
        servers: Vec<ServerConfig>,
    ) -> Result<Self, BootstrapError> {
        let prefix = Template::authority_prefix(name);
        let template = match template {
            None => Template::new(format!("{prefix}envoy.config.listener.v3.Listener/%s")),
            Some(text) if text.starts_with(&prefix) => Template::new(text),
            Some(text) => {
                return Err(BootstrapError::Invalid {
                    origin: origin.clone(),
                    path: format!("authorities[{name:?}].client_listener_resource_name_template"),
                    reason: format!("{text:?} must start with {prefix:?}"),
                });
            }
        };
        Ok(Self { servers, template, fallback_on_reachability_only: false })
    }

    pub(super) fn falling_back_on_reachability_only(self) -> Self {
        Self { fallback_on_reachability_only: true, ..self }
    }

    /// Its servers, the preferred one first: its own list, or the bootstrap's if it has none.
    // BS-40
    pub fn servers(&self) -> &[ServerConfig] {
        &self.servers
    }

    /// Whether the next server is used as soon as one cannot be reached, even when all watched resources have been
    /// received. Off by default.
    // BS-45
    pub fn fallback_on_reachability_only(&self) -> bool {
        self.fallback_on_reachability_only
    }
}
