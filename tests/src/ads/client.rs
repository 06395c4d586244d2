//! A client that answers as it likes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;
use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use xds_proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use xds_proto::google::rpc;

use crate::PATIENCE;

/// One stream, state of the world. Dropping it ends the stream.
#[derive(Debug)]
pub struct AdsClient {
    requests: mpsc::UnboundedSender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl AdsClient {
    /// Connects, and asks for these resources of one type.
    ///
    /// # Panics
    /// When the server does not take the stream.
    pub async fn start(server: SocketAddr, node_id: &str, type_url: &str, names: &[&str]) -> Self {
        let (requests, sent) = mpsc::unbounded_channel();
        let node = Some(Node { id: node_id.to_owned(), ..Node::default() });
        // A server may hold back its head until it has something to answer.
        drop(requests.send(DiscoveryRequest { node, ..request(type_url, names) }));
        let stream = async {
            let endpoint = Endpoint::from_shared(format!("http://{server}")).expect("an address is a URI");
            let channel = endpoint.connect().await.expect("the server listens");
            let mut client =
                AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(usize::MAX);
            client
                .stream_aggregated_resources(UnboundedReceiverStream::new(sent))
                .await
                .expect("the server takes a stream")
        };
        let responses = timeout(PATIENCE, stream).await.expect("the server answers").into_inner();
        Self { requests, responses }
    }

    /// Asks for these resources of another type.
    pub fn subscribe(&self, type_url: &str, names: &[&str]) {
        self.send(request(type_url, names));
    }

    /// The next response.
    ///
    /// # Panics
    /// When the stream ends, or there is none for [`PATIENCE`].
    pub async fn response(&mut self) -> DiscoveryResponse {
        self.response_within(PATIENCE).await.expect("the server has something to say")
    }

    /// The next response, if there is one within this time.
    ///
    /// # Panics
    /// When the stream ends.
    pub async fn response_within(&mut self, time: Duration) -> Option<DiscoveryResponse> {
        let message = timeout(time, self.responses.message()).await.ok()?;
        Some(message.expect("the stream lives").expect("the stream lives"))
    }

    /// Accepts a response, and asks for the same names again.
    pub fn ack(&self, response: &DiscoveryResponse, names: &[&str]) {
        self.send(DiscoveryRequest {
            version_info: response.version_info.clone(),
            response_nonce: response.nonce.clone(),
            ..request(&response.type_url, names)
        });
    }

    /// Refuses a response, and asks for the same names again.
    pub fn nack(&self, response: &DiscoveryResponse, names: &[&str], reason: &str) {
        self.send(DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: Some(rpc::Status { code: 3, message: reason.to_owned(), details: Vec::new() }),
            ..request(&response.type_url, names)
        });
    }

    fn send(&self, request: DiscoveryRequest) {
        // A stream that has ended says so where responses are read.
        drop(self.requests.send(request));
    }
}

fn request(type_url: &str, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DiscoveryRequest::default()
    }
}
