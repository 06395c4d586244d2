//! One endpoint of a cluster, as the request path sees it.

use std::fmt::{self, Debug};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use crate::config::{EndpointAddresses, EndpointDetails, LocalityId, Name};
use crate::policy::lb::{EndpointId, EndpointLoad};
use crate::policy::load_report::LocalityCounts;
use crate::policy::outlier::CallResult;
use crate::runtime::accounting::Accounting;
use crate::runtime::circuit_breaker::ClusterLoad;
use crate::runtime::connect::{Connection, Reserve};

use super::MaxQueued;
use super::connections::Connections;
use super::mailbox::{Event, Mailbox};
use super::sessions::SessionState;

/// One endpoint of a cluster, as the request path sees it: everything that a call needs, behind one reference count.
pub(crate) struct Slot<T> {
    /// Counters that attempts write and pickers read.
    pub load: Arc<EndpointLoad>,
    /// What identifies the endpoint.
    pub addresses: EndpointAddresses,
    /// The endpoint's locality.
    pub locality: Arc<LocalityId>,
    /// Name for `auto_host_rewrite` (gRFC A81); empty if unknown.
    pub hostname: Name,
    /// The counts of its cluster's calls.
    pub(crate) accounting: Arc<Accounting>,
    /// The counts of its locality for load reports.
    pub(crate) reported: Option<Arc<LocalityCounts>>,
    pub(super) state: Arc<EndpointState<T>>,
}

/// Waits for room at an endpoint. `None`: its connections have changed, and the call picks again.
pub(crate) type WaitForPlace<T> = Pin<Box<dyn Future<Output = Option<<T as Connection>::Place>> + Send>>;

impl<T: Connection> Slot<T> {
    /// Room for a call on one of the endpoint's connections; `None`: there is none.
    pub(crate) fn reserve(&self) -> Option<Reserve<T::Place>> {
        Some(self.state.connections.load().as_deref()?.reserve())
    }

    /// Adds a call to the queue for room at the endpoint. `None`: the queue is full.
    pub(crate) fn queue(&self, limit: MaxQueued) -> Option<WaitForPlace<T>> {
        let queued = Queued::new(self, limit)?;
        Some(Box::pin(async move {
            let state = &queued.endpoint;
            // Subscribed to changes before the connections are read, so that no change is missed.
            let mut changed = std::pin::pin!(state.changed.notified());
            changed.as_mut().enable();
            let place = state.connections.load_full()?.wait_for_place();
            tokio::select! {
                biased;
                place = place => place,
                () = changed => None,
            }
        }))
    }
}

/// Where the mesh's own calls to an endpoint go.
pub(super) struct StreamTarget<T> {
    /// The endpoint's name, or its first address.
    pub(super) authority: String,
    state: Arc<EndpointState<T>>,
}

impl<T> StreamTarget<T> {
    /// What few endpoints have.
    pub(super) fn details(&self) -> Option<Arc<EndpointDetails>> {
        self.state.details.load_full()
    }
}

impl<T: Connection> StreamTarget<T> {
    /// Room on the endpoint's connections; `None`: there is none now.
    pub(super) fn reserve_now(&self) -> Option<T::Place> {
        match self.state.connections.load_full()?.reserve() {
            Reserve::Place(place) => Some(place),
            Reserve::Full | Reserve::Closed => None,
        }
    }

    /// Waits for room on the endpoint's connections. `None`: it has none.
    pub(super) async fn reserve(&self) -> Option<T::Place> {
        let connections = self.state.connections.load_full()?;
        match connections.reserve() {
            Reserve::Place(place) => Some(place),
            Reserve::Full => connections.wait_for_place().await,
            Reserve::Closed => None,
        }
    }
}

#[cfg(test)]
impl<T: Clone> Slot<T> {
    /// The endpoint's oldest connection, if there is one. It may just have closed.
    pub(crate) fn connection(&self) -> Option<T> {
        self.state.connections.load().as_deref().map(|connections| connections.first().clone())
    }
}

impl<T> Slot<T> {
    /// Counts the end of an attempt for outlier detection.
    pub(crate) fn record(&self, result: CallResult) {
        if self.load.outcomes.record(result)
            && let Some(mailbox) = self.state.mailbox.upgrade()
        {
            mailbox.push(Event::FailuresInARow(self.state.id));
        }
    }

    /// Where the mesh's own calls to the endpoint go.
    pub(super) fn target(&self) -> StreamTarget<T> {
        let authority = match &*self.hostname {
            "" => self.addresses.first().to_string(),
            hostname => hostname.to_owned(),
        };
        StreamTarget { authority, state: self.state.clone() }
    }

    /// Whether the endpoint has a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.state.connections.load().is_some()
    }

    /// The endpoint's addresses, the connected one first.
    pub(crate) fn connected_addresses(&self) -> EndpointAddresses {
        let connections = self.state.connections.load();
        match connections.as_deref().map(Connections::address) {
            Some(used) if used != self.addresses.first() => {
                let others = self.addresses.as_slice().iter().filter(|address| **address != used);
                EndpointAddresses::new(used, others.copied())
            }
            Some(_) | None => self.addresses.clone(),
        }
    }

    /// The endpoint's proxy.
    pub(super) fn proxy(&self) -> Option<SocketAddr> {
        self.state.details.load().as_ref()?.proxy
    }

    /// How many calls wait for room at the endpoint.
    pub(crate) fn queued(&self) -> u32 {
        self.state.queued.load(Ordering::Relaxed)
    }
}

impl<T> Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("addresses", &self.addresses)
            .field("locality", &self.locality)
            .field("load", &self.load)
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

/// Endpoint state that calls read directly, without a publication; shared by all successive slots of the endpoint in its
/// cluster.
pub(super) struct EndpointState<T> {
    connections: ArcSwapOption<Connections<T>>,
    /// The cluster's task has a wake event for this endpoint that it has not handled yet.
    wake_requested: AtomicBool,
    /// Notified when connections were made or have closed.
    changed: Notify,
    /// Calls that wait for room.
    queued: AtomicU32,
    /// What few endpoints have.
    details: ArcSwapOption<EndpointDetails>,
    /// What sessions need to know.
    pub(super) session: SessionState,
    /// The endpoint in its cluster.
    id: EndpointId,
    /// The events of the cluster's task. Weak: calls in flight hold this state, and must not keep unhandled events.
    mailbox: Weak<Mailbox<T>>,
}

impl<T> EndpointState<T> {
    /// An endpoint without a connection.
    pub(super) fn new(id: EndpointId, mailbox: &Arc<Mailbox<T>>) -> Self {
        Self {
            connections: ArcSwapOption::empty(),
            wake_requested: AtomicBool::new(false),
            changed: Notify::new(),
            queued: AtomicU32::new(0),
            details: ArcSwapOption::empty(),
            session: SessionState::default(),
            id,
            mailbox: Arc::downgrade(mailbox),
        }
    }

    /// Sets the endpoint's connections. Calls that wait for room on earlier ones pick again.
    pub(super) fn set_connections(&self, connections: Option<Arc<Connections<T>>>) {
        self.connections.store(connections);
        self.changed.notify_waiters();
    }

    /// Sets what few endpoints have.
    pub(super) fn set_details(&self, details: Option<&Arc<EndpointDetails>>) {
        if self.details.load().as_ref() != details {
            self.details.store(details.cloned());
        }
    }

    /// Whether this is the first request since the last [`wake_handled`](Self::wake_handled).
    pub(super) fn request_wake(&self) -> bool {
        !self.wake_requested.load(Ordering::Relaxed) && !self.wake_requested.swap(true, Ordering::AcqRel)
    }

    pub(super) fn wake_handled(&self) {
        self.wake_requested.store(false, Ordering::Release);
    }
}

/// A call in the queue for room at an endpoint; dropping it leaves the queue.
struct Queued<T> {
    endpoint: Arc<EndpointState<T>>,
    cluster: Arc<ClusterLoad>,
}

impl<T> Queued<T> {
    /// `None`: as many as the limit wait already.
    fn new(slot: &Slot<T>, limit: MaxQueued) -> Option<Self> {
        let endpoint = &slot.state;
        if endpoint.queued.fetch_add(1, Ordering::Relaxed) >= limit.0 {
            endpoint.queued.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let cluster = slot.accounting.load.clone();
        cluster.enter_queue();
        Some(Self { endpoint: endpoint.clone(), cluster })
    }
}

impl<T> Drop for Queued<T> {
    fn drop(&mut self) {
        self.endpoint.queued.fetch_sub(1, Ordering::Relaxed);
        self.cluster.leave_queue();
    }
}
