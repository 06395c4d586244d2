//! Builds a channel.

use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderValue;
use http::uri::Authority;
use mesh_core::Mesh;
use mesh_core::policy::retry::{MaxAttempts, RetryThrottling};
use mesh_core::runtime::connect::{Http2Settings, Keepalive};
use mesh_core::runtime::{
    Channel, ChannelSettings, ConnectTimeout, PoolSettings, ReplayLimit, ReplayMemory, Target, WaitForReady,
};
use xds_client::bootstrap::parse_target;
use xds_client::{Options, XdsClient};

use crate::{ConnectError, MeshChannel};

/// Builds a [`MeshChannel`] with settings of its own.
#[derive(Debug, Clone)]
#[must_use = "nothing is made before `build`"]
pub struct MeshChannelBuilder {
    target: String,
    mesh: Option<Mesh>,
    authority: Option<String>,
    snapshot: Option<PathBuf>,
    connections: OwnConnections,
    user_agent: Option<String>,
    settings: ChannelSettings,
}

impl MeshChannelBuilder {
    pub(crate) fn new(target: String) -> Self {
        Self {
            target,
            mesh: None,
            authority: None,
            snapshot: None,
            connections: OwnConnections::default(),
            user_agent: None,
            settings: ChannelSettings::default(),
        }
    }

    /// Use this mesh, not the process's own.
    pub fn mesh(mut self, mesh: &Mesh) -> Self {
        self.mesh = Some(mesh.clone());
        self
    }

    /// Keeps the configuration in use in this file, for a start while no control server can be reached. Written a second
    /// after a change and when the last channel goes. One file is for one process at a time.
    ///
    /// For the process's own mesh, which its first channel starts: every channel that sets it must name the same file. The
    /// variable `MESH_XDS_SNAPSHOT` does the same without code.
    pub fn snapshot(mut self, file: impl Into<PathBuf>) -> Self {
        self.snapshot = Some(file.into());
        self
    }

    /// How its HTTP/2 connections behave.
    ///
    /// A channel with any setting of connections has connections of its own; the other channels of the process keep
    /// theirs. It still gets its configuration from the process's xDS client. Clone it, rather than build it twice. With
    /// [`mesh`](Self::mesh) these settings are the mesh builder's.
    pub fn http2(mut self, settings: Http2Settings) -> Self {
        self.connections.http2 = Some(settings);
        self
    }

    /// Pings on its connections: none by default. As [`http2`](Self::http2), connections of its own.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.connections.keepalive = Some(keepalive);
        self
    }

    /// The minimum time of an attempt to connect: 20 s by default; a cluster's own setting replaces it. As
    /// [`http2`](Self::http2), connections of its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.timeout = Some(timeout);
        self
    }

    /// When and how often its connections are made. As [`http2`](Self::http2), connections of its own.
    pub fn connections(mut self, settings: PoolSettings) -> Self {
        self.connections.pool = Some(settings);
        self
    }

    /// The prefix before `mesh-tonic/VERSION` in the `user-agent` of calls, for example `shop/1.4`.
    pub fn user_agent(mut self, prefix: impl Into<String>) -> Self {
        self.user_agent = Some(prefix.into());
        self
    }

    /// Whether calls wait while no endpoint can be reached, until their deadline, rather than fail at once: off by
    /// default. A call may say otherwise with a [`WaitForReady`] among its extensions.
    pub fn wait_for_ready(mut self, wait: impl Into<WaitForReady>) -> Self {
        self.settings.wait_for_ready = wait.into();
        self
    }

    /// The timeout of calls without one of their own; by default only the route's timeout limits them.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// The `:authority` of calls, which virtual hosts are matched with too: the target's name by default.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// The most attempts for one call, even if the control plane allows more: 5 by default.
    pub fn max_attempts(mut self, attempts: MaxAttempts) -> Self {
        self.settings.max_attempts = attempts;
        self
    }

    /// How much a call keeps of its request for another attempt: 256 KiB by default. A call that sends more is not tried
    /// again.
    pub fn replay_limit(mut self, limit: ReplayLimit) -> Self {
        self.settings.replay_limit = limit;
        self
    }

    /// How much all calls of the channel and its clones keep of their requests at the same time: 1 MiB by default. A call that
    /// would exceed it is not tried again. Raise it for a channel with many large requests in flight.
    pub fn replay_memory(mut self, memory: ReplayMemory) -> Self {
        self.settings.replay_memory = memory;
        self
    }

    /// Stops retries while too many attempts of the channel and its clones fail (gRFC A6, `retryThrottling`): off by default.
    /// The mesh's retry budget holds beside it.
    pub fn retry_throttling(mut self, throttling: RetryThrottling) -> Self {
        self.settings.retry_throttling = Some(throttling);
        self
    }

    /// Builds the channel. Connects nothing yet.
    ///
    /// # Errors
    /// [`ConnectError`] when the target, the authority, the user agent or the bootstrap is wrong, when a setting is set that
    /// belongs to the mesh of [`mesh`](Self::mesh), or outside of a tokio runtime.
    pub fn build(self) -> Result<MeshChannel, ConnectError> {
        let mut target = parse_target(&self.target).map_err(ConnectError::target)?;
        if let Some(authority) = &self.authority {
            target.authority.clone_from(authority);
        }
        let mesh = self.choose_mesh()?;
        self.build_over(&mesh, &target)
    }

    /// The channel to `target`, the builder's own with its authority, over `mesh`.
    pub(crate) fn build_over(self, mesh: &Mesh, target: &Target) -> Result<MeshChannel, ConnectError> {
        let authority: Authority =
            target.authority.parse().map_err(|error| ConnectError::authority(target, error))?;
        let agent = self.agent()?;
        let channel = Channel::new(mesh, target, self.settings).map_err(ConnectError::channel)?;
        Ok(MeshChannel::new(channel, authority, agent))
    }

    fn choose_mesh(&self) -> Result<Mesh, ConnectError> {
        if let Some(mesh) = &self.mesh {
            return match (&self.snapshot, self.connections.are_none()) {
                (Some(_), _) => {
                    Err(ConnectError::given_mesh("`snapshot`", "the xds_client::Options of its client"))
                }
                (None, false) => Err(ConnectError::given_mesh("connection settings", "its MeshBuilder")),
                (None, true) => Ok(mesh.clone()),
            };
        }
        let options = self.snapshot.clone().map(|file| Options::from_env().with_snapshot(file));
        let mesh = match (options, self.connections.are_none()) {
            (None, true) => xds_client::shared_mesh(),
            (Some(options), true) => xds_client::shared_mesh_with(options),
            (None, false) => xds_client::shared().map(|client| self.connections.mesh(client)),
            (Some(options), false) => {
                xds_client::shared_with(options).map(|client| self.connections.mesh(client))
            }
        };
        mesh.map_err(ConnectError::mesh)
    }

    fn agent(&self) -> Result<HeaderValue, ConnectError> {
        let Some(prefix) = &self.user_agent else { return Ok(AGENT) };
        let agent = format!("{prefix} {}", AGENT.to_str().unwrap_or_default());
        HeaderValue::try_from(agent).map_err(|error| ConnectError::user_agent(prefix, error))
    }
}

const AGENT: HeaderValue = HeaderValue::from_static(concat!("mesh-tonic/", env!("CARGO_PKG_VERSION")));

/// The settings in which a channel's connections differ from those of the process's mesh.
#[derive(Debug, Clone, Copy, Default)]
struct OwnConnections {
    pub(crate) http2: Option<Http2Settings>,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) pool: Option<PoolSettings>,
    pub(crate) timeout: Option<Duration>,
}

impl OwnConnections {
    /// Whether nothing differs.
    pub(crate) fn are_none(&self) -> bool {
        let Self { http2, keepalive, pool, timeout } = self;
        http2.is_none() && keepalive.is_none() && pool.is_none() && timeout.is_none()
    }

    /// A mesh with these connections, configured by the process's client.
    pub(crate) fn mesh(self, client: XdsClient) -> Mesh {
        let mut http2 = self.http2.unwrap_or_default();
        http2.keepalive = self.keepalive.or(http2.keepalive);
        let mut pool = self.pool.unwrap_or_default();
        if let Some(timeout) = self.timeout {
            pool.subchannel.connect_timeout = ConnectTimeout(timeout);
        }
        Mesh::builder(client).http2(http2).connections(pool).build()
    }
}
