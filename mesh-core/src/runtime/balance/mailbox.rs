//! The events that a cluster's task has not handled yet.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::policy::lb::EndpointId;

use super::Leaves;
use super::connections::Connections;
use super::streams::Health;

/// Collects events for a cluster's task, which takes all of them at once: a burst leads to one publication.
pub(super) struct Mailbox<T> {
    pending: Mutex<PendingEvents<T>>,
    notify: Notify,
}

/// The events that have arrived.
pub(super) struct PendingEvents<T> {
    /// The latest configuration, if it has changed.
    pub(super) update: Option<Leaves>,
    pub(super) events: Vec<Event<T>>,
    /// A call waits although the cluster is idle.
    pub(super) wake: bool,
    /// The cluster's last handle was dropped.
    pub(super) closed: bool,
}

/// An event for a cluster's task.
pub(super) enum Event<T> {
    /// A call waits for a connection to this endpoint.
    Wake(EndpointId),
    /// A call has picked this endpoint, which has no connection.
    Missing(EndpointId),
    /// A call of a session waits for this endpoint.
    Session(EndpointId),
    /// Calls to this endpoint have failed in a row.
    FailuresInARow(EndpointId),
    /// The endpoint has said how it is, on the stream of this number.
    Health(EndpointId, u64, Health),
    /// The health checks of the endpoint have something new: the task of this number.
    Checked(EndpointId, u64),
    /// A subchannel has changed.
    Subchannel(SubscriptionId, Status<T>),
    /// The lookup of this number has ended.
    Resolved(u64, Result<Vec<SocketAddr>, String>),
    /// The cluster was removed from the configuration, for this reason.
    End(Arc<str>),
}

impl<T> Event<T> {
    /// Whether a call is its reason.
    pub(super) fn is_of_call(&self) -> bool {
        matches!(self, Self::Wake(_) | Self::Missing(_) | Self::Session(_))
    }
}

/// Identifies one subscription of an endpoint; events for an older subscription of a reused id are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SubscriptionId {
    pub(super) id: EndpointId,
    /// Unique within a cluster, unlike ids, which are reused.
    pub(super) number: u64,
}

/// A subchannel's state.
pub(super) enum Status<T> {
    /// Also ends the subscription.
    Idle,
    /// Closed after the idle timeout, until the next call. Also ends the subscription.
    Resting,
    Connecting,
    Ready(Arc<Connections<T>>),
    Failed(Arc<str>),
}

impl<T> Clone for Status<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Resting => Self::Resting,
            Self::Connecting => Self::Connecting,
            Self::Ready(connections) => Self::Ready(connections.clone()),
            Self::Failed(reason) => Self::Failed(reason.clone()),
        }
    }
}

impl<T> Mailbox<T> {
    pub(super) fn push(&self, event: Event<T>) {
        self.lock().events.push(event);
        self.notify.notify_one();
    }

    /// Replaces an update that has not been taken yet.
    pub(super) fn update(&self, leaves: Leaves) {
        self.lock().update = Some(leaves);
        self.notify.notify_one();
    }

    pub(super) fn wake(&self) {
        if !std::mem::replace(&mut self.lock().wake, true) {
            self.notify.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.notify.notify_one();
    }

    /// Completes when an event has arrived since the last [`take`](Self::take); sometimes also without one.
    pub(super) async fn arrival(&self) {
        self.notify.notified().await;
    }

    pub(super) fn take(&self) -> PendingEvents<T> {
        let mut pending = self.lock();
        let closed = pending.closed;
        std::mem::replace(&mut *pending, PendingEvents { closed, ..PendingEvents::default() })
    }

    fn lock(&self) -> MutexGuard<'_, PendingEvents<T>> {
        // No code that holds the lock can panic in the middle of a change.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> PendingEvents<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.update.is_none() && self.events.is_empty() && !self.wake
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { pending: Mutex::default(), notify: Notify::new() }
    }
}

impl<T> Default for PendingEvents<T> {
    fn default() -> Self {
        Self { update: None, events: Vec::new(), wake: false, closed: false }
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.lock().events.len()).finish()
    }
}
