//! The admin port: few connections, each of which makes room for others when it does nothing, and deadlines for all that begins.
//!
//! ```text
//! accept ──> request within 10 s ──> answer begins within 30 s ──> is read, never 30 s without progress
//!                ▲                                                      │
//!                └───────────── next request within a minute ◄──────────┘
//! ```

mod activity;
mod answers;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connections::{Connections, Limits, Place};
use super::listener::rest;
use activity::Activity;
use answers::Answers;

/// Serves until it is dropped.
pub(super) async fn serve(socket: TcpListener, router: Router) {
    let connections = Connections::new(Limits { most: MOST_CONNECTIONS, most_of_client: MOST_CONNECTIONS });
    let answers = Answers::new(router);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => match connections.enter(peer.ip()) {
                Some(place) => drop(tasks.spawn(run(stream, place, answers.clone()))),
                None => tracing::debug!(%peer, "admin: closed at once, too many requests under way"),
            },
            Err(error) => rest(&error).await,
        }
    }
}

/// One connection.
async fn run<S>(stream: S, place: Place, answers: Answers)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(place));
    let seen = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| answers.clone().answer(request, seen.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(FIRST_REQUEST).max_buf_size(HEAD_BYTES);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(HEAD_BYTES_HTTP2);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = served => if let Err(error) = result {
            tracing::debug!(error, "admin: connection failed");
        },
        () = activity.place().closing() => tracing::debug!("admin: idle connection closed for another"),
        () = activity.overdue() => tracing::debug!("admin: connection closed, it made no progress"),
    }
}

/// Far more than people, probes and scrapers have.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// How long the head of a first request may take.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 64 << 10;
const HEAD_BYTES_HTTP2: u32 = 64 << 10;
