//! The channel under a generated client.

use std::task::{Context, Poll};

use http::header::{HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use mesh_core::runtime::{CallOptions, Channel, Target, WaitForReady};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::protocol::{self, Grpc};
use crate::{ConnectError, MeshChannelBuilder, ResponseBody, ResponseFuture};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("mesh-tonic/", env!("CARGO_PKG_VERSION")));

/// A way to a service through the mesh, for any generated tonic client.
///
/// Clones are cheap and share everything. So do all channels of one mesh: one configuration per target, one connection
/// per endpoint. It is always ready: a call that has to wait does so in its own future.
#[derive(Debug, Clone)]
pub struct MeshChannel {
    channel: Channel<Grpc>,
    authority: Authority,
}

impl MeshChannel {
    /// A channel of the process's own mesh to `target`: `xds:///name`, `xds://authority/name` or `name`.
    ///
    /// The mesh is the one that the environment describes (`GRPC_XDS_BOOTSTRAP` or `GRPC_XDS_BOOTSTRAP_CONFIG`); it is
    /// started by the first channel. Nothing is waited for: calls wait for the configuration.
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

    pub(crate) fn new(channel: Channel<Grpc>, authority: Authority) -> Self {
        Self { channel, authority }
    }

    /// Where its calls go.
    pub fn target(&self) -> &Target {
        self.channel.target()
    }

    /// Completes what a generated client leaves to its channel. What the application has set stays.
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
        headers.entry(USER_AGENT).or_insert(AGENT);
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
        let options = CallOptions {
            wait_for_ready: request.extensions().get::<WaitForReady>().copied(),
            timeout: protocol::timeout(request.headers()),
        };
        self.complete(&mut request);
        ResponseFuture::new(self.channel.call(request, options))
    }
}
