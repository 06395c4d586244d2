//! Channels: a target and the settings of its calls.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::retry::{MaxAttempts, RetryBudget, RetryThrottling, RetryTokens};
use crate::sharded::Refs;

use super::connect::{Connect, Http2Connector};
use super::mesh::Domain;
use super::observed::ChannelObserver;
use super::retry::ChannelReplay;
use super::target::TargetHandle;
use super::{Mesh, MeshError, Protocol, ReplayLimit, ReplayMemory, SourceError, Target};

/// Sends calls to one target. Clones are cheap and share everything; so do all channels of one mesh to the same target.
///
/// A protocol's own channel, such as `mesh_tonic::MeshChannel`, wraps this one.
pub struct Channel<P, C: Connect = Http2Connector>(pub(super) Arc<ChannelInner<C>>, PhantomData<fn(P)>);

pub(super) struct ChannelInner<C: Connect> {
    pub(super) target: Arc<TargetHandle<C>>,
    pub(super) settings: ChannelSettings,
    pub(super) replay: Refs<ChannelReplay>,
    pub(super) budget: RetryBudget,
    pub(super) tokens: Option<Arc<RetryTokens>>,
    // RT-72
    pub(super) id: u64,
    /// `None`: calls are not observed.
    pub(super) observer: Option<Arc<ChannelObserver>>,
    /// Keeps the state that channels of a runtime share.
    _domain: Arc<Domain<C>>,
    /// Keeps the configuration source.
    _mesh: Mesh<C>,
}

impl<P: Protocol, C: Connect> Channel<P, C> {
    /// A channel of `mesh` to `target`.
    ///
    /// # Errors
    /// [`ChannelError`] outside of a tokio runtime, or when the source can never serve the target.
    pub fn new(mesh: &Mesh<C>, target: &Target, settings: ChannelSettings) -> Result<Self, ChannelError> {
        let replay = Refs::new(ChannelReplay::new(settings.replay_limit, settings.replay_memory));
        let budget = mesh.retry_budget();
        let domain = mesh.domain()?;
        let observer = ChannelObserver::new(mesh.observers(), target);
        let target = mesh.target(&domain, target)?;
        let id = mesh.draw();
        let tokens = settings.retry_throttling.map(|throttling| Arc::new(RetryTokens::new(throttling)));
        let _mesh = mesh.clone();
        let inner =
            ChannelInner { target, settings, replay, budget, tokens, id, observer, _domain: domain, _mesh };
        Ok(Self(Arc::new(inner), PhantomData))
    }

    /// Whether its calls have a connection now.
    pub fn state(&self) -> ChannelState {
        self.0.target.connectivity()
    }

    /// Connects before the first call. Completes when the target has its configuration, at least one of the clusters that its
    /// routes may choose has a connection, and each of the others has one or cannot be reached at the moment.
    ///
    /// Until the timeout it waits like a call that waits for ready: an unreachable control plane or endpoint is tried
    /// again.
    ///
    /// # Errors
    /// [`MeshErrorKind::DeadlineExceeded`](super::MeshErrorKind::DeadlineExceeded) at the timeout; the text names what was
    /// missing. The channel stays usable, and continues to connect.
    pub async fn warm_up(&self, timeout: Duration) -> Result<(), MeshError> {
        let target = &self.0.target;
        let connected = tokio::time::timeout(timeout, target.connected()).await;
        connected.map_err(|_| target.not_connected(timeout))
    }

    /// The target of its calls.
    pub fn target(&self) -> &Target {
        &self.0.target.context().target
    }
}

impl<P, C: Connect> Clone for Channel<P, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<P, C: Connect> fmt::Debug for Channel<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("target", &self.0.target)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// Defaults for a channel's calls; [`CallOptions`] override them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSettings {
    /// Whether calls wait for a connection rather than fail.
    pub wait_for_ready: WaitForReady,
    /// The timeout of calls without one of their own; `None`: no timeout.
    pub timeout: Option<Duration>,
    /// The most attempts for one call.
    pub max_attempts: MaxAttempts,
    /// How many bytes of its request a call keeps for another attempt.
    pub replay_limit: ReplayLimit,
    /// How many bytes of their requests all calls together keep at the same time.
    pub replay_memory: ReplayMemory,
    /// Stops retries while too many attempts fail (gRFC A6), beside the mesh's retry budget; `None`: the budget alone does.
    pub retry_throttling: Option<RetryThrottling>,
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

/// Options of one call; `None` takes the channel's setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// Whether it waits for a connection rather than fail.
    pub wait_for_ready: Option<WaitForReady>,
    /// How long it may take, from now.
    pub timeout: Option<Duration>,
}

/// Why a channel cannot be made.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(ChannelErrorKind);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ChannelErrorKind {
    #[error("a channel needs a tokio runtime: make it inside of one")]
    NoRuntime,
    #[error("{target}: {error}")]
    Source { target: String, error: SourceError },
}

crate::debug_with_causes!(ChannelError);

impl ChannelError {
    pub(crate) fn no_runtime() -> Self {
        Self(ChannelErrorKind::NoRuntime)
    }

    /// Whether the mesh has no such target.
    pub fn is_not_in_mesh(&self) -> bool {
        matches!(&self.0, ChannelErrorKind::Source { error, .. } if error.is_absent())
    }

    pub(super) fn source(target: &Target, error: SourceError) -> Self {
        Self(ChannelErrorKind::Source { target: target.to_string(), error })
    }
}

/// gRPC's connectivity states of a channel. If its routes may choose several clusters, the best state of them counts, in the
/// order ready, connecting, idle, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// There is no connection, and none is being made: the next call makes one.
    Idle,
    /// A connection is being made, or the channel waits for its configuration.
    Connecting,
    /// There is a connection.
    Ready,
    /// No endpoint can be reached, or there is no configuration; the errors of calls have the reason. It is tried again.
    TransientFailure,
}
