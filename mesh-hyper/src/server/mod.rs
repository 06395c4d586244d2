//! The server under axum's routers and other services.

mod builder;
mod path;
mod protocol;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use mesh_core::Mesh;
use mesh_core::config::ServerConfig;
use mesh_core::runtime::server::{BindError, FixedServer, Server, ServerHandle};
use tokio::net::ToSocketAddrs;
use tower_service::Service;

use protocol::ServedHttp;

pub use builder::MeshServerBuilder;

/// An HTTP server of the mesh: HTTP/1.1 and HTTP/2 on one port, for an axum `Router` or any other service.
///
/// ```
/// # use mesh_hyper::{MeshServer, ServerChain, ServerConfig, ServerRoutes};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = axum::Router::new().route("/orders", axum::routing::get(async || "none"));
/// // With a control plane: MeshServer::bind(&mesh, "0.0.0.0:8080").
/// let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all()))?;
/// let server = MeshServer::fixed(config, "127.0.0.1:0").await?;
/// let handle = server.handle();
/// let serving = tokio::spawn(server.serve(router));
/// // at SIGTERM, for example
/// handle.shutdown(Duration::from_secs(30)).await;
/// # serving.await?;
/// # Ok(())
/// # }
/// ```
///
/// In plaintext the first bytes of a connection say which version it speaks, over TLS ALPN does. It serves nothing before
/// [`serve`](Self::serve), and only connections and calls that its configuration takes. Dropping it ends everything.
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

    /// Serves until the server is [shut down](ServerHandle::shutdown). A handler finds who calls as an
    /// `Arc<`[`Peer`](mesh_core::peer::Peer)`>` among the extensions of its request: `axum::Extension<Arc<Peer>>`.
    ///
    /// The authority of a request is in its URI, whatever the version; there is no `host` header.
    pub async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.0.serve::<ServedHttp, _, _>(service).await;
    }

    /// As [`serve`](Self::serve), until `signal` completes; then requests that run have `grace` to end.
    pub async fn serve_with_shutdown<S, B>(
        self,
        service: S,
        signal: impl Future<Output = ()>,
        grace: Duration,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let handle = self.handle();
        let stop = async {
            signal.await;
            handle.shutdown(grace).await;
        };
        tokio::join!(self.serve(service), stop);
    }
}
