//! A server that sends what no control-server would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mesh_core::testing::reserved_address;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use xds_proto::google::protobuf::Any;

/// State of the world, for names. What is put is sent as it is to every stream that asks for it.
#[derive(Debug)]
pub struct AdsServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// The type that is asked for.
    pub type_url: String,
    /// The names that are asked for.
    pub names: Vec<String>,
    /// The version that was accepted last.
    pub version: String,
    /// Why the last response was refused; empty if it was not.
    pub error: String,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes; streams end with it.
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// By type: the version, and every resource by name.
    resources: BTreeMap<String, (String, BTreeMap<String, Any>)>,
    seen: Vec<Seen>,
    streams: Vec<Instant>,
}

impl AdsServer {
    /// A server on a free loopback port, with nothing.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(reserved_address()).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared { state: Mutex::default(), revision: watch::Sender::new(0) });
        let service = AggregatedDiscoveryServiceServer::new(Service(Arc::clone(&shared)));
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            drop(server.serve_with_incoming(TcpListenerStream::new(listener)).await);
        });
        Self { address, shared, task }
    }

    /// Serves these resources, and no other of their type, from now on.
    pub fn put(&self, type_url: &str, version: &str, resources: impl IntoIterator<Item = (String, Any)>) {
        let set = (version.to_owned(), resources.into_iter().collect());
        self.shared.state().resources.insert(type_url.to_owned(), set);
        self.shared.revision.send_modify(|revision| *revision += 1);
    }

    /// Answers nothing more about this type, until something of it is put again.
    pub fn hold(&self, type_url: &str) {
        self.shared.state().resources.remove(type_url);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// When each stream was opened.
    pub fn streams(&self) -> Vec<Instant> {
        self.shared.state().streams.clone()
    }

    /// What a client needs to know, as JSON.
    pub fn bootstrap(&self, node_id: &str) -> Value {
        let server = json!({
            "server_uri": self.address.to_string(),
            "channel_creds": [{"type": "insecure"}],
            "server_features": ["xds_v3"],
        });
        json!({"xds_servers": [server], "node": {"id": node_id}})
    }
}

impl Drop for AdsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Service(Arc<Shared>);

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        self.0.state().streams.push(Instant::now());
        let (sender, responses) = mpsc::unbounded_channel();
        let exchange = Exchange { sender, types: BTreeMap::new(), nonce: 0 };
        tokio::spawn(exchange.run(Arc::clone(&self.0), request.into_inner()));
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(responses))))
    }

    async fn delta_aggregated_resources(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("state of the world only"))
    }
}

/// One stream.
struct Exchange {
    sender: mpsc::UnboundedSender<Result<DiscoveryResponse, Status>>,
    /// By type: the names that are asked for, and the version that was sent for them.
    types: BTreeMap<String, (Vec<String>, Option<String>)>,
    nonce: u64,
}

impl Exchange {
    async fn run(mut self, shared: Arc<Shared>, mut requests: Streaming<DiscoveryRequest>) {
        let mut revision = shared.revision.subscribe();
        loop {
            tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(request)) => self.on_request(&shared, request),
                    _ => return,
                },
                changed = revision.changed() => if changed.is_err() { return },
            }
            self.send_changes(&shared);
        }
    }

    fn on_request(&mut self, shared: &Shared, request: DiscoveryRequest) {
        shared.state().seen.push(Seen {
            at: Instant::now(),
            type_url: request.type_url.clone(),
            names: request.resource_names.clone(),
            version: request.version_info,
            error: request.error_detail.map(|status| status.message).unwrap_or_default(),
        });
        let (names, sent) = self.types.entry(request.type_url).or_default();
        if *names != request.resource_names {
            (*names, *sent) = (request.resource_names, None);
        }
    }

    fn send_changes(&mut self, shared: &Shared) {
        let state = shared.state();
        for (type_url, (names, sent)) in &mut self.types {
            let Some((version, resources)) = state.resources.get(type_url) else { continue };
            if sent.as_ref() == Some(version) {
                continue;
            }
            *sent = Some(version.clone());
            self.nonce += 1;
            let response = DiscoveryResponse {
                version_info: version.clone(),
                resources: names.iter().filter_map(|name| resources.get(name)).cloned().collect(),
                type_url: type_url.clone(),
                nonce: self.nonce.to_string(),
                ..DiscoveryResponse::default()
            };
            // A client that is gone does not miss it.
            drop(self.sender.send(Ok(response)));
        }
    }
}
