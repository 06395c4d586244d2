//! What a cluster's task has not yet heard.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::policy::lb::EndpointId;

use super::Leaves;
use super::connections::Connections;

/// Collects events for a cluster's task, which takes all of them at once: a burst leads to one publication.
pub(super) struct Mailbox<T> {
    letters: Mutex<Letters<T>>,
    notify: Notify,
}

/// All that has arrived.
pub(super) struct Letters<T> {
    /// The latest configuration, if it has changed.
    pub(super) update: Option<Leaves>,
    pub(super) events: Vec<Event<T>>,
    /// A call waits although the cluster is idle.
    pub(super) wake: bool,
    /// Nobody uses the cluster any more.
    pub(super) closed: bool,
}

/// Something that happened.
pub(super) enum Event<T> {
    /// A call waits for a connection to this endpoint.
    Wake(EndpointId),
    /// A call has picked this endpoint, and there is no connection to it.
    Missing(EndpointId),
    /// Calls to this endpoint have failed in a row.
    FailuresInARow(EndpointId),
    /// A subchannel has changed.
    Subchannel(Ticket, Status<T>),
    /// The lookup of this number has ended.
    Resolved(u64, Result<Vec<SocketAddr>, String>),
    /// There is no such cluster any more.
    End(Arc<str>),
}

/// Whom a subchannel's news are for: this endpoint, as long as it holds this very subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) id: EndpointId,
    /// Unique within a cluster; ids are used again.
    pub(super) number: u64,
}

/// A subchannel's state, with what comes with it.
pub(super) enum Status<T> {
    /// Also ends the subscription.
    Idle,
    /// Idle for want of calls, until the next one. Also ends the subscription.
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

    /// Completes when something has arrived since the last [`take`](Self::take), or a little too often.
    pub(super) async fn arrival(&self) {
        self.notify.notified().await;
    }

    pub(super) fn take(&self) -> Letters<T> {
        let mut letters = self.lock();
        let closed = letters.closed;
        std::mem::replace(&mut *letters, Letters { closed, ..Letters::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Letters<T>> {
        // Nothing that holds the lock can panic half way.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Letters<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.update.is_none() && self.events.is_empty() && !self.wake
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { letters: Mutex::default(), notify: Notify::new() }
    }
}

impl<T> Default for Letters<T> {
    fn default() -> Self {
        Self { update: None, events: Vec::new(), wake: false, closed: false }
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("waiting", &self.lock().events.len()).finish()
    }
}
