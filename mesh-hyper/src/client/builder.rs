//! Builds a client.

use std::num::NonZeroUsize;
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::policy::retry::MaxAttempts;
use mesh_core::runtime::{ChannelSettings, ReplayLimit, ReplayMemory, WaitForReady};

use super::targets::Targets;
use super::{ClientError, MeshClient};

/// The steps to a [`MeshClient`] with settings of its own.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is made before `build`"]
pub struct MeshClientBuilder {
    mesh: Option<Mesh>,
    settings: ChannelSettings,
    max_targets: MaxTargets,
}

/// How many targets a client keeps: 1,000 by default. Each has a subscription at the control-server.
///
/// The names come from URLs, so without a bound a caller of the program could fill its memory. Beyond the bound the target that
/// has been used least recently is dropped; requests that run go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxTargets(pub NonZeroUsize);

impl Default for MaxTargets {
    fn default() -> Self {
        Self(NonZeroUsize::MIN.saturating_add(999))
    }
}

impl MeshClientBuilder {
    /// Use this mesh, not the process's own.
    pub fn mesh(mut self, mesh: &Mesh) -> Self {
        self.mesh = Some(mesh.clone());
        self
    }

    /// How many targets the client keeps.
    pub fn max_targets(mut self, max: MaxTargets) -> Self {
        self.max_targets = max;
        self
    }

    /// Whether requests wait while no endpoint can be reached, until their deadline, rather than get a 503 at once: off by
    /// default.
    pub fn wait_for_ready(mut self, wait: impl Into<WaitForReady>) -> Self {
        self.settings.wait_for_ready = wait.into();
        self
    }

    /// The timeout of requests without one of their own; by default only the route's timeout limits them.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// The most attempts for one request, even if the control plane allows more: 5 by default.
    pub fn max_attempts(mut self, attempts: MaxAttempts) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    /// How much of its body a request keeps for another attempt: 256 KiB by default. One that sends more is not tried again.
    pub fn replay_limit(mut self, limit: ReplayLimit) -> Self {
        self.settings.replay_limit = limit;
        self
    }

    /// How much all requests to one target keep of their bodies at the same time: 1 MiB by default. One that would exceed it is
    /// not tried again.
    pub fn replay_memory(mut self, memory: ReplayMemory) -> Self {
        self.settings.replay_memory = memory;
        self
    }

    /// Builds the client. Connects nothing yet.
    ///
    /// # Errors
    /// [`ClientError`] when no [`mesh`](Self::mesh) is given and the process's own cannot be started: the bootstrap is wrong, or
    /// there is no tokio runtime.
    pub fn build(self) -> Result<MeshClient, ClientError> {
        let mesh = match &self.mesh {
            Some(mesh) => mesh.clone(),
            None => xds_client::shared_mesh().map_err(ClientError::mesh)?,
        };
        Ok(self.build_over(&mesh))
    }

    pub(super) fn build_over(self, mesh: &Mesh) -> MeshClient {
        MeshClient(Targets::new(mesh.clone(), self.settings, self.max_targets.0).into())
    }
}
