//! The steps to a channel.

use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use mesh_core::Mesh;
use mesh_core::policy::retry::MaxAttempts;
use mesh_core::runtime::{Channel, ChannelSettings, ReplayLimit, WaitForReady};
use xds_client::Options;
use xds_client::bootstrap::parse_target;

use crate::{ConnectError, MeshChannel};

/// The steps to a [`MeshChannel`] with settings of its own.
#[derive(Debug, Clone)]
#[must_use = "nothing is made before `build`"]
pub struct MeshChannelBuilder {
    target: String,
    mesh: Option<Mesh>,
    authority: Option<String>,
    snapshot: Option<PathBuf>,
    settings: ChannelSettings,
}

impl MeshChannelBuilder {
    pub(crate) fn new(target: String) -> Self {
        Self { target, mesh: None, authority: None, snapshot: None, settings: ChannelSettings::default() }
    }

    /// Use this mesh, not the process's own.
    pub fn mesh(mut self, mesh: &Mesh) -> Self {
        self.mesh = Some(mesh.clone());
        self
    }

    /// Keeps the configuration in use in this file, for a start while no control server can be reached. Written a second
    /// after a change and when the last channel goes. One file is for one process at a time.
    ///
    /// For the process's own mesh, which its first channel starts: every channel that says so must name the same file. The
    /// variable `MESH_XDS_SNAPSHOT` does the same without code.
    pub fn snapshot(mut self, file: impl Into<PathBuf>) -> Self {
        self.snapshot = Some(file.into());
        self
    }

    /// Whether calls wait while no endpoint can be reached, until their deadline, rather than fail at once: off by
    /// default. A call may say otherwise with a [`WaitForReady`] among its extensions.
    pub fn wait_for_ready(mut self, wait: impl Into<WaitForReady>) -> Self {
        self.settings.wait_for_ready = wait.into();
        self
    }

    /// The timeout of calls that bring none; by default they have none but the route's.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// What is sent as `:authority`, and what virtual hosts are matched with: the target's name by default.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// The most attempts for one call, whatever the control plane says: 5 by default.
    pub fn max_attempts(mut self, attempts: MaxAttempts) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    /// How much of a request is kept for another attempt; a longer one is sent only once. 64 KiB by default.
    pub fn replay_limit(mut self, limit: ReplayLimit) -> Self {
        self.settings.replay_limit = limit;
        self
    }

    /// The channel. Connects nothing yet.
    ///
    /// # Errors
    /// [`ConnectError`] when the target, the authority or the bootstrap is wrong, or outside of a tokio runtime.
    pub fn build(self) -> Result<MeshChannel, ConnectError> {
        let mut target = parse_target(&self.target).map_err(ConnectError::target)?;
        if let Some(authority) = self.authority {
            target.authority = authority;
        }
        let authority: Authority =
            target.authority.parse().map_err(|error| ConnectError::authority(&target, error))?;
        let mesh = match (self.mesh, self.snapshot) {
            (Some(_), Some(_)) => return Err(ConnectError::snapshot_of_given_mesh()),
            (Some(mesh), None) => mesh,
            (None, None) => xds_client::shared_mesh().map_err(ConnectError::mesh)?,
            (None, Some(file)) => {
                let options = Options { snapshot: Some(file), ..Options::from_env() };
                xds_client::shared_mesh_with(options).map_err(ConnectError::mesh)?
            }
        };
        let channel = Channel::new(&mesh, &target, self.settings).map_err(ConnectError::channel)?;
        Ok(MeshChannel::new(channel, authority))
    }
}
