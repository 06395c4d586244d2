//! A cluster's balancer as the rest of the mesh holds it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::config::ResourceError;
use crate::policy::lb::{self, Balancer, Connectivity, EndpointId};
use crate::runtime::connect::Connect;

use super::mailbox::{Event, Mailbox};
use super::task::Task;
use super::{Leaves, Pool, Published};

/// Makes a cluster's balancer. Policies come with what it is told of priorities.
pub(crate) type MakeBalancer = fn() -> Box<dyn Balancer>;

/// One cluster's balancer task with its published state. Dropping the last handle ends the task and lets go of its
/// endpoints; calls that run finish on their connections.
pub(crate) struct ClusterHandle<C: Connect> {
    shared: Arc<Shared<C::Connection>>,
}

/// What handle and task have in common.
pub(super) struct Shared<T> {
    pub(super) published: ArcSwap<Published<T>>,
    /// The version of what is published, for those who wait.
    pub(super) version: watch::Sender<u64>,
    pub(super) mailbox: Arc<Mailbox<T>>,
    /// The task is gone: nothing that is published changes any more.
    ended: AtomicBool,
    /// Why there is no such cluster any more.
    gone: OnceLock<ResourceError>,
}

impl<T> Shared<T> {
    pub(super) fn new(published: Published<T>) -> Self {
        Self {
            published: ArcSwap::from_pointee(published),
            version: watch::Sender::new(0),
            mailbox: Arc::default(),
            ended: AtomicBool::new(false),
            gone: OnceLock::new(),
        }
    }

    /// Calls that wait look again.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.version.send_modify(|version| *version = u64::MAX);
    }
}

impl<C: Connect> ClusterHandle<C> {
    /// Starts a cluster. The first publication is there when this returns; the rest happens on a task of the pool's
    /// runtime.
    ///
    /// `seed` feeds the cluster's random decisions.
    pub(crate) fn start(leaves: impl Into<Leaves>, pool: &Arc<Pool<C>>, seed: u64) -> Arc<Self> {
        Self::start_with(lb::balancer, leaves, pool, seed)
    }

    /// Starts a cluster with a balancer of the caller's.
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

    /// New settings or endpoints for the same cluster. Endpoints that stay in their leaf keep their connections, ids and
    /// states; parts that are pointer-equal to what they were cost nothing.
    pub(crate) fn update(&self, leaves: impl Into<Leaves>) {
        self.shared.mailbox.update(leaves.into());
    }

    /// RT-26: there is no such cluster any more, for this reason. It lets go of its endpoints; calls that wait for it
    /// are to fail, however patient.
    pub(crate) fn end(&self, error: ResourceError) {
        let note = error.to_string().into();
        // Only the first reason counts.
        let _ = self.shared.gone.set(error);
        self.shared.mailbox.push(Event::End(note));
    }

    /// Why there is no such cluster any more.
    pub(crate) fn gone(&self) -> Option<&ResourceError> {
        self.shared.gone.get()
    }

    /// What to pick from: one atomic load.
    pub(crate) fn published(&self) -> Guard<Arc<Published<C::Connection>>> {
        self.shared.published.load()
    }

    /// Completes when something newer than the publication of version `seen` is there, or when the cluster is gone.
    pub(crate) fn changed(&self, seen: u64) -> impl Future<Output = ()> + Send + use<C> {
        let mut versions = self.shared.version.subscribe();
        async move {
            // An error means that the cluster is gone: whoever waits is to look again.
            let _ = versions.wait_for(|version| *version > seen).await;
        }
    }

    /// Whether the task has ended although the handle is there: its runtime has been shut down.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// A call has picked this endpoint, and there is no connection to it. Cheap to repeat.
    pub(crate) fn on_missing(&self, endpoint: EndpointId) {
        if self.published().slot(endpoint).is_some_and(|slot| slot.state.request_wake()) {
            self.shared.mailbox.push(Event::Missing(endpoint));
        }
    }

    /// A call waits: connect this idle endpoint, or leave idleness. Cheap to repeat.
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
