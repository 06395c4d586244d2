//! The client: requests to the mesh's services by their names.

mod body;
mod builder;
mod error;
mod fields;
mod future;
mod name;
mod protocol;
mod reply;
mod targets;

use std::convert::identity;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use mesh_core::Mesh;
use mesh_core::runtime::CallOptions;
use tower_service::Service;

use targets::Targets;

pub use body::ResponseBody;
pub use builder::{MaxTargets, MeshClientBuilder};
pub use error::{ClientError, ClientErrorKind};
pub use future::ResponseFuture;
pub use reply::{LocalFailure, REASON};

/// A client for the mesh's services: `http://orders.shop/list` is a request to the target `xds:///orders.shop`.
///
/// A Tower service of requests with any body. Clones are cheap and share everything. It is always ready: a request that has to
/// wait does so in its own future.
///
/// ```
/// # use mesh_core::config::MeshConfig;
/// # use mesh_hyper::{Mesh, MeshClient};
/// # async fn list(address: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
/// // With a control-server, named by the environment: MeshClient::connect()?.
/// let mesh = Mesh::fixed(MeshConfig::to_endpoints("orders.shop", [address]));
/// let client = MeshClient::new(&mesh);
/// let response = client.send(http::Request::get("http://orders.shop/list").body(String::new())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
///
/// A request that the mesh cannot bring to an endpoint gets a reply in HTTP's own words, as from a proxy: 404 without a route,
/// 503 without an endpoint, 504 after the deadline. Such a reply has the header [`REASON`], and a [`LocalFailure`] among its
/// extensions, which no endpoint can forge. [`ClientError`] is for requests that are wrong themselves.
///
/// Its requests have the timeouts of their route, and one of their own if [`CallOptions`] are among their extensions.
#[derive(Debug, Clone)]
pub struct MeshClient(Arc<Targets>);

impl MeshClient {
    /// A client of this mesh with default settings.
    pub fn new(mesh: &Mesh) -> Self {
        Self::builder().build_over(mesh)
    }

    /// A client of the process's own mesh: the one that the environment describes (`GRPC_XDS_BOOTSTRAP` or
    /// `GRPC_XDS_BOOTSTRAP_CONFIG`), which gRPC channels of the process share.
    ///
    /// # Errors
    /// [`ClientError`] when the bootstrap is wrong, or outside of a tokio runtime.
    pub fn connect() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// The steps to a client with settings of its own.
    pub fn builder() -> MeshClientBuilder {
        MeshClientBuilder::default()
    }

    /// Sends a request; resolves to the response's head. Dropping the future cancels the request.
    pub fn send<B>(&self, request: Request<B>) -> ResponseFuture
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.start(request).map_or_else(ResponseFuture::failed, identity)
    }

    fn start<B>(&self, request: Request<B>) -> Result<ResponseFuture, ClientError>
    where
        B: Body<Data: Buf, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        let body = body::SentBody::new(body);
        let target = self.0.of_request(&mut head)?;
        fields::complete(&mut head, &body)?;
        let options = head.extensions.get::<CallOptions>().copied().unwrap_or_default();
        Ok(ResponseFuture::of_call(target.channel.call(Request::from_parts(head, body), options)))
    }
}

impl<B> Service<Request<B>> for MeshClient
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = ClientError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.send(request)
    }
}
