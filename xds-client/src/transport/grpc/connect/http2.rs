//! HTTP/2 on a stream of bytes, as a service for tonic's clients.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::watch;
use tonic::body::Body;
use tower_service::Service;

use super::Io;
use super::peer_error::{FirstError, PeerErrors};
use crate::transport::TransportError;
use crate::transport::grpc::GrpcTransport;

/// A connection as a service. It is closed when the last clone is dropped and the last stream has ended.
#[derive(Debug, Clone)]
pub(in super::super) struct Http2 {
    requests: SendRequest<Body>,
    end: watch::Receiver<Option<TransportError>>,
}

impl Http2 {
    pub(super) async fn handshake(io: Box<dyn Io>, settings: &GrpcTransport) -> Result<Self, TransportError> {
        let last = FirstError::default();
        let io = PeerErrors::new(io, last.clone());
        let (requests, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // TR-34: a server that disappears silently is detected.
            .keep_alive_interval(settings.keepalive_interval)
            .keep_alive_timeout(settings.keepalive_timeout)
            .keep_alive_while_idle(true)
            .adaptive_window(true)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| why(&last, &error))?;
        let (ended, end) = watch::channel(None);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                ended.send_replace(Some(why(&last, &error)));
            }
        });
        Ok(Self { requests, end })
    }

    /// Why the connection has failed, once it has ended. A stream that is opened later gets no reason of its own.
    pub(in super::super) async fn failure(&self) -> Option<TransportError> {
        let mut end = self.end.clone();
        // The sender is dropped with the task.
        while end.changed().await.is_ok() {}
        end.borrow().clone()
    }

    /// `false`: the server has closed the connection or is about to.
    pub(in super::super) fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }
}

/// The error of the stream of bytes is more precise than HTTP/2's.
fn why(last: &FirstError, error: &hyper::Error) -> TransportError {
    last.get().map_or_else(|| TransportError::from_chain(error), TransportError::failed)
}

impl Service<Request<Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.requests.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Box::pin(self.requests.send_request(request))
    }
}

const AGENT: &str = concat!("mesh-rs/", env!("CARGO_PKG_VERSION"));
