//! The seam between the mesh and whoever tells it what to do.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time;

use crate::config::{MeshConfig, Name};

use super::{EjectionStore, LoadStore, QueueStore};

/// Gives a target's configuration: an xDS client, a fixed configuration, a test.
///
/// The runtime never asks where a configuration came from.
pub trait ConfigSource: Debug + Send + Sync + 'static {
    /// Watches one target. The watch ends when the returned value is dropped.
    ///
    /// # Errors
    /// [`SourceError`] when the target can never be served, for example an authority that is not configured (BS-42).
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError>;

    /// Who asks, for error texts: the xDS node id (OB-23). Empty if there is none.
    fn node_id(&self) -> Name {
        "".into()
    }

    /// Where the mesh counts what its clusters have to do, for the reports that they are configured to make
    /// ([`ClusterSettings::load_reporting`](crate::config::ClusterSettings::load_reporting)). `None`, the default: nothing
    /// is counted. Asked once per mesh.
    fn load_store(&self) -> Option<Arc<LoadStore>> {
        None
    }

    /// Where the mesh shows what outlier detection does in its clusters, for metrics and status. `None`, the default: nobody
    /// looks. Asked once per mesh.
    fn ejections(&self) -> Option<Arc<EjectionStore>> {
        None
    }

    /// Where the mesh shows how many calls wait for room on connections, for metrics and status. `None`, the default: nobody
    /// looks. Asked once per mesh.
    fn queues(&self) -> Option<Arc<QueueStore>> {
        None
    }
}

/// What a caller wants to reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// The xDS authority of `xds://authority/name`; `None` for `xds:///name`.
    pub xds_authority: Option<String>,
    /// The name, without a leading slash.
    pub name: String,
    /// The data-plane authority: what virtual hosts are matched with and what is sent as `:authority` (BS-44).
    pub authority: String,
}

impl Target {
    /// A target without an xDS authority; its data-plane authority is its name, with `/` percent-encoded (BS-44).
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

/// What is known of a target at a moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConfigState {
    /// `None`: nothing yet. An error: there is nothing to serve with, and what was served before must not be used.
    pub config: Option<Result<Arc<MeshConfig>, SourceError>>,
    /// Trouble that leaves the configuration in use (gRFC A88); told to callers whose call fails for another reason.
    pub ambient: Option<SourceError>,
}

impl ConfigState {
    /// A configuration without trouble.
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

    /// Waits for the next state. `false`: the source is gone, and the last state stays true.
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

    /// The text without how long it has lasted.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A state that lasts: the text ends with how long it has by then, as in `control server .. unreachable for 12 s`.
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
