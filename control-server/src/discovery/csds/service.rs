//! The gRPC service `envoy.service.status.v3.ClientStatusDiscoveryService`.

use std::time::SystemTime;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use xds_proto::envoy::service::status::v3::client_status_discovery_service_server::{
    ClientStatusDiscoveryService, ClientStatusDiscoveryServiceServer,
};
use xds_proto::envoy::service::status::v3::{ClientStatusRequest, ClientStatusResponse};

use crate::discovery::drain::Drain;
use crate::discovery::registry::{Registry, now};

use super::matcher::Matchers;
use super::message::{self, Contents, Moment};

/// Serves the status of every connected client. See the [module](super) for the listener that it belongs on.
#[derive(Debug, Clone)]
pub struct ClientStatusDiscovery {
    registry: Registry,
    drain: Drain,
}

impl ClientStatusDiscovery {
    /// Of the clients in `registry`. Streams end when draining begins.
    pub fn new(registry: Registry, drain: Drain) -> Self {
        Self { registry, drain }
    }

    /// For a router.
    pub fn into_service(self) -> ClientStatusDiscoveryServiceServer<Self> {
        ClientStatusDiscoveryServiceServer::new(self)
    }

    fn answer(&self, request: ClientStatusRequest) -> Result<ClientStatusResponse, Status> {
        let matchers = Matchers::read(request.node_matchers).map_err(Status::invalid_argument)?;
        let contents = if request.exclude_resource_contents { Contents::Left } else { Contents::Told };
        let moment = Moment { instant: now(), wall: SystemTime::now() };
        let (mut config, mut bytes) = (Vec::new(), 0);
        for client in self.registry.open() {
            let latest = client.cache.latest();
            let stream = client.stream();
            if !matchers.matches(stream.node().map_or("", |node| &node.id)) {
                continue;
            }
            let entries = stream.entries(latest.as_ref().map(|latest| &*latest.set));
            let told = message::client(moment, client.id, stream.node(), &entries, contents);
            bytes += told.encoded_len();
            if bytes > MAX_ANSWER_BYTES {
                return Err(Status::resource_exhausted(format!(
                    "the answer has more than {MAX_ANSWER_BYTES} bytes; ask for fewer clients with node_matchers, or set \
                     exclude_resource_contents"
                )));
            }
            config.push(told);
        }
        Ok(ClientStatusResponse { config })
    }
}

#[tonic::async_trait]
impl ClientStatusDiscoveryService for ClientStatusDiscovery {
    type StreamClientStatusStream = ReceiverStream<Result<ClientStatusResponse, Status>>;

    async fn stream_client_status(
        &self,
        request: Request<Streaming<ClientStatusRequest>>,
    ) -> Result<Response<Self::StreamClientStatusStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(converse(self.clone(), request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn fetch_client_status(
        &self,
        request: Request<ClientStatusRequest>,
    ) -> Result<Response<ClientStatusResponse>, Status> {
        self.answer(request.into_inner()).map(Response::new)
    }
}

/// One answer per request, until the caller disconnects, sends an invalid request, or the server drains.
async fn converse(
    service: ClientStatusDiscovery,
    mut requests: Streaming<ClientStatusRequest>,
    answers: mpsc::Sender<Result<ClientStatusResponse, Status>>,
) {
    let drain = service.drain.clone();
    let talk = async {
        while let Ok(Some(request)) = requests.message().await {
            let answer = service.answer(request);
            let is_last = answer.is_err();
            if answers.send(answer).await.is_err() || is_last {
                return;
            }
        }
    };
    tokio::select! {
        () = talk => {}
        () = drain.ended(0) => {}
        () = answers.closed() => {}
    }
}

/// Some thousand clients with everything that a few dozen services need.
const MAX_ANSWER_BYTES: usize = 64 << 20;
