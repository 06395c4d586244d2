//! HTTP/2 with prior knowledge, by the `h2` crate directly.
//!
//! A call costs no box, no queue and no task switch: the caller polls its future, and the connection's own task only moves
//! frames.
//!
//! No call can hurt another. h2 never holds more calls than the endpoint allows at once, so that waiting calls can be
//! cancelled unsent, or go to another connection when this one ends. Frames are observed in both directions: it is known
//! whether the endpoint may have seen a call, and a stream that exceeds a limit fails alone.
//!
//! ```text
//!   caller's task                     connection's task
//!   Http2Call --> Gate ---- frames --> Driver ----> Observed ----> socket
//!   Http2Body <------------ frames --- Driver <---- Observed <---- socket
//! ```

mod body;
mod call;
mod cancelled;
mod connection;
mod driver;
mod error;
mod frame;
mod gate;
#[cfg(test)]
mod gate_tests;
mod grants;
mod handshake;
mod headers;
mod incoming;
mod io;
mod keepalive;
mod lifetime;
mod outgoing;
mod read;
mod resets;
mod send_window;
mod settings;
mod shared;
mod task;
#[cfg(test)]
mod task_tests;
mod unread;
mod unsent;
mod upload;
mod wire;

use std::sync::Arc;

pub use body::Http2Body;
pub use call::Http2Call;
pub use connection::{Http2Connection, Http2Place};
pub use settings::{Http2Settings, Keepalive, KeepaliveInterval, KeepaliveScope, Probe};

use tokio::time::Instant;

use crate::counters::CounterStore;
use crate::runtime::tls;

use super::dial::AnyDial;
use super::proxy;
use super::{BoxedIo, Connect, ConnectError, ConnectTarget, Dial, Established, Security, Tcp};

/// Connects by HTTP/2, over plain TCP by default, and secures connections by TLS where their target says so. Clones share the
/// dialer and the TLS sessions.
///
/// A connection counts as made when the endpoint's SETTINGS have arrived: accepting the TCP connection is not enough.
#[derive(Debug, Clone)]
pub struct Http2Connector {
    dial: Arc<dyn AnyDial>,
    settings: Http2Settings,
    tls: Arc<tls::Connector>,
}

impl Http2Connector {
    /// Connects over the byte streams of `dial`.
    pub fn new(dial: impl Dial, settings: Http2Settings) -> Self {
        Self { dial: Arc::new(dial), settings, tls: Arc::default() }
    }

    /// With another dialer.
    #[must_use]
    pub fn with_dialer(self, dial: impl Dial) -> Self {
        Self { dial: Arc::new(dial), ..self }
    }

    /// With these settings.
    #[must_use]
    pub fn with_settings(self, settings: Http2Settings) -> Self {
        Self { settings, ..self }
    }

    /// The settings of its connections.
    pub fn settings(&self) -> &Http2Settings {
        &self.settings
    }
}

impl Default for Http2Connector {
    fn default() -> Self {
        Self::new(Tcp, Http2Settings::default())
    }
}

impl Connect for Http2Connector {
    type Connection = Http2Connection;

    async fn connect(&self, target: &ConnectTarget) -> Result<Established<Http2Connection>, ConnectError> {
        let (address, start) = (target.address, Instant::now());
        let stream =
            proxy::open(&*self.dial, target).await.map_err(|error| ConnectError::new(address, error))?;
        let mut settings = self.settings;
        if let Some(pings) = &target.connection.http2_keepalive {
            settings.keepalive = Some(Keepalive {
                interval: KeepaliveInterval::new(pings.interval),
                timeout: pings.timeout,
                scope: KeepaliveScope::All,
            });
        }
        match &target.security {
            Security::Plaintext => {
                let connected = handshake::handshake(stream, &settings, &target.connection, None).await;
                connected.map_err(|error| ConnectError::new(address, error))
            }
            Security::Tls(tls) => {
                // CDS-21
                let deadline = target.connection.connect_timeout.map(|limit| start + limit);
                let secured = self.tls.connect(stream, tls, address, deadline).await;
                let mut secured = secured.map_err(|error| ConnectError::new(address, error))?;
                let (resumed, alert) = (secured.resumed(), secured.stream.alert());
                let peer = self.tls.watch(&mut secured, settings.expired_peer_grace);
                let connected =
                    handshake::handshake(secured.stream, &settings, &target.connection, peer).await;
                match (self.tls.conclude(resumed, &alert, connected.is_ok()), connected) {
                    (Some(refusal), _) => Err(ConnectError::new(address, refusal)),
                    (None, connected) => connected.map_err(|error| ConnectError::new(address, error)),
                }
            }
        }
    }

    async fn open(&self, target: &ConnectTarget) -> Result<BoxedIo, ConnectError> {
        let address = target.address;
        if matches!(target.security, Security::Tls(_)) {
            return Err(ConnectError::new(address, "a connection with TLS carries nothing but HTTP/2"));
        }
        proxy::open(&*self.dial, target).await.map_err(|error| ConnectError::new(address, error))
    }

    fn count_in(&self, counters: &Arc<CounterStore>) {
        self.tls.count_in(counters);
    }
}
