//! Builds a server.

use mesh_core::Mesh;
use mesh_core::observe::ServerObserver;
use mesh_core::runtime::server::{
    BindError, FixedServer, Server, ServerBuilder, ServerSettings, ServingState,
};
use tokio::net::ToSocketAddrs;

use super::MeshServer;

/// The steps to a [`MeshServer`] with settings of its own.
#[derive(Debug)]
#[must_use = "nothing is bound before `bind` or `fixed`"]
pub struct MeshServerBuilder(ServerBuilder);

impl Default for MeshServerBuilder {
    fn default() -> Self {
        Self(Server::builder())
    }
}

impl MeshServerBuilder {
    /// Limits and times: of handshakes, connections and calls.
    pub fn settings(self, settings: ServerSettings) -> Self {
        Self(self.0.settings(settings))
    }

    /// Called with every change of the server's state: that it serves, or why it does not. Must not block. Without it changes
    /// are logged all the same.
    pub fn on_state(self, on_state: impl Fn(&ServingState) + Send + Sync + 'static) -> Self {
        Self(self.0.on_state(on_state))
    }

    /// Lets this observer learn of every call of the server, for metrics, for example. None by default, and then nothing is measured.
    pub fn observer(self, observer: impl ServerObserver) -> Self {
        Self(self.0.observer(observer))
    }

    /// Binds a server that the mesh's control plane configures; see [`MeshServer::bind`].
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound, or when no server of this process can be configured.
    pub async fn bind(self, mesh: &Mesh, address: impl ToSocketAddrs) -> Result<MeshServer, BindError> {
        self.0.bind(mesh, address).await.map(MeshServer)
    }

    /// Binds a server without a control plane; `config` can be changed while it runs.
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound.
    pub async fn fixed(
        self,
        config: &FixedServer,
        address: impl ToSocketAddrs,
    ) -> Result<MeshServer, BindError> {
        self.0.fixed(config, address).await.map(MeshServer)
    }
}
