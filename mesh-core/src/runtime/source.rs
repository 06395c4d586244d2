//! The interface between the mesh and the source of its configurations.

use std::any::Any;
use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time;

use crate::config::{MeshConfig, Name, ServerConfig};
use crate::counters::CounterStore;

use super::{EjectionStore, LoadStore, QueueStore};

/// A source of configurations: an xDS client, a fixed configuration, a test.
///
/// The runtime treats all sources alike.
pub trait ConfigSource: Debug + Send + Sync + 'static {
    /// Watches one target. The watch ends when the returned value is dropped.
    ///
    /// # Errors
    /// [`SourceError`] when the target can never be served, for example an authority that is not configured.
    // BS-42
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError>;

    /// Watches the configuration of a server that listens on `address`, whose port is the bound one. The watch ends when the
    /// returned value is dropped.
    ///
    /// # Errors
    /// [`SourceError`] when no server of this process can ever be configured: the default.
    // SV-01
    fn watch_server(&self, _address: SocketAddr) -> Result<ServerConfigWatch, SourceError> {
        Err(SourceError::new("this source has no configurations for servers"))
    }

    /// The xDS node id, for error texts. Empty if there is none.
    // OB-23
    fn node_id(&self) -> Name {
        "".into()
    }

    /// The store in which the mesh counts calls for load reports of the clusters that are configured for them
    /// ([`ClusterSettings::load_reporting`](crate::config::ClusterSettings::load_reporting)). `None`, the default: nothing
    /// is counted. Called once per mesh.
    fn load_store(&self) -> Option<Arc<LoadStore>> {
        None
    }

    /// The store in which the mesh lists the ejections in its clusters, for metrics and status. `None`, the default: they are
    /// not listed. Called once per mesh.
    fn ejections(&self) -> Option<Arc<EjectionStore>> {
        None
    }

    /// Where the mesh counts the calls that wait for room on connections, for metrics and status. `None`, the default: they
    /// are not listed. Called once per mesh.
    fn queues(&self) -> Option<Arc<QueueStore>> {
        None
    }

    /// The store of what filters, servers and connections of the mesh count, for metrics. `None`, the default: it is not listed.
    /// Called once per mesh.
    fn counters(&self) -> Option<Arc<CounterStore>> {
        None
    }
}

/// The service that a channel calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// The xDS authority of `xds://authority/name`; `None` for `xds:///name`.
    pub xds_authority: Option<String>,
    /// The name, without a leading slash.
    pub name: String,
    /// The data-plane authority: virtual hosts are matched with it, and it is sent as `:authority`.
    // BS-44
    pub authority: String,
}

impl Target {
    /// A target without an xDS authority; its data-plane authority is its name, with `/` percent-encoded.
    // BS-44
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let authority = name.replace('/', "%2F");
        Self { xds_authority: None, name, authority }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.xds_authority {
            Some(authority) => write!(f, "xds://{authority}/{}", self.name),
            None => write!(f, "xds:///{}", self.name),
        }
    }
}

/// The state of a configuration of a target or a server.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceState<C> {
    /// `None`: not known yet. An error: there is no configuration, and an earlier one must not be used any more.
    pub config: Option<Result<Arc<C>, SourceError>>,
    /// A problem that leaves the configuration in use (gRFC A88); added to the errors of calls that fail for another reason.
    pub ambient: Option<SourceError>,
}

/// The state of a target's configuration.
pub type ConfigState = SourceState<MeshConfig>;
/// The state of a server's configuration.
pub type ServerConfigState = SourceState<ServerConfig>;

impl<C> SourceState<C> {
    /// A configuration without a problem.
    pub fn of(config: impl Into<Arc<C>>) -> Self {
        Self { config: Some(Ok(config.into())), ambient: None }
    }

    /// No configuration, for this reason.
    pub fn failed(error: SourceError) -> Self {
        Self { config: Some(Err(error)), ambient: None }
    }

    /// Whether both are the same value, by pointer, or the same error, with the same problem beside it.
    pub fn is_same(&self, other: &Self) -> bool {
        let config = match (&self.config, &other.config) {
            (Some(Ok(own)), Some(Ok(other))) => Arc::ptr_eq(own, other),
            (Some(Err(own)), Some(Err(other))) => own == other,
            (None, None) => true,
            _ => false,
        };
        config && self.ambient == other.ambient
    }
}

/// Nothing is known yet.
impl<C> Default for SourceState<C> {
    fn default() -> Self {
        Self { config: None, ambient: None }
    }
}

impl<C> Clone for SourceState<C> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), ambient: self.ambient.clone() }
    }
}

/// A configuration of a target or a server as it changes. Dropping it ends the watch.
#[derive(Debug)]
pub struct SourceWatch<C> {
    states: watch::Receiver<SourceState<C>>,
    guard: Arc<dyn Any + Send + Sync>,
}

/// A target's configuration as it changes.
pub type ConfigWatch = SourceWatch<MeshConfig>;
/// A server's configuration as it changes.
pub type ServerConfigWatch = SourceWatch<ServerConfig>;

impl<C> SourceWatch<C> {
    /// A watch over `states`; `guard` is dropped when the watch and its clones are.
    pub fn new(states: watch::Receiver<SourceState<C>>, guard: impl Any + Send + Sync) -> Self {
        Self { states, guard: Arc::new(guard) }
    }

    /// The state now; [`changed`](Self::changed) then waits for a later one.
    pub fn borrow_and_update(&mut self) -> SourceState<C> {
        self.states.borrow_and_update().clone()
    }

    /// Waits for the next state. `false`: the source has ended, and the last state stays in force.
    pub async fn changed(&mut self) -> bool {
        self.states.changed().await.is_ok()
    }
}

impl<C> Clone for SourceWatch<C> {
    fn clone(&self) -> Self {
        Self { states: self.states.clone(), guard: self.guard.clone() }
    }
}

/// Why a source has no configuration. Its text names resource, reason, server and node as far as they are known.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceError {
    message: Arc<str>,
    since: Option<Instant>,
    is_absent: bool,
}

impl SourceError {
    /// An error with a text for callers.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), since: None, is_absent: false }
    }

    /// The mesh has no such target: an answer of the control plane, unlike a target that is broken or cannot be asked for.
    pub fn absent(message: impl Into<Arc<str>>) -> Self {
        Self { is_absent: true, ..Self::new(message) }
    }

    /// Whether the mesh has no such target.
    pub fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// The text without the duration.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// An error that lasts: its text ends with its duration when it is printed, as in `control server .. unreachable for
    /// 12 s`.
    pub fn lasting(message: impl Into<Arc<str>>, since: Instant) -> Self {
        Self { since: Some(since), ..Self::new(message) }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.since {
            Some(since) => write!(f, " for {} s", time::Instant::from_std(since).elapsed().as_secs()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SourceError {}

crate::debug_with_causes!(SourceError);
