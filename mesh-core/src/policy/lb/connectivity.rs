//! Whether an endpoint or a cluster can take calls.

use std::sync::Arc;

/// gRPC's connectivity states, of an endpoint or of a cluster.
#[derive(Debug, Clone)]
pub enum Connectivity {
    /// No connection, and none wanted.
    Idle,
    /// A connection is being made.
    Connecting,
    /// Connected.
    Ready,
    /// The last attempt failed, for this reason; backing off. After the backoff an endpoint becomes `Idle`.
    TransientFailure(Arc<str>),
}

/// A [`Connectivity`] without its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Connecting,
    Ready,
    Failed,
}

impl Connectivity {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Connecting => Phase::Connecting,
            Self::Ready => Phase::Ready,
            Self::TransientFailure(_) => Phase::Failed,
        }
    }
}

/// How many endpoints, or children, are in each phase.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PhaseCounts {
    by_phase: [usize; 4],
}

impl PhaseCounts {
    pub(super) fn of(self, phase: Phase) -> usize {
        self.by_phase[phase as usize]
    }

    pub(super) fn add(&mut self, phase: Phase) {
        self.by_phase[phase as usize] += 1;
    }

    pub(super) fn remove(&mut self, phase: Phase) {
        self.by_phase[phase as usize] -= 1;
    }

    pub(super) fn change(&mut self, from: Phase, to: Phase) {
        self.by_phase[from as usize] -= 1;
        self.by_phase[to as usize] += 1;
    }

    /// LB-17: the best phase that any of them is in; failed if there are none.
    pub(super) fn best(self) -> Phase {
        let order = [Phase::Ready, Phase::Connecting, Phase::Idle];
        order.into_iter().find(|phase| self.of(*phase) > 0).unwrap_or(Phase::Failed)
    }
}
