//! The connectivity of a target, and waiting for a connection.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;

use crate::policy::lb::Connectivity;
use crate::runtime::connect::Connect;
use crate::runtime::{ChannelState, MeshError, MeshErrorKind};

use super::{Cluster, Snapshot, TargetHandle, TargetState};

impl<C: Connect> TargetHandle<C> {
    pub(crate) fn connectivity(&self) -> ChannelState {
        match &**self.state() {
            TargetState::Serving(snapshot) => best(snapshot.clusters().map(|cluster| cluster.connectivity())),
            TargetState::Pending if self.context().ambient().is_none() => ChannelState::Connecting,
            TargetState::Pending | TargetState::Failed(_) => ChannelState::TransientFailure,
        }
    }

    /// Connects every cluster that a route may choose, and waits until one of them is ready and none is connecting.
    pub(crate) async fn connected(&self) {
        let mut state_changes = self.subscribe();
        loop {
            state_changes.mark_unchanged();
            let state = self.state().clone();
            let TargetState::Serving(snapshot) = &*state else {
                // The target owns the sender and outlives this wait, so there is no error.
                let _ = state_changes.changed().await;
                continue;
            };
            let seen: Vec<_> =
                snapshot.clusters().map(|cluster| (cluster.clone(), cluster.version())).collect();
            if is_settled(snapshot) {
                return;
            }
            snapshot.clusters().for_each(|cluster| cluster.exit_idle());
            let changes = seen.into_iter().map(|(cluster, version)| Box::pin(cluster.changed(version)));
            let changes: Vec<_> = changes.collect();
            tokio::select! {
                _ = state_changes.changed() => {}
                () = async { _ = select_all(changes).await }, if snapshot.clusters().next().is_some() => {}
            }
        }
    }

    /// The error of a target that was not [`connected`](Self::connected) within this time.
    pub(crate) fn not_connected(&self, within: Duration) -> MeshError {
        let TargetState::Serving(snapshot) = &*self.state().clone() else {
            let reason = format!("there was no configuration within {within:?}");
            return self.context().error(MeshErrorKind::DeadlineExceeded, reason);
        };
        let failed = snapshot.clusters().find_map(|cluster| Some((cluster, cluster.last_endpoint_error()?)));
        match failed {
            Some((cluster, last)) => {
                let reason = format!("there was no connection within {within:?}; {last}");
                cluster.error(MeshErrorKind::DeadlineExceeded, reason)
            }
            None => {
                let reason = format!("there was no connection within {within:?}");
                self.context().error(MeshErrorKind::DeadlineExceeded, reason)
            }
        }
    }
}

fn is_settled<C: Connect>(snapshot: &Snapshot<C>) -> bool {
    let states = || snapshot.clusters().map(|cluster: &Arc<Cluster<C>>| cluster.connectivity());
    let is_ready = |state| matches!(state, Connectivity::Ready);
    let is_on_its_way = |state| matches!(state, Connectivity::Idle | Connectivity::Connecting);
    states().any(is_ready) && !states().any(is_on_its_way)
}

/// As gRPC's cluster manager (A31): ready if one cluster is ready.
fn best(states: impl Iterator<Item = Connectivity>) -> ChannelState {
    let state = |state| match state {
        Connectivity::Ready => ChannelState::Ready,
        Connectivity::Connecting => ChannelState::Connecting,
        Connectivity::Idle => ChannelState::Idle,
        Connectivity::TransientFailure(_) => ChannelState::TransientFailure,
    };
    states.map(state).max_by_key(|state| preference(*state)).unwrap_or(ChannelState::TransientFailure)
}

fn preference(state: ChannelState) -> u8 {
    match state {
        ChannelState::Ready => 3,
        ChannelState::Connecting => 2,
        ChannelState::Idle => 1,
        ChannelState::TransientFailure => 0,
    }
}
