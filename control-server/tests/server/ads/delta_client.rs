//! A client of the incremental variant, without any mercy.

use std::collections::HashMap;
use std::time::Duration;

use control_server::resources::ResourceKind;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use xds_proto::google::rpc::Status;

use crate::support::{Fixture, channel, node};

/// An ADS client that does nothing by itself.
pub(crate) struct DeltaClient {
    requests: mpsc::UnboundedSender<DeltaDiscoveryRequest>,
    responses: tonic::Streaming<DeltaDiscoveryResponse>,
}

impl DeltaClient {
    pub(crate) async fn connect(fixture: &Fixture) -> Self {
        let channel = channel(fixture.running.xds_address()).await;
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let outgoing = UnboundedReceiverStream::new(receiver);
        let responses = client.delta_aggregated_resources(outgoing).await.unwrap().into_inner();
        Self { requests, responses }
    }

    pub(crate) fn ask(&self, kind: ResourceKind, subscribe: &[&str], unsubscribe: &[&str]) {
        self.ask_with(kind, subscribe, unsubscribe, &[]);
    }

    /// As the first request of a stream, with what the client holds.
    pub(crate) fn ask_with(
        &self,
        kind: ResourceKind,
        subscribe: &[&str],
        unsubscribe: &[&str],
        holds: &[(&str, &str)],
    ) {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let holds: HashMap<_, _> =
            holds.iter().map(|(name, version)| (name.to_string(), version.to_string())).collect();
        self.requests
            .send(DeltaDiscoveryRequest {
                node: Some(node()),
                type_url: kind.type_url().to_owned(),
                resource_names_subscribe: strings(subscribe),
                resource_names_unsubscribe: strings(unsubscribe),
                initial_resource_versions: holds,
                ..DeltaDiscoveryRequest::default()
            })
            .unwrap();
    }

    /// Accepts a response, or refuses it with a reason.
    pub(crate) fn answer(&self, response: &DeltaDiscoveryResponse, refusal: Option<&str>) {
        let refusal = refusal.map(|message| Status { code: 3, message: message.to_owned(), details: vec![] });
        self.requests
            .send(DeltaDiscoveryRequest {
                type_url: response.type_url.clone(),
                response_nonce: response.nonce.clone(),
                error_detail: refusal,
                ..DeltaDiscoveryRequest::default()
            })
            .unwrap();
    }

    /// The next message, or how the stream ended.
    pub(crate) async fn message(&mut self) -> Result<Option<DeltaDiscoveryResponse>, tonic::Status> {
        tokio::time::timeout(Duration::from_secs(60), self.responses.message())
            .await
            .expect("no message in 10 s")
    }

    /// The next response, which has to be this: `cds a=1 b=2 !c`.
    pub(crate) async fn expect(&mut self, expected: &str) -> DeltaDiscoveryResponse {
        let response = self.message().await.unwrap().unwrap();
        let kind = ResourceKind::from_type_url(&response.type_url).unwrap();
        let mut text = kind.short_name().to_owned();
        for resource in &response.resources {
            let any = resource.resource.as_ref().unwrap();
            assert_eq!(any.type_url, response.type_url);
            let content = String::from_utf8_lossy(&any.value);
            assert_eq!(content, format!("{}={}", resource.name, resource.version));
            text.push_str(&format!(" {content}"));
        }
        response.removed_resources.iter().for_each(|name| text.push_str(&format!(" !{name}")));
        assert_eq!(text, expected);
        response
    }

    /// As [`expect`](Self::expect), and accepts it.
    pub(crate) async fn accept(&mut self, expected: &str) {
        let response = self.expect(expected).await;
        self.answer(&response, None);
    }
}
