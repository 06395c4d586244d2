//! The calls that wait for a publication of their cluster.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::policy::lb::{Connectivity, Picker, UniformPick};
use crate::runtime::WaitForReady;

/// The calls that wait for a publication of their cluster. A call that begins to wait allocates nothing.
#[derive(Debug, Default)]
pub(super) struct WaitingCalls {
    /// Calls that fail when no endpoint can be reached.
    impatient: Arc<Notify>,
    /// Calls that wait for ready.
    patient: Arc<Notify>,
}

/// The waiting calls that a publication helps: the others would pick and wait again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helped {
    Nobody,
    /// Those that fail when no endpoint can be reached.
    Impatient,
    All,
}

impl Helped {
    /// The calls that a publication of this state and picker helps.
    pub(super) fn by(state: &Connectivity, picker: &dyn Picker) -> Self {
        match (picker.uniform(), state) {
            // A call that waits at an idle cluster makes it connect.
            (Some(UniformPick::Wait), Connectivity::Idle) | (None, _) => Self::All,
            (Some(UniformPick::Wait), _) => Self::Nobody,
            (Some(UniformPick::Fail), _) => Self::Impatient,
        }
    }
}

impl WaitingCalls {
    /// Completes with the next [`wake`](Self::wake) that is for calls with this setting.
    pub(super) fn wait(&self, wait: WaitForReady) -> OwnedNotified {
        let calls = match wait {
            WaitForReady(true) => &self.patient,
            WaitForReady(false) => &self.impatient,
        };
        calls.clone().notified_owned()
    }

    pub(super) fn wake(&self, helped: Helped) {
        if helped != Helped::Nobody {
            self.impatient.notify_waiters();
        }
        if helped == Helped::All {
            self.patient.notify_waiters();
        }
    }
}
