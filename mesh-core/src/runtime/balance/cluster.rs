//! The handle of a cluster's balancer task.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::watch;

use crate::config::ResourceError;
use crate::policy::lb::{self, Balancer, Connectivity, EndpointId};
use crate::runtime::WaitForReady;
use crate::runtime::connect::Connect;

use super::mailbox::{Event, Mailbox};
use super::task::Task;
use super::waiting_calls::{Helped, WaitingCalls};
use super::{Leaves, Pool, Published};

/// Makes a cluster's balancer. Its updates name the load-balancing policies.
pub(crate) type MakeBalancer = fn() -> Box<dyn Balancer>;

/// One cluster's balancer task with its published state. Dropping the last handle ends the task and disconnects its
/// endpoints; running calls finish on their connections.
pub(crate) struct ClusterHandle<C: Connect> {
    shared: Arc<Shared<C::Connection>>,
}

/// The state that handle and task share.
pub(super) struct Shared<T> {
    pub(super) published: ArcSwap<Published<T>>,
    /// The version of the last publication, for channels that are warmed up.
    pub(super) version: watch::Sender<u64>,
    pub(super) waiting: WaitingCalls,
    pub(super) mailbox: Arc<Mailbox<T>>,
    /// A call has picked since the task last looked.
    // LB-75
    is_used: AtomicBool,
    /// The task has ended: there are no further publications.
    ended: AtomicBool,
    /// Why the cluster was removed from the configuration.
    removed: OnceLock<ResourceError>,
}

impl<T> Shared<T> {
    pub(super) fn new(published: Published<T>) -> Self {
        Self {
            published: ArcSwap::from_pointee(published),
            version: watch::Sender::new(0),
            waiting: WaitingCalls::default(),
            mailbox: Arc::default(),
            is_used: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            removed: OnceLock::new(),
        }
    }

    /// Why the cluster was removed from the configuration; `None`: it was not.
    pub(super) fn removed(&self) -> Option<&ResourceError> {
        self.removed.get()
    }

    /// Whether a call has picked since the last time.
    pub(super) fn take_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    /// The task has ended: wakes calls that wait, so that they read the state again.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.version.send_modify(|version| *version = u64::MAX);
        self.waiting.wake(Helped::All);
    }
}

impl<C: Connect> ClusterHandle<C> {
    /// Starts a cluster's task on the pool's runtime. The first publication is made before this returns.
    ///
    /// `seed` seeds the cluster's random decisions.
    pub(crate) fn start(leaves: impl Into<Leaves>, pool: &Arc<Pool<C>>, seed: u64) -> Arc<Self> {
        Self::start_with(lb::balancer, leaves, pool, seed)
    }

    /// Starts a cluster with the balancer of `make_balancer`.
    pub(crate) fn start_with(
        make_balancer: MakeBalancer,
        leaves: impl Into<Leaves>,
        pool: &Arc<Pool<C>>,
        seed: u64,
    ) -> Arc<Self> {
        let mut task = Task::new(make_balancer(), leaves.into(), pool.clone(), seed);
        let shared = task.shared().clone();
        task.step();
        pool.runtime.spawn(task.run());
        Arc::new(Self { shared })
    }

    /// Sets new settings or endpoints of the cluster. Endpoints that stay in their leaf keep their connections, ids and
    /// states; parts that are pointer-equal to the last ones cost nothing.
    pub(crate) fn update(&self, leaves: impl Into<Leaves>) {
        self.shared.mailbox.update(leaves.into());
    }

    /// RT-26: the cluster was removed from the configuration, for this reason. The task disconnects its endpoints; calls that
    /// wait for it fail, also those that wait for ready.
    pub(crate) fn end(&self, error: ResourceError) {
        let note = error.to_string().into();
        // The first reason stays.
        let _ = self.shared.removed.set(error);
        self.shared.mailbox.push(Event::End(note));
    }

    /// Why the cluster was removed from the configuration; `None`: it was not.
    pub(crate) fn removed(&self) -> Option<&ResourceError> {
        self.shared.removed()
    }

    /// A call picks. Nothing is written unless it is the first one for some time.
    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.shared.is_used.load(Ordering::Relaxed) {
            self.shared.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// The last publication: one atomic load.
    pub(crate) fn published(&self) -> Guard<Arc<Published<C::Connection>>> {
        self.shared.published.load()
    }

    /// Completes when there is a newer publication than version `seen`, or when the cluster has ended.
    pub(crate) fn changed(&self, seen: u64) -> impl Future<Output = ()> + Send + use<C> {
        let mut versions = self.shared.version.subscribe();
        async move {
            // An error means that the cluster has ended: the call reads the state again.
            let _ = versions.wait_for(|version| *version > seen).await;
        }
    }

    /// Completes with a later publication that helps a call with this setting, or when the cluster has ended. `None`: the
    /// publication of version `seen` is not the last one, or the cluster has ended, and the call picks again at once.
    pub(crate) fn next_help(&self, wait: WaitForReady, seen: u64) -> Option<OwnedNotified> {
        // The wait begins before the version is read, so that no publication is missed.
        let helped = self.shared.waiting.wait(wait);
        (self.published().version == seen && !self.has_ended()).then_some(helped)
    }

    /// Whether the task has ended before its handle: its runtime was shut down.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// A call has picked this endpoint, which has no connection. Cheap to repeat.
    pub(crate) fn on_missing(&self, endpoint: EndpointId) {
        if self.published().slot(endpoint).is_some_and(|slot| slot.state.request_wake()) {
            self.shared.mailbox.push(Event::Missing(endpoint));
        }
    }

    /// A call of a session waits for this endpoint. Cheap to repeat.
    pub(crate) fn connect_for_session(&self, endpoint: EndpointId) {
        if self.published().slot(endpoint).is_some_and(|slot| slot.state.request_wake()) {
            self.shared.mailbox.push(Event::Session(endpoint));
        }
    }

    /// A call waits: the task connects this idle endpoint, or any if `None`. Cheap to repeat.
    pub(crate) fn wake(&self, endpoint: Option<EndpointId>) {
        let published = self.published();
        match endpoint {
            Some(id) if published.slot(id).is_some_and(|slot| slot.state.request_wake()) => {
                self.shared.mailbox.push(Event::Wake(id));
            }
            None if matches!(published.state, Connectivity::Idle) => self.shared.mailbox.wake(),
            Some(_) | None => {}
        }
    }
}

impl<C: Connect> Drop for ClusterHandle<C> {
    fn drop(&mut self) {
        self.shared.mailbox.close();
    }
}

impl<C: Connect> fmt::Debug for ClusterHandle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterHandle").field("published", &self.published()).finish_non_exhaustive()
    }
}
