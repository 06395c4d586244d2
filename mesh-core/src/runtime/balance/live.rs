//! The open connections of a subchannel.

use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;

use crate::policy::backoff::Backoff;
use crate::policy::subchannel::ConnectionEnd;
use crate::runtime::circuit_breaker::{ConnectionLimit, CountedConnection};
use crate::runtime::connect::{Connect, ConnectError, Connection, DisconnectReason, Established};

use super::clock;
use super::connections::Connections;
use super::subchannel::Subchannel;

/// The open connections of a subchannel. Makes further ones when calls need them.
pub(super) struct Live<C: Connect> {
    /// The address of the first connection: further ones go there, too.
    address: SocketAddr,
    /// Oldest first.
    open: Vec<Open<C>>,
    /// The limit of the cluster's connections.
    cluster: Option<ConnectionLimit>,
    ends: FuturesUnordered<BoxFuture<'static, (u64, DisconnectReason)>>,
    next_number: u64,
    /// Requests another connection.
    more: Arc<Notify>,
    backoff: Backoff,
    /// No further connection is made before this time, because the last attempt failed.
    pause: Option<std::time::Instant>,
}

/// An open connection, with its number.
struct Open<C: Connect> {
    number: u64,
    connection: C::Connection,
    /// `None`: the cluster's connections are not limited.
    _counted: Option<CountedConnection>,
}

type Attempt<C> = Result<(SocketAddr, Established<<C as Connect>::Connection>), ConnectError>;

impl<C: Connect> Live<C> {
    pub(super) fn new(
        address: SocketAddr,
        first: Established<C::Connection>,
        cluster: Option<ConnectionLimit>,
    ) -> Self {
        let counted = cluster.as_ref().map(ConnectionLimit::first);
        let mut live = Self {
            address,
            open: Vec::new(),
            cluster,
            ends: FuturesUnordered::new(),
            next_number: 0,
            more: Arc::new(Notify::new()),
            backoff: Backoff::default(),
            pause: None,
        };
        live.add(first, counted);
        live
    }

    /// The connections for calls. `None`: all have closed.
    pub(super) fn connections(&self, limit: usize) -> Option<Arc<Connections<C::Connection>>> {
        let more = (self.open.len() < limit).then(|| self.more.clone());
        let all = self.open.iter().map(|open| open.connection.clone());
        Connections::new(self.address, all, more).map(Arc::new)
    }

    /// Waits until a connection was made or has closed. Returns how the last one ended.
    pub(super) async fn next_change(&mut self, subchannel: &Subchannel<C>, limit: usize) -> ConnectionEnd {
        let mut growing: Pin<Box<dyn Future<Output = Attempt<C>> + Send + '_>> = pending().boxed();
        let mut is_growing = false;
        let mut counted = None;
        loop {
            tokio::select! {
                biased;
                Some((number, reason)) = self.ends.next() => {
                    drop(growing);
                    return self.remove(number, reason);
                }
                () = self.more.notified(), if !is_growing && self.open.len() < limit => {
                    // LB-27: asked again by the next call that finds no room
                    match self.cluster.as_ref().map(ConnectionLimit::further) {
                        Some(None) => continue,
                        Some(count) => counted = count,
                        None => {}
                    }
                    let (address, pause) = (self.address, self.pause);
                    is_growing = true;
                    growing = Box::pin(async move {
                        if let Some(pause) = pause {
                            clock::sleep_until(Some(pause)).await;
                        }
                        let permits = subchannel.pool().permits.clone();
                        match permits.acquire_owned().await {
                            Ok(permit) => subchannel.attempt(address, permit).await,
                            Err(closed) => Err(ConnectError::new(address, closed)),
                        }
                    });
                }
                outcome = &mut growing => {
                    drop(growing);
                    match outcome {
                        Ok((_, established)) => {
                            tracing::debug!(address = %self.address, "another connection");
                            (self.backoff, self.pause) = (Backoff::default(), None);
                            self.add(established, counted);
                            return ConnectionEnd::Served;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "no further connection");
                            let settings = &subchannel.pool().subchannel_settings.backoff;
                            self.pause = Some(clock::now() + self.backoff.next(settings, &mut rand::rng()));
                            growing = pending().boxed();
                            (is_growing, counted) = (false, None);
                        }
                    }
                }
            }
        }
    }

    fn add(&mut self, established: Established<C::Connection>, counted: Option<CountedConnection>) {
        let Established { connection, closed } = established;
        let number = self.next_number;
        self.next_number += 1;
        self.open.push(Open { number, connection, _counted: counted });
        self.ends.push(closed.map(move |reason| (number, reason)).boxed());
    }

    fn remove(&mut self, number: u64, reason: DisconnectReason) -> ConnectionEnd {
        tracing::debug!(address = %self.address, %reason, "disconnected");
        let Some(at) = self.open.iter().position(|open| open.number == number) else {
            return ConnectionEnd::Broken;
        };
        let connection = self.open.remove(at).connection;
        match reason {
            DisconnectReason::UsedUp => ConnectionEnd::UsedUp,
            DisconnectReason::Idle => ConnectionEnd::Idle,
            _ if connection.has_served() => ConnectionEnd::Served,
            _ => ConnectionEnd::Broken,
        }
    }
}
