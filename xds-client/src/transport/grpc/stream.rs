//! The two halves of a stream of any messages.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::Streaming;
use tonic::{Response, Status};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use crate::transport::{RequestSender, ResponseReceiver, TransportError};

use super::Failure;
use super::pool::Connection;

/// The sending half of a stream, and the requests that it sends.
pub(super) fn requests<Q>() -> (Outgoing<Q>, ReceiverStream<Q>) {
    let (sender, requests) = mpsc::channel(1);
    (Outgoing { requests: sender }, ReceiverStream::new(requests))
}

/// The sending half of a stream.
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
        // Sending fails only after the stream has ended: its receiver returns the reason.
        _ = self.requests.try_send(request);
    }
}

/// A call without a response head yet.
pub(super) type Head<R> = BoxFuture<'static, Result<Response<Streaming<R>>, Status>>;

/// The receiving half of a stream.
pub(super) struct Incoming<R> {
    call: Call<R>,
    failure: Failure,
    connection: Arc<Connection>,
}

enum Call<R> {
    /// The server may send the head with its first response, which follows the first request: opening does not wait for it.
    Head(Head<R>),
    Body(Box<Streaming<R>>),
    Failed(Status),
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
            let failed = match &mut self.call {
                Call::Head(head) => match head.await {
                    Ok(response) => {
                        self.call = Call::Body(Box::new(response.into_inner()));
                        continue;
                    }
                    Err(status) => status,
                },
                Call::Body(body) => match body.message().await {
                    Ok(response) => return Ok(response),
                    Err(status) => status,
                },
                Call::Failed(status) => {
                    let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    return Err(why(status.clone(), failure, self.connection.clone()).await);
                }
            };
            self.call = Call::Failed(failed);
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Why a stream has failed: the error of a guard or of the connection is more precise than the stream's status.
async fn why(status: Status, guard: Option<TransportError>, connection: Arc<Connection>) -> TransportError {
    if let Some(failure) = guard {
        return failure;
    }
    let http2 = connection.http2();
    let is_lost = std::error::Error::source(&status).is_some() && !http2.is_open();
    let lost = match is_lost {
        true => timeout(FAILURE_WAIT, http2.failure()).await.ok().flatten(),
        false => None,
    };
    lost.unwrap_or_else(|| told(&status)).at(connection.server_uri())
}

/// The server's message, or the causes of a local error.
fn told(status: &Status) -> TransportError {
    match std::error::Error::source(status) {
        Some(cause) => TransportError::from_chain(cause),
        None if status.message().is_empty() => TransportError::failed(format!("status {:?}", status.code())),
        None => TransportError::failed(format!("status {:?}: {}", status.code(), status.message())),
    }
}

/// How long to wait for the error of a connection that takes no stream any more.
const FAILURE_WAIT: Duration = Duration::from_millis(500);

/// The sending half of a stream of load reports.
#[derive(Debug)]
pub struct GrpcLoadSender(pub(super) Outgoing<LoadStatsRequest>);

impl RequestSender<LoadStatsRequest> for GrpcLoadSender {
    async fn ready(&mut self) -> Result<(), TransportError> {
        self.0.ready().await
    }

    fn send(&mut self, request: LoadStatsRequest) {
        self.0.send(request);
    }
}

/// The receiving half of a stream of load reports.
#[derive(Debug)]
pub struct GrpcLoadReceiver(pub(super) Incoming<LoadStatsResponse>);

impl ResponseReceiver<LoadStatsResponse> for GrpcLoadReceiver {
    async fn receive(&mut self) -> Result<Option<LoadStatsResponse>, TransportError> {
        self.0.receive().await
    }
}
