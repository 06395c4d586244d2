//! A server's configuration without a control plane.

use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::runtime::{ServerConfigState, ServerConfigWatch, SourceError};

/// A server's configuration, set by the program itself. Running servers follow changes. Clones are the same.
#[derive(Debug, Clone)]
pub struct FixedServer(watch::Sender<ServerConfigState>);

impl FixedServer {
    /// With this configuration.
    pub fn new(config: ServerConfig) -> Self {
        Self(watch::Sender::new(ServerConfigState::of(config)))
    }

    /// With none yet: servers close connections.
    pub fn waiting() -> Self {
        Self(watch::Sender::new(ServerConfigState::default()))
    }

    /// Another configuration.
    pub fn set(&self, config: ServerConfig) {
        self.0.send_replace(ServerConfigState::of(config));
    }

    /// No configuration any more, for this reason.
    pub fn fail(&self, error: SourceError) {
        self.0.send_replace(ServerConfigState::failed(error));
    }

    pub(super) fn watch(&self) -> ServerConfigWatch {
        ServerConfigWatch::new(self.0.subscribe(), self.0.clone())
    }
}
