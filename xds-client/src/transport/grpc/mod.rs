//! ADS over gRPC, with tonic.

mod channel;
mod size_guard;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::Streaming;
use tonic::{Response, Status};

use super::{AdsTransport, RequestSender, ResponseReceiver, TransportError};
use crate::bootstrap::ServerConfig;
use crate::client::Options;

use size_guard::SizeGuard;

/// ADS over gRPC. Each stream has a connection of its own, which ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcTransport {
    max_message_size: usize,
    connect_timeout: Duration,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
}

impl GrpcTransport {
    /// A transport with the limits and timeouts of `options`.
    pub fn new(options: &Options) -> Self {
        Self {
            max_message_size: options.max_message_size,
            connect_timeout: options.connect_timeout,
            keepalive_interval: options.keepalive_interval,
            keepalive_timeout: options.keepalive_timeout,
        }
    }
}

impl AdsTransport for GrpcTransport {
    type Sender = GrpcSender;
    type Receiver = GrpcReceiver;

    async fn open(&self, server: &ServerConfig) -> Result<(GrpcSender, GrpcReceiver), TransportError> {
        let channel = channel::connect(self, server).await?;
        let failure = Arc::new(Mutex::new(None));
        let guarded = SizeGuard::new(channel, self.max_message_size, failure.clone());
        let mut client =
            AggregatedDiscoveryServiceClient::new(guarded).max_decoding_message_size(self.max_message_size);
        let (sender, requests) = mpsc::channel(1);
        // The server's head may come with its first response, and that after the first request: not to be waited for.
        let call = async move { client.stream_aggregated_resources(ReceiverStream::new(requests)).await };
        let call = Call::Head(Box::pin(call));
        Ok((GrpcSender { requests: sender }, GrpcReceiver { call, failure }))
    }
}

/// Why a guard has ended a stream.
type Failure = Arc<Mutex<Option<TransportError>>>;

/// The way to the server.
#[derive(Debug)]
pub struct GrpcSender {
    requests: mpsc::Sender<DiscoveryRequest>,
}

impl RequestSender for GrpcSender {
    async fn ready(&mut self) -> Result<(), TransportError> {
        match self.requests.reserve().await {
            Ok(_place) => Ok(()),
            Err(_) => Err(TransportError::failed("the stream has ended")),
        }
    }

    fn send(&mut self, request: DiscoveryRequest) {
        // Only a stream that has ended refuses: its receiver says so.
        _ = self.requests.try_send(request);
    }
}

/// The way back.
pub struct GrpcReceiver {
    call: Call,
    failure: Failure,
}

enum Call {
    Head(BoxFuture<'static, Result<Response<Streaming<DiscoveryResponse>>, Status>>),
    Body(Box<Streaming<DiscoveryResponse>>),
}

impl std::fmt::Debug for GrpcReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcReceiver").finish_non_exhaustive()
    }
}

impl ResponseReceiver for GrpcReceiver {
    async fn receive(&mut self) -> Result<Option<DiscoveryResponse>, TransportError> {
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
}

impl GrpcReceiver {
    fn error(&self, status: &Status) -> TransportError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| TransportError::from_chain(status))
    }
}
