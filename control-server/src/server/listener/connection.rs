//! One accepted connection, from the handshake to its end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::codegen::Service as _;
use tonic::service::Routes;

use crate::clock::now;
use crate::connection::{Connection, Departing};
use crate::metrics::Metrics;
use crate::server::admission::ConnectionPace;
use crate::server::connections::Place;
use crate::server::tls::Tls;

use super::age::MaxAge;
use super::{handshake, stopped};

/// A connection that has just been accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) tls: Option<Tls>,
    pub(super) routes: Routes,
    pub(super) max_age: Option<MaxAge>,
    pub(super) metrics: Metrics,
}

impl Accepted {
    /// Runs until the connection has ended.
    pub(super) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let Self { stream, peer, place, tls, routes, max_age, metrics } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "no TCP_NODELAY");
        }
        let (departing, departure) = Departing::new();
        let mut connection = Connection { peer: Some(peer), departure, ..Connection::default() };
        let place = Arc::new(place);
        let mut life = Life { stopping: stopping.clone(), place, max_age, departing, metrics };
        let Some(tls) = tls else {
            return life.serve(stream, connection, routes).await;
        };
        let shaken = tokio::select! {
            shaken = handshake::shake(&tls, stream) => shaken,
            () = stopped(&mut stopping) => return,
            () = life.place.closing() => return life.metrics.connection_refused(),
        };
        match shaken {
            Ok(secured) => {
                (connection.security, connection.identity) = (secured.security, secured.identity);
                life.serve(secured.stream, connection, routes).await;
            }
            Err(reason) => {
                life.metrics.tls_handshake_failed();
                tracing::info!(%peer, reason, "TLS handshake failed");
            }
        }
    }
}

/// When a connection ends.
pub(super) struct Life {
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) place: Arc<Place>,
    pub(super) max_age: Option<MaxAge>,
    pub(super) departing: Departing,
    pub(super) metrics: Metrics,
}

impl Life {
    pub(super) async fn serve<S>(&mut self, stream: S, connection: Connection, routes: Routes)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = connection.peer;
        let asked = Arc::new(AtomicBool::new(false));
        let (noted, place) = (asked.clone(), self.place.clone());
        let pace = ConnectionPace::new();
        let service = service_fn(move |mut request: Request<Incoming>| {
            if !noted.swap(true, Ordering::Relaxed) {
                place.set_busy();
            }
            request.extensions_mut().insert(connection.clone());
            request.extensions_mut().insert(pace.clone());
            routes.clone().call(request)
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        builder.keep_alive_interval(KEEPALIVE_INTERVAL).keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            result = &mut served => Some(result),
            patience = self.end(&asked) => {
                // GOAWAY: later streams go to another connection.
                served.as_mut().graceful_shutdown();
                match patience {
                    Some(patience) => tokio::time::timeout(patience, served).await.ok(),
                    None => Some(served.await),
                }
            }
        };
        match result {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(peer = peer.map(tracing::field::display), error, "connection failed");
            }
            None => tracing::debug!(peer = peer.map(tracing::field::display), "closed by force"),
        }
    }

    /// Waits until the connection should end; returns how long that may take. A server that stops ends its streams itself.
    async fn end(&mut self, asked: &AtomicBool) -> Option<Duration> {
        let max_age = self.max_age;
        let age = max_age.map(|max| max.of_one(&mut rand::rng()));
        let aged = async {
            match age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let idle = async {
            tokio::time::sleep(FIRST_STREAM).await;
            if asked.load(Ordering::Relaxed) {
                std::future::pending().await
            }
        };
        tokio::select! {
            // A client that has not sent HTTP/2's preface does not see a GOAWAY.
            () = stopped(&mut self.stopping) => (!asked.load(Ordering::Relaxed)).then_some(FIRST_REQUEST_TIMEOUT),
            () = idle => Some(FINAL_STATUS_TIMEOUT),
            () = self.place.closing() => {
                self.metrics.connection_refused();
                Some(Duration::ZERO)
            }
            () = aged => {
                let grace = max_age.map(|max| max.grace).unwrap_or_default();
                self.metrics.connection_aged();
                self.departing.begin(now(), grace);
                Some(grace + FINAL_STATUS_TIMEOUT)
            }
        }
    }
}

/// What a client may send before the server reads it.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// A connection without a stream by then is closed.
const FIRST_STREAM: Duration = Duration::from_secs(60);
/// How long a first request is waited for while the server stops.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the final statuses of streams may take.
const FINAL_STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent client is detected after 50 s. Clients may ping as often as they like.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
