//! One accepted connection, from the handshake to its end.

use std::net::SocketAddr;
use std::pin::pin;
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

use crate::connection::Connection;
use crate::metrics::Metrics;
use crate::server::tls::Tls;

use super::{handshake, stopped};

/// A connection that has just been accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<Tls>,
    pub(super) routes: Routes,
    pub(super) metrics: Metrics,
}

impl Accepted {
    /// Runs until the connection has ended.
    pub(super) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let Self { stream, peer, tls, routes, metrics } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "no TCP_NODELAY");
        }
        let mut connection = Connection { peer: Some(peer), ..Connection::default() };
        let Some(tls) = tls else {
            return serve(stream, connection, routes, stopping).await;
        };
        let shaken = tokio::select! {
            shaken = handshake::shake(&tls, stream) => shaken,
            () = stopped(&mut stopping) => return,
        };
        match shaken {
            Ok(secured) => {
                (connection.security, connection.identity) = (secured.security, secured.identity);
                serve(secured.stream, connection, routes, stopping).await;
            }
            Err(reason) => {
                metrics.tls_handshake_failed();
                tracing::info!(%peer, reason, "TLS handshake failed");
            }
        }
    }
}

async fn serve<S>(stream: S, connection: Connection, routes: Routes, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = connection.peer;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        routes.clone().call(request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = &mut served => result,
        () = stopped(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        let error: &dyn std::error::Error = &error;
        tracing::debug!(peer = peer.map(tracing::field::display), error, "connection failed");
    }
}

/// A silent client is found out after 50 s. Clients may ping as often as they like.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
