//! The client against a real gRPC server on loopback.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use mesh_core::testing::reserved_address;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use crate::server_tls;
use tonic::{Request, Response, Status, Streaming};
use xds_client::bootstrap::{Bootstrap, ChannelCredentials, IdentityFiles, ServerConfig, TlsCredentials};
use xds_client::protocol::BackoffSettings;
use xds_client::transport::GrpcTransport;
use xds_client::{Options, XdsClient, start_with};

use crate::control::{Control, EDS, bootstrap, endpoints, listener, show, until, until_shown};

/// Serves what `control` holds when asked, and the whole of it anew on each stream.
#[derive(Debug, Clone)]
struct Ads {
    control: Arc<Mutex<Control>>,
    streams: Arc<Mutex<usize>>,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        *self.streams.lock().unwrap() += 1;
        let mut control = self.control.lock().unwrap().clone();
        control.reset();
        let mut requests = request.into_inner();
        let (responses, stream) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                if let Some(response) = control.answer(&request) {
                    _ = responses.send(Ok(response));
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(stream))))
    }

    async fn delta_aggregated_resources(
        &self,
        _request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("state of the world only"))
    }
}

impl Ads {
    fn new(control: Control) -> Self {
        Self { control: Arc::new(Mutex::new(control)), streams: Arc::default() }
    }

    /// Its own runtime dies with the returned guard, connections and all, as a killed process would.
    async fn listen(&self, address: SocketAddr) -> (SocketAddr, Killable) {
        self.listen_with(address, None).await
    }

    async fn listen_with(&self, address: SocketAddr, tls: Option<ServerTlsConfig>) -> (SocketAddr, Killable) {
        let listener = bind(address).await;
        let address = listener.local_addr().unwrap();
        let service = AggregatedDiscoveryServiceServer::new(self.clone());
        let listener = listener.into_std().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            server.add_service(service).serve_with_incoming(incoming).await
        });
        (address, Killable(Some(runtime)))
    }
}

/// A listener at this address or, for [`ANY`], at one that stays this process's. A port that was just in use may need a moment.
pub(crate) async fn bind(address: SocketAddr) -> TcpListener {
    let address = if address == ANY { reserved_address() } else { address };
    for _ in 0..500 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("cannot listen on {address}");
}

pub(crate) struct Killable(pub(crate) Option<tokio::runtime::Runtime>);

impl Drop for Killable {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn client(address: SocketAddr, options: Options) -> XdsClient {
    let transport = GrpcTransport::new(&options);
    start_with(bootstrap(&address.to_string()), transport, options).unwrap()
}

fn quick() -> Options {
    let backoff = BackoffSettings::new(Duration::from_millis(20), Duration::from_millis(100));
    Options::default().with_backoff(backoff)
}

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn killed_server_is_found_again_with_what_it_has_then() {
    let ads = Ads::new(Control::greeter(&["a"], 1));
    let (address, server) = ads.listen(ANY).await;
    let client = client(address, quick());
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, "a=1").await;
    drop(server);
    // A server that is killed may accept a connection or two before its port is closed.
    let refused = |text: &str| text.contains("refused") && text.contains("node n1");
    let state = until(&mut watch, "an ambient error", |state| {
        state.ambient.as_ref().is_some_and(|error| refused(&error.to_string()))
    })
    .await;
    assert_eq!(show(&state.config.unwrap().unwrap()), "a=1");
    ads.control.lock().unwrap().put("a", &endpoints("a", &[2]));
    let (_, _server) = ads.listen(address).await;
    let state = until_shown(&mut watch, "a=2").await;
    assert_eq!(state.ambient, None);
}

#[tokio::test]
async fn two_hundred_targets_are_one_stream_of_one_connection() {
    let mut control = Control::greeter(&["a"], 1);
    let names: Vec<String> = (0..200).map(|index| format!("target-{index}")).collect();
    for name in &names {
        control.put(name, &listener(name, "routes"));
    }
    let ads = Ads::new(control);
    let (address, _server) = ads.listen(ANY).await;
    let client = client(address, quick());
    let mut watches: Vec<_> = names.iter().map(|name| client.watch(&Target::new(name)).unwrap()).collect();
    for watch in &mut watches {
        until_shown(watch, "a=1").await;
    }
    assert_eq!(*ads.streams.lock().unwrap(), 1);
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(alive() > 0);
    drop((watches, client));
    let ended: JoinHandle<()> = tokio::spawn(async move {
        while alive() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("a task is left").unwrap();
}

#[tokio::test]
async fn response_over_the_limit_names_its_type_and_the_option() {
    let ads = Ads::new(Control::greeter(&["a"], 1));
    let (address, server) = ads.listen(ANY).await;
    let mut options = quick();
    options.max_message_size = 4_000;
    let client = client(address, options);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    until_shown(&mut watch, "a=1").await;
    drop(server);
    let ports: Vec<u16> = (1..1_000).collect();
    ads.control.lock().unwrap().put("a", &endpoints("a", &ports));
    let (_, _server) = ads.listen(address).await;
    let large = |text: &str| text.contains("response of type");
    let state = until(&mut watch, "the limit's error", |state| {
        state.ambient.as_ref().is_some_and(|error| large(&error.to_string()))
    })
    .await;
    let error = state.ambient.unwrap().to_string();
    assert!(error.contains(EDS) && error.contains("limit of 4000; Options::max_message_size"), "{error}");
    assert_eq!(show(&state.config.unwrap().unwrap()), "a=1", "the old one stays");
}

#[tokio::test]
async fn unreachable_address_is_named_with_reason() {
    let address = bind(ANY).await.local_addr().unwrap();
    let client = client(address, quick());
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until(&mut watch, "an error", |state| state.config.is_some()).await;
    let error = state.config.unwrap().unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("Connection refused"), "{error}");
}

/// Proves: TR-34.
#[tokio::test]
async fn silent_server_is_detected() {
    let silent = bind(ANY).await;
    let address = silent.local_addr().unwrap();
    let held = tokio::spawn(async move {
        let mut sockets = Vec::new();
        while let Ok((socket, _)) = silent.accept().await {
            sockets.push(socket);
        }
    });
    let probe = Duration::from_millis(50);
    let mut options = quick();
    (options.keepalive_interval, options.keepalive_timeout) = (probe, probe);
    let client = client(address, options);
    let mut watch = client.watch(&Target::new("greeter")).unwrap();
    let state = until(&mut watch, "an error", |state| state.config.is_some()).await;
    let error = state.config.unwrap().unwrap_err().to_string();
    assert!(error.contains("unreachable"), "{error}");
    held.abort();
}

#[tokio::test]
async fn tls_trusts_only_the_bootstrap_root() {
    let folder = tempfile::tempdir().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (root, missing) = (folder.path().join("root.pem"), folder.path().join("missing.pem"));
    std::fs::write(&root, cert.pem()).unwrap();
    let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
    let tls = server_tls().identity(identity);
    let ads = Ads::new(Control::greeter(&["a"], 1));
    let (address, _server) = ads.listen_with(ANY, Some(tls)).await;

    let watch = |credentials: TlsCredentials| {
        let server = ServerConfig::new(address.to_string(), ChannelCredentials::Tls(credentials));
        let bootstrap = Bootstrap::builder().server(server).node_id("n1").build().unwrap();
        let transport = GrpcTransport::new(&quick());
        start_with(bootstrap, transport, quick()).unwrap().watch(&Target::new("greeter")).unwrap()
    };
    let trusting = TlsCredentials::default().with_ca_certificate_file(root);
    until_shown(&mut watch(trusting.clone()), "a=1").await;

    let anonymous = IdentityFiles { certificate: missing.clone(), private_key: missing };
    let failing =
        [(TlsCredentials::default(), "certificate"), (trusting.with_identity(anonymous), "cannot read")];
    for (credentials, part) in failing {
        let state = until(&mut watch(credentials), part, |state| state.config.is_some()).await;
        let error = state.config.unwrap().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(*ads.streams.lock().unwrap(), 1, "no stream without trust or identity");
}
