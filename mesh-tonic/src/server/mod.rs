//! The server under tonic's generated services.

mod builder;
mod health;
mod load;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use mesh_core::Mesh;
use mesh_core::config::ServerConfig;
use mesh_core::observe::ReceivedMessages;
use mesh_core::runtime::server::{BindError, FixedServer, Server, ServerHandle};
use tokio::net::ToSocketAddrs;
use tonic::body::Body;
use tonic::codegen::StdError;
use tower_service::Service;

use crate::protocol::Grpc;

pub use builder::MeshServerBuilder;
pub use health::HealthService;
pub use load::{
    CallLoad, LoadReportBody, LoadReportFuture, LoadReportLayer, LoadReportService, LoadReported,
    LoadReporter,
};

/// A gRPC server of the mesh, for any generated tonic service (gRFC A36).
///
/// ```
/// # use examples::greeter::greeter_server::GreeterServer;
/// # use examples::service::GreeterService;
/// # use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
/// # use mesh_tonic::MeshServer;
/// # use std::time::Duration;
/// # use tonic::service::Routes;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
/// // With a control plane: MeshServer::bind(&mesh, "0.0.0.0:50051").
/// let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all()))?;
/// let server = MeshServer::fixed(config, "127.0.0.1:0").await?;
/// let handle = server.handle();
/// let serving = tokio::spawn(server.serve(Routes::new(greeter)));
/// // at SIGTERM, for example
/// handle.shutdown(Duration::from_secs(30)).await;
/// # serving.await?;
/// # Ok(())
/// # }
/// ```
///
/// It serves nothing before [`serve`](Self::serve), and only connections and calls that its configuration takes. Dropping it
/// ends everything.
#[derive(Debug)]
pub struct MeshServer(Server);

impl MeshServer {
    /// A server that the mesh's control plane configures, with default settings.
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound, or when the bootstrap does not say how listeners of servers are named
    /// (`server_listener_resource_name_template`). A control plane that cannot be reached is no error: connections are closed
    /// until it can.
    pub async fn bind(mesh: &Mesh, address: impl ToSocketAddrs) -> Result<Self, BindError> {
        Self::builder().bind(mesh, address).await
    }

    /// A server without a control plane. To change the configuration later: [`MeshServerBuilder::fixed`].
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound.
    pub async fn fixed(config: ServerConfig, address: impl ToSocketAddrs) -> Result<Self, BindError> {
        Self::builder().fixed(&FixedServer::new(config), address).await
    }

    /// The steps to a server with settings of its own.
    pub fn builder() -> MeshServerBuilder {
        MeshServerBuilder::default()
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.handle().local_addr()
    }

    /// Observes and stops it.
    pub fn handle(&self) -> ServerHandle {
        self.0.handle()
    }

    /// Serves until the server is [shut down](ServerHandle::shutdown): one generated service, or `tonic::service::Routes` with
    /// many. A handler finds who calls as an `Arc<Peer>` among the extensions of its request.
    ///
    /// The server keeps deadlines (`grpc-timeout`), so tonic's own server is not needed for them; layers go around the
    /// service.
    pub async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        self.0.serve::<Grpc, _, _>(OfTonic(service)).await;
    }

    /// As [`serve`](Self::serve), until `signal` completes; then calls that run have `grace` to end.
    pub async fn serve_with_shutdown<S, B>(
        self,
        service: S,
        signal: impl Future<Output = ()>,
        grace: Duration,
    ) where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let handle = self.handle();
        let stop = async {
            signal.await;
            handle.shutdown(grace).await;
        };
        tokio::join!(self.serve(service), stop);
    }
}

/// A service of tonic's, for requests as they come from a connection.
#[derive(Debug, Clone)]
struct OfTonic<S>(S);

impl<S: Service<Request<Body>>> Service<Request<Incoming>> for OfTonic<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        match request.extensions_mut().remove::<ReceivedMessages>() {
            None => self.0.call(request.map(Body::new)),
            Some(received) => self.0.call(request.map(|body| Body::new(received.count(body)))),
        }
    }
}
