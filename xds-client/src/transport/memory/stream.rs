//! In-memory streams, both ends.

use std::time::Duration;

use tokio::sync::mpsc;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use xds_proto::google::protobuf::Duration as ProtoDuration;

use crate::bootstrap::ServerConfig;
use crate::transport::{AdsRequest, AdsResponse, RequestSender, ResponseReceiver, TransportError, Variant};

/// The server's side of one ADS stream. Dropping it ends the stream without an error.
#[derive(Debug)]
pub struct MemoryStream {
    server_uri: String,
    variant: Variant,
    end: ServerEnd<AdsRequest, AdsResponse>,
}

impl MemoryStream {
    pub(super) fn open(
        server: &ServerConfig,
        variant: Variant,
    ) -> (Self, MemorySender<AdsRequest>, MemoryReceiver<AdsResponse>) {
        let (end, sender, receiver) = pipe();
        (Self { server_uri: server.uri().to_owned(), variant, end }, sender, receiver)
    }

    /// The URI of the server that the client has opened the stream to.
    pub fn server_uri(&self) -> &str {
        &self.server_uri
    }

    /// The protocol variant of the method that the client has called.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The client's next request; `None` when it has ended the stream.
    pub async fn request(&mut self) -> Option<AdsRequest> {
        self.end.requests.recv().await
    }

    /// The client's next request on a stream of [`Variant::Sotw`]; `None` when it has ended the stream.
    pub async fn sotw_request(&mut self) -> Option<DiscoveryRequest> {
        self.request().await?.into_sotw()
    }

    /// The client's next request on a stream of [`Variant::Delta`]; `None` when it has ended the stream.
    pub async fn delta_request(&mut self) -> Option<DeltaDiscoveryRequest> {
        self.request().await?.into_delta()
    }

    /// A request that has arrived by now.
    pub fn try_request(&mut self) -> Option<AdsRequest> {
        self.end.requests.try_recv().ok()
    }

    /// Sends a response.
    pub fn respond(&self, response: impl Into<AdsResponse>) {
        self.end.respond(response.into());
    }

    /// Ends the stream with an error.
    pub fn fail(self, error: TransportError) {
        self.end.fail(error);
    }
}

/// The server's side of one stream of load reports. Dropping it ends the stream without an error.
#[derive(Debug)]
pub struct MemoryLoadStream {
    server_uri: String,
    end: ServerEnd<LoadStatsRequest, LoadStatsResponse>,
}

impl MemoryLoadStream {
    pub(super) fn open(
        server: &ServerConfig,
    ) -> (Self, MemorySender<LoadStatsRequest>, MemoryReceiver<LoadStatsResponse>) {
        let (end, sender, receiver) = pipe();
        (Self { server_uri: server.uri().to_owned(), end }, sender, receiver)
    }

    /// The URI of the server that the client has opened the stream to.
    pub fn server_uri(&self) -> &str {
        &self.server_uri
    }

    /// The client's next report; `None` when it has ended the stream.
    pub async fn request(&mut self) -> Option<LoadStatsRequest> {
        self.end.requests.recv().await
    }

    /// A report that has arrived by now.
    pub fn try_request(&mut self) -> Option<LoadStatsRequest> {
        self.end.requests.try_recv().ok()
    }

    /// Sends what has to be reported.
    pub fn respond(&self, response: LoadStatsResponse) {
        self.end.respond(response);
    }

    /// Requests reports of all clusters, one each `interval`; at most the protocol's maximum, some 10,000 years.
    pub fn ask_for_all(&self, interval: Duration) {
        let seconds = i64::try_from(interval.as_secs()).unwrap_or(MAX_SECONDS).min(MAX_SECONDS);
        let nanos = i32::try_from(interval.subsec_nanos()).unwrap_or_default();
        self.respond(LoadStatsResponse {
            send_all_clusters: true,
            load_reporting_interval: Some(ProtoDuration { seconds, nanos }),
            ..LoadStatsResponse::default()
        });
    }

    /// Ends the stream with an error.
    pub fn fail(self, error: TransportError) {
        self.end.fail(error);
    }
}

/// The server's end: receives requests `Q`, sends responses `R`.
#[derive(Debug)]
struct ServerEnd<Q, R> {
    requests: mpsc::Receiver<Q>,
    responses: mpsc::UnboundedSender<Result<R, TransportError>>,
}

impl<Q, R> ServerEnd<Q, R> {
    fn respond(&self, response: R) {
        // A client that has dropped the stream needs no response.
        _ = self.responses.send(Ok(response));
    }

    fn fail(&self, error: TransportError) {
        _ = self.responses.send(Err(error));
    }
}

fn pipe<Q, R>() -> (ServerEnd<Q, R>, MemorySender<Q>, MemoryReceiver<R>) {
    let (sender, requests) = mpsc::channel(1);
    let (responses, receiver) = mpsc::unbounded_channel();
    (ServerEnd { requests, responses }, MemorySender { sender }, MemoryReceiver { receiver })
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct MemorySender<Q> {
    sender: mpsc::Sender<Q>,
}

impl<Q: Send + 'static> RequestSender<Q> for MemorySender<Q> {
    async fn ready(&mut self) -> Result<(), TransportError> {
        match self.sender.reserve().await {
            Ok(_place) => Ok(()),
            Err(_) => Err(TransportError::failed("the server has ended the stream")),
        }
    }

    fn send(&mut self, request: Q) {
        // Sending fails only after the stream has ended: its receiver returns the reason.
        _ = self.sender.try_send(request);
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct MemoryReceiver<R> {
    receiver: mpsc::UnboundedReceiver<Result<R, TransportError>>,
}

impl<R: Send + 'static> ResponseReceiver<R> for MemoryReceiver<R> {
    async fn receive(&mut self) -> Result<Option<R>, TransportError> {
        self.receiver.recv().await.transpose()
    }
}

/// The largest seconds of a protobuf duration.
const MAX_SECONDS: i64 = 315_576_000_000;
