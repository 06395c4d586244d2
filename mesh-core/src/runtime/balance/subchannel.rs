//! One endpoint's connections, shared by every cluster that has the endpoint and the same settings.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::config::{ConnectionSettings, EndpointAddresses, Name};
use crate::policy::lb::Connectivity;
use crate::policy::subchannel::{ConnectionEnd, Subchannel as Machine};
use crate::runtime::connect::{Connect, ConnectError, ConnectTarget, Established, Security, WireProtocol};

use super::connections::Connections;
use super::live::Live;
use super::mailbox::{Mailbox, Status, SubscriptionId};
use super::subscription::{Subscription, Watcher};
use super::{Pool, clock};

/// One endpoint's connections: one, unless calls need more. It has a task only while connecting, connected or backing off.
pub(super) struct Subchannel<C: Connect> {
    pool: Arc<Pool<C>>,
    key: SubchannelKey,
    hostname: Name,
    state: Mutex<State<C::Connection>>,
}

/// What identifies a subchannel: calls to the same endpoint share connections only if their security and their
/// cluster's settings are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SubchannelKey {
    /// An [`EndpointAddresses::identity`].
    pub(super) identity: EndpointAddresses,
    pub(super) security: Security,
    pub(super) connection: Arc<ConnectionSettings>,
}

struct State<T> {
    machine: Machine,
    /// The clusters that want a connection. Cleared when the subchannel becomes idle: each cluster's balancer decides whether
    /// it subscribes again.
    watchers: Vec<Watcher<T>>,
    connections: Option<Arc<Connections<T>>>,
    /// The last connection was closed after the idle timeout.
    is_resting: bool,
    /// Grows whenever a task has to stop: a task of an earlier epoch has no effect any more.
    epoch: u64,
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
        let state = State {
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
            state.epoch += 1;
            (state.task.take().inspect(AbortHandle::abort), state.connections.take())
        };
        // Dropped without the lock: the connection may close here.
        drop(released);
    }

    /// Changes the state machine for the task of this epoch, and sends the new state to all subscriptions. `None`: the task
    /// has to end.
    fn advance<R>(
        &self,
        epoch: u64,
        change: impl FnOnce(&mut State<C::Connection>, Instant) -> R,
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
            state.epoch += 1;
            state.watchers.clear();
            return None;
        }
        Some((result, after))
    }

    /// One pass over the addresses, or the rest of a backoff. `None`: there is no connection.
    async fn establish(&self, epoch: u64) -> Option<(SocketAddr, Established<C::Connection>)> {
        let mut attempts = FuturesUnordered::new();
        loop {
            let ((wanted, deadline), now) = self
                .advance(epoch, |state, _| (state.machine.wants_attempt(), state.machine.next_deadline()))?;
            if matches!(now, Connectivity::TransientFailure(_)) {
                attempts.clear();
            }
            tokio::select! {
                biased;
                Some(outcome) = attempts.next() => match outcome {
                    Ok(established) => return Some(established),
                    Err(error) => self.on_failed(epoch, &error)?,
                },
                Ok(permit) = self.pool.permits.clone().acquire_owned(), if wanted => {
                    let (address, _) = self.advance(epoch, |state, now| {
                        state.machine.start_attempt(now, &mut rand::rng())
                    })?;
                    attempts.extend(address.map(|address| self.attempt(address, permit)));
                }
                () = clock::sleep_until(deadline) => {
                    self.advance(epoch, |state, now| state.machine.on_deadline(now))?;
                }
            }
        }
    }

    /// One attempt to connect, and its address.
    pub(super) async fn attempt(
        &self,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<(SocketAddr, Established<C::Connection>), ConnectError> {
        tracing::trace!(%address, "connecting");
        let target = ConnectTarget {
            address,
            hostname: self.hostname.clone(),
            security: self.key.security.clone(),
            protocol: WireProtocol::Http2,
            connection: self.key.connection.clone(),
        };
        // A dialer may be code of a user: a panic in it is a failed attempt.
        let connect = AssertUnwindSafe(self.pool.connector.connect(&target)).catch_unwind();
        let limited = async {
            match target.connection.connect_timeout {
                // CDS-21
                Some(limit) => tokio::time::timeout(limit, connect)
                    .await
                    .map_err(|_| format!("no connection within {limit:?}, the cluster's connect timeout")),
                None => Ok(connect.await),
            }
        };
        let mut limited = pin!(limited);
        let outcome = tokio::select! {
            biased;
            outcome = &mut limited => outcome,
            () = tokio::time::sleep(UNANSWERED) => {
                drop(permit);
                limited.await
            }
        };
        match outcome {
            Ok(Ok(connected)) => connected.map(|established| (address, established)),
            Ok(Err(_)) => Err(ConnectError::new(address, "the dialer panicked")),
            Err(timeout) => Err(ConnectError::new(address, timeout)),
        }
    }

    fn on_failed(&self, epoch: u64, error: &ConnectError) -> Option<()> {
        tracing::debug!(%error, "connection attempt failed");
        self.advance(epoch, |state, now| state.machine.on_failed(now, &error.to_string()))?;
        Some(())
    }

    /// LB-78: how many connections the endpoint may have.
    fn max_connections(&self) -> usize {
        self.key.connection.max_connections.get().min(MAX_CONNECTIONS) as usize
    }

    /// The pool of the mesh.
    pub(super) fn pool(&self) -> &Pool<C> {
        &self.pool
    }

    /// The endpoint's addresses, for texts.
    pub(super) fn identity(&self) -> &EndpointAddresses {
        &self.key.identity
    }

    fn lock(&self) -> MutexGuard<'_, State<C::Connection>> {
        // A panic under the lock can only come from a connection's drop, which leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a subchannel's connections, from the first attempt to the end of the last connection.
async fn drive<C: Connect>(subchannel: Arc<Subchannel<C>>, epoch: u64) {
    let Some((address, established)) = subchannel.establish(epoch).await else { return };
    tracing::debug!(addresses = ?subchannel.key.identity, "connected");
    let limit = subchannel.max_connections();
    let mut live = Live::new(address, established);
    let connections = live.connections(limit);
    let ready = subchannel.advance(epoch, |state, now| {
        state.connections = connections;
        state.machine.on_connected(now);
    });
    if ready.is_none() {
        return;
    }
    loop {
        let end = live.next_change(&subchannel, limit).await;
        let connections = live.connections(limit);
        let kept = subchannel.advance(epoch, |state, now| {
            state.connections = connections;
            match (&state.connections, end) {
                (Some(_), _) => state.tell_all(),
                (None, end) => {
                    state.is_resting = end == ConnectionEnd::Idle;
                    state.machine.on_disconnected(now, end);
                }
            }
        });
        if kept.is_none() {
            return;
        }
    }
}

impl<T> State<T> {
    fn status(&self) -> Status<T> {
        match (self.machine.connectivity(), &self.connections) {
            (Connectivity::Ready, Some(connections)) => Status::Ready(connections.clone()),
            (Connectivity::Connecting, _) => Status::Connecting,
            (Connectivity::TransientFailure(reason), _) => Status::Failed(reason),
            (Connectivity::Idle, _) if self.is_resting => Status::Resting,
            (Connectivity::Idle | Connectivity::Ready, _) => Status::Idle,
        }
    }

    fn tell_all(&self) {
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

/// After this time an attempt no longer counts against the limit: while the endpoint does not answer it costs almost nothing,
/// and many silent endpoints must not delay connections to others.
const UNANSWERED: Duration = Duration::from_millis(100);

/// LB-78: the maximum of connections to an endpoint, also if its cluster is configured for more.
const MAX_CONNECTIONS: u32 = 10;
