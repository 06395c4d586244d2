//! A listener for gRPC: accepts connections, secures them, and serves each in a task of its own until it ends.
//!
//! ```text
//! accept ──> handshake (TLS only) ──> HTTP/2 ──stopping, or too old──> GOAWAY ──> all streams ended
//! ```

mod age;
mod connection;
mod handshake;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::metrics::Metrics;

use super::connections::{Connections, Place};
use super::tls::Tls;

pub(super) use age::MaxAge;
use connection::Accepted;

/// One listener. Its connections end at once when its future is dropped, or in order after it was told to stop.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// `None`: plaintext.
    pub(super) tls: Option<Tls>,
    pub(super) routes: Routes,
    /// `None`: no maximum.
    pub(super) max_age: Option<MaxAge>,
    /// Of all listeners for gRPC together.
    pub(super) connections: Connections,
    pub(super) metrics: Metrics,
}

impl Listener {
    /// Runs until `stopping`, and then until every connection has ended.
    pub(super) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let stop = stopping.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stopped(&mut stopping) => break,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => match self.connections.enter(peer.ip()) {
                    Some(place) => {
                        drop(connections.spawn(self.accepted(stream, peer, place).run(stop.clone())));
                    }
                    None => {
                        self.metrics.connection_refused();
                        tracing::debug!(%peer, "closed at once: too many connections");
                    }
                },
                Err(error) => rest(&error).await,
            }
        }
        // Frees the address: new clients connect to another server at once.
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    fn accepted(&self, stream: TcpStream, peer: SocketAddr, place: Place) -> Accepted {
        let (tls, routes, metrics) = (self.tls.clone(), self.routes.clone(), self.metrics.clone());
        Accepted { stream, peer, place, tls, routes, max_age: self.max_age, metrics }
    }
}

/// Waits until the listener has to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone, which is also the end.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Most often the file descriptors are used up, and an immediate retry would loop.
pub(super) async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept connections, trying again in a second");
        tokio::time::sleep(REST).await;
    }
}

const REST: Duration = Duration::from_secs(1);
