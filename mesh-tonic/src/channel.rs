//! The channel under a generated client.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::connect::InMemory;
use mesh_core::runtime::{CallOptions, Channel, ChannelState, FixedSource, MeshError, Target, WaitForReady};
use tokio::io::DuplexStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::tokio_stream::Stream;
use tower_service::Service;
use xds_client::bootstrap::parse_target;

use crate::protocol::{self, Grpc};
use crate::{ConnectError, MeshChannelBuilder, ResponseBody, ResponseFuture};

/// A channel to a service through the mesh, for any generated tonic client.
///
/// Clones are cheap and share everything. So do all channels of one mesh: one configuration per target, one connection
/// per endpoint. It is always ready: a call that has to wait does so in its own future.
#[derive(Debug, Clone)]
pub struct MeshChannel {
    channel: Channel<Grpc>,
    authority: Authority,
    agent: HeaderValue,
}

impl MeshChannel {
    /// A channel of the process's own mesh to `target`: `xds:///name`, `xds://authority/name` or `name`.
    ///
    /// The mesh is the one that the environment describes (`GRPC_XDS_BOOTSTRAP` or `GRPC_XDS_BOOTSTRAP_CONFIG`); it is
    /// started by the first channel. This does not wait: calls wait for the configuration.
    ///
    /// # Errors
    /// [`ConnectError`] when the target or the bootstrap is wrong, or outside of a tokio runtime.
    pub fn connect(target: &str) -> Result<Self, ConnectError> {
        Self::builder(target).build()
    }

    /// A channel with settings of its own.
    pub fn builder(target: impl Into<String>) -> MeshChannelBuilder {
        MeshChannelBuilder::new(target.into())
    }

    /// A channel to these endpoints, without a control-server. For more than that, make a [`Mesh`] of your own.
    ///
    /// ```
    /// # use mesh_tonic::MeshChannel;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let channel = MeshChannel::to_endpoints("greeter", ["127.0.0.1:50051".parse()?, "127.0.0.1:50052".parse()?])?;
    /// # drop(channel);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`] when the target is wrong, or outside of a tokio runtime.
    pub fn to_endpoints(
        target: &str,
        endpoints: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, ConnectError> {
        let parsed = parse_target(target).map_err(ConnectError::target)?;
        let mesh = Mesh::fixed(MeshConfig::to_endpoints(&parsed.name, endpoints));
        Self::builder(target).build_over(&mesh, &parsed)
    }

    /// A channel to a server in the same process, over pipes in memory, and the connections that the server accepts. For
    /// tests, together with tonic's `serve_with_incoming`:
    ///
    /// ```
    /// # use examples::greeter::greeter_client::GreeterClient;
    /// # use examples::greeter::greeter_server::GreeterServer;
    /// # use examples::greeter::HelloRequest;
    /// # use examples::service::GreeterService;
    /// # use mesh_tonic::MeshChannel;
    /// # use tonic::transport::Server;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
    /// let (channel, incoming) = MeshChannel::in_memory("greeter")?;
    /// tokio::spawn(Server::builder().add_service(greeter).serve_with_incoming(incoming));
    /// let reply = GreeterClient::new(channel).say_hello(HelloRequest::default()).await?;
    /// # assert_eq!(reply.into_inner().endpoint, "a");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`] when the target is wrong, or outside of a tokio runtime.
    pub fn in_memory(target: &str) -> Result<(Self, Incoming), ConnectError> {
        let parsed = parse_target(target).map_err(ConnectError::target)?;
        let (dialer, incoming) = InMemory::new();
        // The dialer connects to the server for any address.
        let config = MeshConfig::to_endpoints(&parsed.name, [SocketAddr::from((Ipv4Addr::LOCALHOST, 1))]);
        let mesh = Mesh::builder(FixedSource::only(config)).dialer(dialer).build();
        Ok((Self::builder(target).build_over(&mesh, &parsed)?, Incoming::new(incoming)))
    }

    pub(crate) fn new(channel: Channel<Grpc>, authority: Authority, agent: HeaderValue) -> Self {
        Self { channel, authority, agent }
    }

    /// Whether its calls find a connection at this moment.
    pub fn state(&self) -> ChannelState {
        self.channel.state()
    }

    /// Connects before the first call: completes when the target has its configuration, at least one of the clusters that
    /// its routes may choose has a connection, and each of the others has one or cannot be reached at the moment. For the
    /// start of a service, before it reports that it is ready.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mesh_tonic::MeshChannel;
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let channel = MeshChannel::connect("xds:///greeter")?;
    /// channel.warm_up(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Until the timeout it waits as a wait-for-ready call does: a control-server or an endpoint that cannot be reached is
    /// tried again.
    ///
    /// # Errors
    /// [`MeshErrorKind::DeadlineExceeded`](crate::MeshErrorKind::DeadlineExceeded) at the timeout; the text says what was
    /// missing. The channel stays usable and continues to connect: a service may start all the same.
    pub async fn warm_up(&self, timeout: Duration) -> Result<(), MeshError> {
        self.channel.warm_up(timeout).await
    }

    /// The target of its calls.
    pub fn target(&self) -> &Target {
        self.channel.target()
    }

    /// Sets what a generated client leaves to its channel: scheme, authority, user agent and TE. Values that are set stay.
    fn complete(&self, request: &mut Request<Body>) {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme.get_or_insert(Scheme::HTTP);
        // BS-44
        uri.authority.get_or_insert_with(|| self.authority.clone());
        uri.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
        if let Ok(uri) = Uri::from_parts(uri) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert_with(|| self.agent.clone());
        headers.entry(TE).or_insert(HeaderValue::from_static("trailers"));
    }
}

impl Service<Request<Body>> for MeshChannel {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        let mut options = CallOptions::default();
        options.wait_for_ready = request.extensions().get::<WaitForReady>().copied();
        options.timeout = protocol::timeout(request.headers());
        self.complete(&mut request);
        ResponseFuture::new(self.channel.call(request, options))
    }
}

/// The connections of a [`MeshChannel::in_memory`](crate::MeshChannel::in_memory), for `serve_with_incoming` of tonic's
/// server.
///
/// When it is dropped, or the server that accepts from it ends, the channel's calls find no endpoint.
#[derive(Debug)]
#[must_use = "calls wait until a server takes their connection from it"]
pub struct Incoming(mesh_core::runtime::connect::Incoming);

impl Incoming {
    pub(crate) fn new(incoming: mesh_core::runtime::connect::Incoming) -> Self {
        Self(incoming)
    }
}

impl Stream for Incoming {
    type Item = io::Result<DuplexStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|connection| connection.map(Ok))
    }
}
