//! A server in this process with hand-made resources, and an ADS client without any mercy.

pub(crate) mod certificates;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use control_server::discovery::{ClientStatus, Feed};
use control_server::resources::{Collection, EncodedResource, ResourceKind, ResourceSet};
use control_server::server::{ControlServer, Options, Running};
use control_server::state::{ObjectStatus, PipelineState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, ClientTlsConfig};
use xds_proto::envoy::config::core::v3::{Node, node::UserAgentVersionType};
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use xds_proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use xds_proto::google::rpc::Status;

/// A server on free loopback ports.
pub(crate) struct Fixture {
    pub(crate) running: Running,
    resources: watch::Sender<Arc<ResourceSet>>,
    state: watch::Sender<Arc<PipelineState>>,
}

impl Fixture {
    /// Listening; nothing is synced.
    pub(crate) async fn unsynced() -> Self {
        Self::unsynced_with(|options| options).await
    }

    /// The same, with other options.
    pub(crate) async fn unsynced_with(change: impl FnOnce(Options) -> Options) -> Self {
        let (resources, state) = (watch::Sender::default(), watch::Sender::default());
        let feed = Feed { resources: resources.subscribe(), state: state.subscribe() };
        let loopback = "127.0.0.1:0".parse().unwrap();
        let options = change(Options { xds: loopback, admin: loopback, ..Options::default() });
        let running = ControlServer::serve(options, feed).await.unwrap();
        Self { running, resources, state }
    }

    /// Synced, with `cds a=1` as the cluster `a` of content 1, `leds c/a=1` as a member of the collection `c/*`.
    pub(crate) async fn with(resources: &[&str]) -> Self {
        Self::with_options(resources, |options| options).await
    }

    /// The same, with other options.
    pub(crate) async fn with_options(resources: &[&str], change: impl FnOnce(Options) -> Options) -> Self {
        let fixture = Self::unsynced_with(change).await;
        fixture.publish(resources);
        fixture.sync();
        fixture
    }

    pub(crate) fn sync(&self) {
        self.sync_with(vec![]);
    }

    /// The same, with these objects.
    pub(crate) fn sync_with(&self, objects: Vec<ObjectStatus>) {
        let state = PipelineState { synced: true, objects: objects.into(), ..PipelineState::default() };
        self.state.send_replace(Arc::new(state));
    }

    pub(crate) fn publish(&self, resources: &[&str]) {
        let revision = self.resources.borrow().revision + 1;
        let mut set = ResourceSet::at(revision);
        let mut collections: BTreeMap<String, Vec<Arc<EncodedResource>>> = BTreeMap::new();
        for text in resources {
            let (kind, rest) = text.split_once(' ').unwrap();
            let (name, version) = rest.split_once('=').unwrap();
            let kind = ResourceKind::from_name(kind).unwrap();
            let bytes = Bytes::copy_from_slice(rest.as_bytes());
            let resource = Arc::new(EncodedResource {
                name: name.into(),
                version: version.into(),
                bytes,
                made_by: Arc::default(),
                rules: None,
            });
            match kind {
                ResourceKind::LbEndpoint => {
                    let (folder, _) = name.rsplit_once('/').unwrap();
                    collections.entry(format!("{folder}/*")).or_default().push(resource);
                }
                _ => set.insert(kind, resource),
            }
        }
        for (name, members) in collections {
            set.insert_collection(Arc::new(Collection::new(name.into(), members)));
        }
        self.resources.send_replace(Arc::new(set));
    }

    /// What the admin API answers to `GET path`, as JSON.
    pub(crate) async fn ask(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// The same, as text.
    pub(crate) async fn text(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.running.admin_address()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The clients, once they are as wanted.
    pub(crate) async fn clients_once(&self, wanted: impl Fn(&[ClientStatus]) -> bool) -> Vec<ClientStatus> {
        for _ in 0..1000 {
            let clients = self.running.registry().clients();
            if wanted(&clients) {
                return clients;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still {:#?}", self.running.registry().clients());
    }
}

/// An ADS client that does nothing by itself.
pub(crate) struct Client {
    requests: mpsc::UnboundedSender<DiscoveryRequest>,
    responses: tonic::Streaming<DiscoveryResponse>,
}

/// Connects without TLS.
pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

impl Client {
    pub(crate) async fn connect(fixture: &Fixture) -> Self {
        Self::connect_to(fixture.running.xds_address()).await
    }

    pub(crate) async fn connect_to(address: SocketAddr) -> Self {
        Self::over(channel(address).await).await.unwrap()
    }

    /// Shakes hands first; the error is the handshake's or the first stream's.
    pub(crate) async fn connect_tls(address: SocketAddr, config: ClientTlsConfig) -> Result<Self, String> {
        let endpoint =
            Channel::from_shared(format!("https://{address}")).unwrap().tls_config(config).unwrap();
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        Self::over(channel).await.map_err(|status| format!("{status:?}"))
    }

    pub(crate) async fn over(channel: Channel) -> Result<Self, tonic::Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let outgoing = UnboundedReceiverStream::new(receiver);
        let responses = client.stream_aggregated_resources(outgoing).await?.into_inner();
        Ok(Self { requests, responses })
    }

    pub(crate) fn ask(&self, kind: ResourceKind, names: &[&str], version: &str) {
        self.ask_type(kind.type_url(), names, version);
    }

    pub(crate) fn ask_type(&self, type_url: &str, names: &[&str], version: &str) {
        self.requests
            .send(DiscoveryRequest {
                node: Some(node()),
                version_info: version.to_owned(),
                resource_names: names.iter().map(ToString::to_string).collect(),
                type_url: type_url.to_owned(),
                ..DiscoveryRequest::default()
            })
            .unwrap();
    }

    /// Accepts a response, or refuses it with a reason; `names` is the whole subscription.
    pub(crate) fn answer(&self, response: &DiscoveryResponse, names: &[&str], refusal: Option<&str>) {
        let refusal = refusal.map(|message| Status { code: 3, message: message.to_owned(), details: vec![] });
        self.requests
            .send(DiscoveryRequest {
                version_info: if refusal.is_none() { response.version_info.clone() } else { String::new() },
                resource_names: names.iter().map(ToString::to_string).collect(),
                type_url: response.type_url.clone(),
                response_nonce: response.nonce.clone(),
                error_detail: refusal,
                ..DiscoveryRequest::default()
            })
            .unwrap();
    }

    /// The next message, or how the stream ended.
    pub(crate) async fn message(&mut self) -> Result<Option<DiscoveryResponse>, tonic::Status> {
        tokio::time::timeout(Duration::from_secs(60), self.responses.message())
            .await
            .expect("no message in 10 s")
    }

    /// The next response, which has to be this: `cds a=1 b=2`.
    pub(crate) async fn expect(&mut self, expected: &str) -> DiscoveryResponse {
        let response = self.message().await.unwrap().unwrap();
        let kind = ResourceKind::from_type_url(&response.type_url).unwrap();
        let contents =
            response.resources.iter().map(|any| format!(" {}", String::from_utf8_lossy(&any.value)));
        assert_eq!(format!("{}{}", kind.short_name(), contents.collect::<String>()), expected);
        assert!(response.resources.iter().all(|any| any.type_url == response.type_url));
        response
    }
}

/// Who the clients are.
pub(crate) fn node() -> Node {
    Node {
        id: "node-1".to_owned(),
        user_agent_name: "a test".to_owned(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion("1.2".to_owned())),
        ..Node::default()
    }
}
