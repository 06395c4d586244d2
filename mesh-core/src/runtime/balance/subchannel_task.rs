//! The task of a subchannel: makes the endpoint's first connection, and keeps as many as calls need.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::policy::lb::Connectivity;
use crate::policy::subchannel::ConnectionEnd;
use crate::runtime::connect::{Connect, ConnectError, ConnectTarget, Established, WireProtocol};

use super::clock;
use super::live::Live;
use super::subchannel::Subchannel;

/// The task of a subchannel's connections, from the first attempt to the end of the last connection.
pub(super) async fn drive<C: Connect>(subchannel: Arc<Subchannel<C>>, epoch: u32) {
    let Some((address, established)) = subchannel.establish(epoch).await else { return };
    tracing::debug!(%address, "connected");
    let limit = subchannel.max_connections();
    let mut live = Live::new(address, established, subchannel.limit().cloned());
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

impl<C: Connect> Subchannel<C> {
    /// One pass over the addresses, or the rest of a backoff. `None`: there is no connection.
    async fn establish(&self, epoch: u32) -> Option<(SocketAddr, Established<C::Connection>)> {
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
                Ok(permit) = self.pool().permits.clone().acquire_owned(), if wanted => {
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
            hostname: self.hostname().clone(),
            security: self.key().security.clone(),
            protocol: WireProtocol::Http2,
            connection: self.key().connection.clone(),
            proxy: self.proxy(),
        };
        // A dialer may be code of a user: a panic in it is a failed attempt.
        let connect = AssertUnwindSafe(self.pool().connector.connect(&target)).catch_unwind();
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

    fn on_failed(&self, epoch: u32, error: &ConnectError) -> Option<()> {
        tracing::debug!(%error, "connection attempt failed");
        self.advance(epoch, |state, now| state.machine.on_failed(now, &error.to_string()))?;
        Some(())
    }
}

/// After this time an attempt no longer counts against the limit: while the endpoint does not answer it costs almost nothing,
/// and many silent endpoints must not delay connections to others.
const UNANSWERED: Duration = Duration::from_millis(100);
