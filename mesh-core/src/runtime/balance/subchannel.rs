//! One endpoint's connections, shared by every cluster that has the endpoint and the same settings.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

use crate::config::{ConnectionSettings, EndpointAddresses, Name};
use crate::policy::lb::Connectivity;
use crate::policy::subchannel::Subchannel as Machine;
use crate::runtime::circuit_breaker::ConnectionLimit;
use crate::runtime::connect::{Connect, Security};

use super::connections::Connections;
use super::mailbox::{Mailbox, Status, SubscriptionId};
use super::subchannel_task::drive;
use super::subscription::{Subscription, Watcher};
use super::{Pool, clock};

/// One endpoint's connections: one, unless calls need more. It has a task only while connecting, connected or backing off.
pub(super) struct Subchannel<C: Connect> {
    pool: Arc<Pool<C>>,
    key: SubchannelKey,
    hostname: Name,
    state: Mutex<SubchannelState<C::Connection>>,
}

/// What identifies a subchannel: calls to the same endpoint share connections only if their security and their
/// cluster's settings are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SubchannelKey {
    /// An [`EndpointAddresses::identity`].
    pub(super) identity: EndpointAddresses,
    pub(super) security: Security,
    pub(super) connection: Arc<ConnectionSettings>,
    pub(super) extras: Option<Arc<ConnectionExtras>>,
}

/// What the connections of few endpoints have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ConnectionExtras {
    /// A cluster that limits its connections shares none with others.
    // LB-27
    pub(super) limit: Option<ConnectionLimit>,
    /// The endpoint's proxy.
    // LB-79
    pub(super) proxy: Option<SocketAddr>,
}

pub(super) struct SubchannelState<T> {
    pub(super) machine: Machine,
    /// The clusters that want a connection. Cleared when the subchannel becomes idle: each cluster's balancer decides whether
    /// it subscribes again.
    watchers: Vec<Watcher<T>>,
    pub(super) connections: Option<Arc<Connections<T>>>,
    /// The last connection was closed after the idle timeout.
    pub(super) is_resting: bool,
    /// Grows whenever a task has to stop: a task of an earlier epoch has no effect any more.
    epoch: u32,
    task: Option<AbortHandle>,
}

impl<C: Connect> Subchannel<C> {
    pub(super) fn new(
        pool: Arc<Pool<C>>,
        key: SubchannelKey,
        addresses: EndpointAddresses,
        hostname: Name,
    ) -> Self {
        let machine = Machine::new(addresses, pool.subchannel_settings.clone());
        let state = SubchannelState {
            machine,
            watchers: Vec::new(),
            connections: None,
            is_resting: false,
            epoch: 0,
            task: None,
        };
        Self { pool, key, hostname, state: Mutex::new(state) }
    }

    /// Sets the order of preference of the same addresses. If clusters differ, the last change wins.
    pub(super) fn prefer(&self, addresses: &EndpointAddresses) {
        self.lock().machine.prefer(addresses.clone());
    }

    /// Asks for a connection. The mailbox gets the current state at once, and every change until the subchannel is idle
    /// again.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        mailbox: &Arc<Mailbox<C::Connection>>,
        subscription_id: SubscriptionId,
    ) -> Subscription<C> {
        let mut state = self.lock();
        if state.task.is_none() {
            state.machine.connect(clock::now());
            state.is_resting = false;
            let task = self.pool.runtime.spawn(drive(self.clone(), state.epoch));
            state.task = Some(task.abort_handle());
        }
        let watcher = Watcher::new(mailbox.clone(), subscription_id);
        watcher.tell(state.status());
        state.watchers.reserve_exact(1);
        state.watchers.push(watcher);
        Subscription::new(self.clone(), mailbox.clone(), subscription_id)
    }

    pub(super) fn unsubscribe(&self, mailbox: &Arc<Mailbox<C::Connection>>, subscription_id: SubscriptionId) {
        let released = {
            let mut state = self.lock();
            let before = state.watchers.len();
            state.watchers.retain(|watcher| !watcher.is(mailbox, subscription_id));
            // The list does not have subscriptions that have ended because the subchannel became idle.
            if state.watchers.len() == before || !state.watchers.is_empty() {
                return;
            }
            state.machine.disconnect();
            state.epoch = state.epoch.wrapping_add(1);
            (state.task.take().inspect(AbortHandle::abort), state.connections.take())
        };
        // Dropped without the lock: the connection may close here.
        drop(released);
    }

    /// Changes the state machine for the task of this epoch, and sends the new state to all subscriptions. `None`: the task
    /// has to end.
    pub(super) fn advance<R>(
        &self,
        epoch: u32,
        change: impl FnOnce(&mut SubchannelState<C::Connection>, Instant) -> R,
    ) -> Option<(R, Connectivity)> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        let before = std::mem::discriminant(&state.machine.connectivity());
        let result = change(&mut state, clock::now());
        let after = state.machine.connectivity();
        if before != std::mem::discriminant(&after) {
            state.tell_all();
        }
        if matches!(after, Connectivity::Idle) {
            state.task = None;
            state.epoch = state.epoch.wrapping_add(1);
            state.watchers.clear();
            return None;
        }
        Some((result, after))
    }

    /// LB-78: how many connections the endpoint may have.
    pub(super) fn max_connections(&self) -> usize {
        self.key.connection.max_connections.get().min(MAX_CONNECTIONS) as usize
    }

    /// The pool of the mesh.
    pub(super) fn pool(&self) -> &Pool<C> {
        &self.pool
    }

    /// What identifies it in the pool.
    pub(super) fn key(&self) -> &SubchannelKey {
        &self.key
    }

    /// The limit of its cluster's connections.
    pub(super) fn limit(&self) -> Option<&ConnectionLimit> {
        self.key.extras.as_deref()?.limit.as_ref()
    }

    /// The proxy through which connections go.
    pub(super) fn proxy(&self) -> Option<SocketAddr> {
        self.key.extras.as_deref()?.proxy
    }

    /// The endpoint's name, for TLS and the authority.
    pub(super) fn hostname(&self) -> &Name {
        &self.hostname
    }

    fn lock(&self) -> MutexGuard<'_, SubchannelState<C::Connection>> {
        // A panic under the lock can only come from a connection's drop, which leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> SubchannelState<T> {
    fn status(&self) -> Status<T> {
        match (self.machine.connectivity(), &self.connections) {
            (Connectivity::Ready, Some(connections)) => Status::Ready(connections.clone()),
            (Connectivity::Connecting, _) => Status::Connecting,
            (Connectivity::TransientFailure(reason), _) => Status::Failed(reason),
            (Connectivity::Idle, _) if self.is_resting => Status::Resting,
            (Connectivity::Idle | Connectivity::Ready, _) => Status::Idle,
        }
    }

    pub(super) fn tell_all(&self) {
        let status = self.status();
        self.watchers.iter().for_each(|watcher| watcher.tell(status.clone()));
    }
}

impl<C: Connect> Drop for Subchannel<C> {
    fn drop(&mut self) {
        self.pool.forget(&self.key);
    }
}

impl<C: Connect> fmt::Debug for Subchannel<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subchannel").field("machine", &self.lock().machine).finish_non_exhaustive()
    }
}

/// LB-78: the maximum of connections to an endpoint, also if its cluster is configured for more.
const MAX_CONNECTIONS: u32 = 10;
