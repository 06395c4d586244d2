//! Channels: a target and the settings of its calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::retry::MaxAttempts;

use super::connect::Connect;
use super::retry::RetryLimits;
use super::target::TargetHandle;
use super::{Mesh, Protocol, ReplayLimit, RequestBody, SourceError, Target};

/// A way to a target. Clones are cheap and share everything; channels of one mesh to one target do so too.
///
/// The protocol's own channel (`mesh_tonic::MeshChannel`) is a thin face of this one.
pub struct Channel<P: Protocol, C: Connect<RequestBody<P::Body>>>(pub(super) Arc<Inner<P, C>>);

pub(super) struct Inner<P: Protocol, C: Connect<RequestBody<P::Body>>> {
    pub(super) target: Arc<TargetHandle<RequestBody<P::Body>, C>>,
    pub(super) settings: ChannelSettings,
    pub(super) retry: RetryLimits,
    /// RT-72
    pub(super) id: u64,
    /// Keeps the source of the configuration.
    _mesh: Mesh,
}

impl<P: Protocol, C: Connect<RequestBody<P::Body>>> Channel<P, C> {
    /// A channel of `mesh` to `target`. `connector` makes the connections if it is the mesh's first of its type; after
    /// that the first one does.
    ///
    /// # Errors
    /// [`ChannelError`] outside of a tokio runtime, or when the source can never serve the target.
    pub fn new(
        mesh: &Mesh,
        target: &Target,
        settings: ChannelSettings,
        connector: C,
    ) -> Result<Self, ChannelError> {
        let retry = RetryLimits {
            attempts: settings.max_attempts,
            replay: settings.replay_limit,
            budget: mesh.retry_budget(),
        };
        let target = mesh.target(target, connector)?;
        Ok(Self(Arc::new(Inner { target, settings, retry, id: mesh.draw(), _mesh: mesh.clone() })))
    }

    /// Where its calls go.
    pub fn target(&self) -> &Target {
        &self.0.target.context().target
    }
}

impl<P: Protocol, C: Connect<RequestBody<P::Body>>> Clone for Channel<P, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Protocol, C: Connect<RequestBody<P::Body>>> fmt::Debug for Channel<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("target", &self.0.target)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// What holds for a channel's calls unless they say otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Whether calls wait for a connection rather than fail.
    pub wait_for_ready: WaitForReady,
    /// The timeout of calls that bring none; `None`: they have none.
    pub timeout: Option<Duration>,
    /// The most attempts for one call.
    pub max_attempts: MaxAttempts,
    /// How much of a request is kept for another attempt.
    pub replay_limit: ReplayLimit,
}

/// Whether a call waits for a connection rather than fail while none can be made. Off by default: such calls fail at
/// once. A call always waits while a connection is being made, and always at most until its deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitForReady(pub bool);

impl From<bool> for WaitForReady {
    fn from(wait: bool) -> Self {
        Self(wait)
    }
}

/// What a call says for itself; `None` leaves it to the channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Whether it waits for a connection rather than fail.
    pub wait_for_ready: Option<WaitForReady>,
    /// How long it may take, from now.
    pub timeout: Option<Duration>,
}

/// Why a channel cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(ChannelErrorKind);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ChannelErrorKind {
    #[error("a channel needs a tokio runtime: make it inside of one")]
    NoRuntime,
    #[error("{target}: {error}")]
    Source { target: String, error: SourceError },
}

impl ChannelError {
    pub(super) fn no_runtime() -> Self {
        Self(ChannelErrorKind::NoRuntime)
    }

    pub(super) fn source(target: &Target, error: SourceError) -> Self {
        Self(ChannelErrorKind::Source { target: target.to_string(), error })
    }
}
