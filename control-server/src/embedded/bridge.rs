//! Connects a stream in memory to the discovery service, as a gRPC client in the same process.

use std::fmt::Debug;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};
use xds_client::transport::memory::MemoryStream;
use xds_client::transport::{AdsRequest, AdsResponse, TransportError, Variant};
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;

use crate::discovery::AggregatedDiscovery;

/// Carries the messages of one stream until either side has ended it.
pub(super) async fn serve(stream: MemoryStream, discovery: AggregatedDiscovery) {
    let mut client = AggregatedDiscoveryServiceClient::new(discovery)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    match stream.variant() {
        Variant::Sotw => {
            let (sender, requests) = mpsc::channel(1);
            let call = client.stream_aggregated_resources(ReceiverStream::new(requests));
            carry(stream, call, sender, AdsRequest::into_sotw).await;
        }
        Variant::Delta => {
            let (sender, requests) = mpsc::channel(1);
            let call = client.delta_aggregated_resources(ReceiverStream::new(requests));
            carry(stream, call, sender, AdsRequest::into_delta).await;
        }
    }
}

async fn carry<Q, R: Into<AdsResponse> + Debug>(
    mut stream: MemoryStream,
    call: impl Future<Output = Result<Response<Streaming<R>>, Status>>,
    requests: mpsc::Sender<Q>,
    request: fn(AdsRequest) -> Option<Q>,
) {
    let mut responses = match call.await {
        Ok(response) => response.into_inner(),
        Err(status) => return stream.fail(TransportError::failed(status.message())),
    };
    loop {
        tokio::select! {
            sent = stream.request() => {
                let Some(sent) = sent.and_then(request) else { return };
                if requests.send(sent).await.is_err() {
                    return;
                }
            }
            received = responses.message() => match received {
                Ok(Some(response)) => stream.respond(response),
                Ok(None) => return,
                Err(status) => return stream.fail(TransportError::failed(status.message())),
            }
        }
    }
}
