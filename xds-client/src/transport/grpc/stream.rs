//! The two halves of a stream, of whatever messages.

use std::fmt;
use std::sync::{Arc, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::Streaming;
use tonic::{Response, Status};

use super::Failure;
use super::pool::Connection;
use crate::transport::TransportError;

/// The way of requests, and where they come out.
pub(super) fn requests<Q>() -> (Outgoing<Q>, ReceiverStream<Q>) {
    let (sender, requests) = mpsc::channel(1);
    (Outgoing { requests: sender }, ReceiverStream::new(requests))
}

/// The way to the server.
#[derive(Debug)]
pub(super) struct Outgoing<Q> {
    requests: mpsc::Sender<Q>,
}

impl<Q> Outgoing<Q> {
    pub(super) async fn ready(&self) -> Result<(), TransportError> {
        match self.requests.reserve().await {
            Ok(_place) => Ok(()),
            Err(_) => Err(TransportError::failed("the stream has ended")),
        }
    }

    pub(super) fn send(&self, request: Q) {
        // Only a stream that has ended refuses: its receiver says so.
        _ = self.requests.try_send(request);
    }
}

/// A call whose head has not come yet.
pub(super) type Head<R> = BoxFuture<'static, Result<Response<Streaming<R>>, Status>>;

/// The way back.
pub(super) struct Incoming<R> {
    call: Call<R>,
    failure: Failure,
    connection: Arc<Connection>,
}

enum Call<R> {
    /// The server's head may come with its first response, and that after the first request: not to be waited for.
    Head(Head<R>),
    Body(Box<Streaming<R>>),
}

impl<R> fmt::Debug for Incoming<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl<R> Incoming<R> {
    pub(super) fn new(head: Head<R>, failure: Failure, connection: Arc<Connection>) -> Self {
        Self { call: Call::Head(head), failure, connection }
    }

    pub(super) async fn receive(&mut self) -> Result<Option<R>, TransportError> {
        loop {
            match &mut self.call {
                Call::Head(head) => match head.await {
                    Ok(response) => self.call = Call::Body(Box::new(response.into_inner())),
                    Err(status) => return Err(self.error(&status)),
                },
                Call::Body(body) => return body.message().await.map_err(|status| self.error(&status)),
            }
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn error(&self, status: &Status) -> TransportError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| TransportError::from_chain(status))
    }
}
