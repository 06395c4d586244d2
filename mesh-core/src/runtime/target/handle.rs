//! The handle of a target's task.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::runtime::connect::Connect;
use crate::runtime::{ConfigWatch, MeshError, MeshErrorKind, SourceError, WaitForReady};

use super::task::Follower;
use super::{Compiler, Snapshot, TargetContext};

/// A target with its task. Dropping the last handle ends task and watch, and drops the clusters.
pub(crate) struct TargetHandle<C: Connect> {
    shared: Arc<Shared<C>>,
    task: JoinHandle<()>,
}

/// The state that the task writes and channels read.
pub(super) struct Shared<C: Connect> {
    pub(super) context: Arc<TargetContext>,
    pub(super) state: ArcSwap<TargetState<C>>,
    /// Notified when the state or the ambient error has changed.
    pub(super) changes: watch::Sender<()>,
}

/// The state of a target.
pub(crate) enum TargetState<C: Connect> {
    /// No configuration yet.
    Pending,
    /// A configuration.
    Serving(Snapshot<C>),
    /// No configuration, for this reason (RT-31).
    Failed(SourceError),
}

impl<C: Connect> TargetHandle<C> {
    /// Starts a task on the current runtime that follows `watch`. A configuration that the watch already has is in use when
    /// this returns.
    pub(crate) fn start(context: TargetContext, watch: ConfigWatch, compiler: Compiler<C>) -> Self {
        let shared = Arc::new(Shared {
            context: Arc::new(context),
            state: ArcSwap::from_pointee(TargetState::Pending),
            changes: watch::Sender::new(()),
        });
        let follower = Follower::new(watch, shared.clone(), compiler);
        Self { shared, task: tokio::spawn(follower.run()) }
    }
}

impl<C: Connect> TargetHandle<C> {
    pub(crate) fn context(&self) -> &Arc<TargetContext> {
        &self.shared.context
    }

    /// The current state: one atomic load.
    pub(crate) fn state(&self) -> Guard<Arc<TargetState<C>>> {
        self.shared.state.load()
    }

    /// A receiver that is notified when the state or the ambient error has changed.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }

    /// Whether the task still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    /// The error with which a call without wait-for-ready fails in this state, if it is one without a configuration.
    pub(crate) fn failure(&self, state: &TargetState<C>, wait: WaitForReady) -> Option<MeshError> {
        let error = match (state, wait) {
            (TargetState::Failed(error), WaitForReady(false)) => error.clone(),
            (TargetState::Pending, WaitForReady(false)) => SourceError::clone(&*self.context().ambient()?),
            (TargetState::Serving(_), _) | (_, WaitForReady(true)) => return None,
        };
        let kind = if error.is_absent() { MeshErrorKind::NotInMesh } else { MeshErrorKind::Configuration };
        Some(self.context().error(kind, error))
    }

    /// Waits for a configuration. Without wait-for-ready a call fails as soon as there is an error.
    pub(crate) async fn configured(&self, wait: WaitForReady) -> Result<Arc<TargetState<C>>, MeshError> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let state = self.shared.state.load_full();
            if let TargetState::Serving(_) = &*state {
                return Ok(state);
            }
            if let Some(error) = self.failure(&state, wait) {
                return Err(error);
            }
            if changes.changed().await.is_err() {
                return Err(self.context().error(MeshErrorKind::Configuration, "the channel is gone"));
            }
        }
    }
}

impl<C: Connect> Drop for TargetHandle<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<C: Connect> fmt::Debug for TargetHandle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &**self.state() {
            TargetState::Pending => "pending",
            TargetState::Serving(_) => "serving",
            TargetState::Failed(_) => "failed",
        };
        f.debug_struct("TargetHandle")
            .field("target", &self.context().target)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
