//! The interface between the mesh and the source of its configurations.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time;

use crate::config::{MeshConfig, Name};

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

/// The state of a target's configuration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConfigState {
    /// `None`: not known yet. An error: there is no configuration, and an earlier one must not be used any more.
    pub config: Option<Result<Arc<MeshConfig>, SourceError>>,
    /// A problem that leaves the configuration in use (gRFC A88); added to the errors of calls that fail for another reason.
    pub ambient: Option<SourceError>,
}

impl ConfigState {
    /// A configuration without a problem.
    pub fn of(config: impl Into<Arc<MeshConfig>>) -> Self {
        Self { config: Some(Ok(config.into())), ambient: None }
    }
}

/// A target's configuration as it changes. Dropping it ends the watch.
#[derive(Debug, Clone)]
pub struct ConfigWatch {
    states: watch::Receiver<ConfigState>,
    _guard: Arc<dyn Any + Send + Sync>,
}

impl ConfigWatch {
    /// A watch over `states`; `guard` is dropped when the watch and its clones are.
    pub fn new(states: watch::Receiver<ConfigState>, guard: impl Any + Send + Sync) -> Self {
        Self { states, _guard: Arc::new(guard) }
    }

    /// The state now; [`changed`](Self::changed) then waits for a later one.
    pub fn borrow_and_update(&mut self) -> ConfigState {
        self.states.borrow_and_update().clone()
    }

    /// Waits for the next state. `false`: the source has ended, and the last state stays in force.
    pub async fn changed(&mut self) -> bool {
        self.states.changed().await.is_ok()
    }
}

/// Why a source has no configuration. Its text names resource, reason, server and node as far as they are known.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceError {
    message: Arc<str>,
    since: Option<Instant>,
}

impl SourceError {
    /// An error with a text for callers.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), since: None }
    }

    /// The text without the duration.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// An error that lasts: its text ends with its duration when it is printed, as in `control server .. unreachable for
    /// 12 s`.
    pub fn lasting(message: impl Into<Arc<str>>, since: Instant) -> Self {
        Self { message: message.into(), since: Some(since) }
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
