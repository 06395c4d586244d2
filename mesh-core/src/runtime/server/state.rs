//! What a server does at the moment, and how it is told to stop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::policy::first_bytes::may_begin_http1;
use crate::runtime::SourceError;
use crate::runtime::rng::Randomness;
use crate::runtime::tls::{Acceptor, AcceptorSettings, ApplicationProtocol};

use super::ServerSettings;
use super::generation::Generation;
use super::observed::Observers;

/// Whether a server takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServingState {
    /// No configuration has come yet: connections are closed at once.
    // SV-02
    Waiting,
    /// Connections are taken.
    Serving,
    /// There is no configuration, for this reason: connections are closed at once, and older ones end with their calls.
    // SV-05, SV-07
    NotServing(SourceError),
    /// The server was shut down.
    Stopped,
}

/// Called with every change of a server's state.
// SV-04
pub(super) type OnState = Box<dyn Fn(&ServingState) + Send + Sync>;

/// The state that a server, its connections and its handles share.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) settings: ServerSettings,
    pub(super) randomness: Arc<Randomness>,
    pub(super) tls: Acceptor,
    protocols: Vec<ApplicationProtocol>,
    /// `None`: it does not serve.
    pub(super) generation: ArcSwapOption<Generation>,
    state: watch::Sender<ServingState>,
    on_state: Option<OnState>,
    pub(super) observers: Observers,
    /// When a shutdown cuts what is left; `None`: the server runs.
    stop: watch::Sender<Option<Instant>>,
    /// Whether the last connection has ended after a shutdown.
    ended: watch::Sender<bool>,
    connections: AtomicUsize,
    accepted: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        address: SocketAddr,
        settings: ServerSettings,
        protocols: Vec<ApplicationProtocol>,
        randomness: Arc<Randomness>,
        on_state: Option<OnState>,
        observers: Observers,
    ) -> Self {
        let handshakes =
            AcceptorSettings { handshake_timeout: settings.handshake_timeout, protocols: protocols.clone() };
        Self {
            address,
            settings,
            randomness,
            tls: Acceptor::new(handshakes),
            protocols,
            generation: ArcSwapOption::empty(),
            state: watch::Sender::new(ServingState::Waiting),
            on_state,
            observers,
            stop: watch::Sender::new(None),
            ended: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
        }
    }

    /// Whether bytes that are neither TLS nor HTTP/2 are for this server.
    pub(super) fn takes_http1(&self, bytes: &[u8]) -> bool {
        self.protocols.contains(&ApplicationProtocol::Http1) && may_begin_http1(bytes)
    }

    /// The next generation, or none; connections of the one before drain.
    pub(super) fn replace(&self, generation: Option<Arc<Generation>>) {
        if let Some(last) = self.generation.swap(generation) {
            last.drain(Instant::now() + self.settings.drain_grace);
        }
    }

    // SV-04
    pub(super) fn set_state(&self, state: ServingState) {
        if *self.state.borrow() == state {
            return;
        }
        match &state {
            ServingState::NotServing(error) => {
                tracing::warn!(address = %self.address, %error, "server does not serve");
            }
            state => tracing::info!(address = %self.address, ?state, "server"),
        }
        if let Some(on_state) = &self.on_state {
            on_state(&state);
        }
        self.state.send_replace(state);
    }

    /// Waits for a shutdown. The time at which it cuts what is left.
    pub(super) async fn stopping(&self) -> Instant {
        let mut stop = self.stop.subscribe();
        match stop.wait_for(Option::is_some).await.map(|deadline| *deadline) {
            Ok(Some(deadline)) => deadline,
            _ => std::future::pending().await,
        }
    }

    /// Counts a connection that is ready for calls, until the value is dropped.
    pub(super) fn count(self: &Arc<Self>) -> Counted {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// The last connection has ended, or the server was dropped.
    pub(super) fn set_ended(&self) {
        self.ended.send_replace(true);
    }
}

/// A place among the connections that there are.
#[derive(Debug)]
pub(super) struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Observes and stops a running server. Clones are the same server.
#[derive(Debug, Clone)]
pub struct ServerHandle(pub(super) Arc<Shared>);

impl ServerHandle {
    /// The address that the server is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address
    }

    /// Whether the server takes connections.
    pub fn state(&self) -> ServingState {
        self.0.state.borrow().clone()
    }

    /// How many connections are ready for calls, those that drain included.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// How many connections have become ready for calls since the start.
    pub fn accepted_connections(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Waits until the state fits, and returns it.
    pub async fn wait_for(&self, mut fits: impl FnMut(&ServingState) -> bool) -> ServingState {
        let mut states = self.0.state.subscribe();
        let found = states.wait_for(|state| fits(state)).await.map(|state| state.clone());
        // the sender lives as long as this handle
        found.unwrap_or(ServingState::Stopped)
    }

    /// Stops the server: it accepts no connection any more, asks its clients to make their next calls elsewhere, and waits
    /// for calls that run. What is left after `grace` is cut. Completes when the last connection has ended.
    ///
    /// For an application's SIGTERM, for example. A second shutdown may shorten the grace, never extend it.
    pub async fn shutdown(&self, grace: Duration) {
        self.begin_shutdown(grace);
        let _ = self.0.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// As [`shutdown`](Self::shutdown), without the wait.
    pub fn begin_shutdown(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.0.stop.send_modify(|stop| *stop = Some(stop.map_or(deadline, |earlier| earlier.min(deadline))));
        if let Some(generation) = self.0.generation.load_full() {
            generation.drain(deadline);
        }
    }
}
