//! A server that answers each request with its type, and remembers who called how.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::transport::server::Router;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use xds_client::bootstrap::ServerConfig;
use xds_client::transport::{
    AdsTransport, GrpcReceiver, GrpcSender, GrpcTransport, RequestSender, ResponseReceiver, TransportError,
    Variant,
};
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_server::{
    LoadReportingService, LoadReportingServiceServer,
};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use xds_proto::google::protobuf::Any;

use crate::grpc::{Killable, bind};

/// A request of this type ends its stream with an error.
pub(crate) const FAIL: &str = "fail";
/// A request of this type ends its stream without one.
pub(crate) const END: &str = "end";
/// A request of this type is answered with 100,000 bytes.
pub(crate) const LARGE: &str = "large";

#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    connections: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call, as the server has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) authorization: Vec<String>,
    pub(crate) user_agent: String,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn large() -> Any {
    Any { type_url: "type/Large".to_owned(), value: vec![0; 100_000] }
}

impl Echo {
    fn remember(&self, method: &'static str, metadata: &MetadataMap) {
        let texts = |name: &str| -> Vec<String> {
            metadata.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let (authorization, user_agent) = (texts("authorization"), texts("user-agent").concat());
        self.calls.lock().unwrap().push(Call { method, authorization, user_agent });
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How many there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn router(&self, tls: Option<ServerTlsConfig>, age: Option<Duration>) -> Router {
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        if let Some(age) = age {
            server = server.max_connection_age(age);
        }
        server
            .add_service(AggregatedDiscoveryServiceServer::new(self.clone()))
            .add_service(LoadReportingServiceServer::new(self.clone()))
    }

    /// Its own runtime dies with the returned guard, connections and all.
    pub(crate) async fn listen(
        &self,
        address: SocketAddr,
        tls: Option<ServerTlsConfig>,
        age: Option<Duration>,
    ) -> (SocketAddr, Killable) {
        let listener = bind(address).await;
        let address = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        let router = self.router(tls, age);
        let connections = self.connections.clone();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let counted = incoming.map(move |socket: std::io::Result<TcpStream>| {
                connections.fetch_add(1, Ordering::SeqCst);
                socket
            });
            router.serve_with_incoming(counted).await
        });
        (address, Killable(Some(runtime)))
    }

    /// On a Unix socket, on the runtime of the caller.
    #[cfg(unix)]
    pub(crate) fn listen_unix(&self, path: &std::path::Path) -> tokio::task::JoinHandle<()> {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        let router = self.router(None, None);
        tokio::spawn(async move {
            let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
            router.serve_with_incoming(incoming).await.unwrap();
        })
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Echo {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        self.remember("sotw", request.metadata());
        let requests =
            request.into_inner().take_while(|request| !matches!(request, Ok(r) if r.type_url == END));
        let responses = requests.map(|request| match request?.type_url.as_str() {
            FAIL => Err(Status::unavailable("as asked for")),
            LARGE => Ok(DiscoveryResponse { resources: vec![large()], ..Default::default() }),
            type_url => Ok(DiscoveryResponse { type_url: type_url.to_owned(), ..Default::default() }),
        });
        Ok(Response::new(Box::pin(responses)))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        self.remember("delta", request.metadata());
        let responses = request.into_inner().map(|request| match request?.type_url.as_str() {
            LARGE => {
                let resources = vec![Resource { resource: Some(large()), ..Default::default() }];
                Ok(DeltaDiscoveryResponse { resources, ..Default::default() })
            }
            type_url => Ok(DeltaDiscoveryResponse { type_url: type_url.to_owned(), ..Default::default() }),
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

#[tonic::async_trait]
impl LoadReportingService for Echo {
    type StreamLoadStatsStream = Responses<LoadStatsResponse>;

    async fn stream_load_stats(
        &self,
        request: Request<Streaming<LoadStatsRequest>>,
    ) -> Result<Response<Self::StreamLoadStatsStream>, Status> {
        self.remember("load", request.metadata());
        let responses = request
            .into_inner()
            .map(|_| Ok(LoadStatsResponse { send_all_clusters: true, ..Default::default() }));
        Ok(Response::new(Box::pin(responses)))
    }
}

/// An ADS stream, open.
pub(crate) type AdsStream = (GrpcSender, GrpcReceiver);

/// Opens a stream and has one request answered.
pub(crate) async fn exchange(
    transport: &GrpcTransport,
    server: &ServerConfig,
    variant: Variant,
) -> Result<AdsStream, TransportError> {
    let mut stream = transport.open(server, variant).await?;
    assert_eq!(ask(&mut stream, variant, "hello").await?.as_deref(), Some("hello"));
    Ok(stream)
}

/// The answer to a request of this type.
pub(crate) async fn ask(
    (sender, receiver): &mut AdsStream,
    variant: Variant,
    type_url: &str,
) -> Result<Option<String>, TransportError> {
    sender.ready().await?;
    let type_url = type_url.to_owned();
    sender.send(match variant {
        Variant::Sotw => DiscoveryRequest { type_url, ..Default::default() }.into(),
        Variant::Delta => DeltaDiscoveryRequest { type_url, ..Default::default() }.into(),
    });
    Ok(receiver.receive().await?.map(|response| response.type_url().to_owned()))
}

/// Opens a stream of load reports and has one answered.
pub(crate) async fn report(
    transport: &GrpcTransport,
    server: &ServerConfig,
) -> Result<impl Sized + use<>, TransportError> {
    let (mut sender, mut receiver) = transport.open_load_report(server).await?;
    sender.ready().await?;
    sender.send(LoadStatsRequest::default());
    assert!(receiver.receive().await?.is_some_and(|response| response.send_all_clusters));
    Ok((sender, receiver))
}
