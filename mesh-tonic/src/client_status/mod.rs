//! CSDS: the configuration in use by the process's xDS clients, over gRPC (gRFC A40).
//!
//! Messages pass through as bytes: only xds-client decodes them.

mod method;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, StdError};
use tonic::server::{Grpc, NamedService};
use tower_service::Service;
use xds_client::{WeakXdsClient, XdsClient};

use crate::codec::BytesCodec;

use method::{Fetch, Watch};

/// Serves CSDS, `envoy.service.status.v3.ClientStatusDiscoveryService`: the resources that this process's xDS clients watch,
/// use and have refused. `grpcdebug` and similar tools read it.
///
/// ```
/// use mesh_tonic::ClientStatusService;
/// use tonic::transport::Server;
///
/// let router = Server::builder().add_service(ClientStatusService::shared());
/// # drop(router);
/// ```
///
/// It has no authentication, and shows the whole configuration: serve it where only operators connect. It keeps no client
/// alive; a client that is not in use any more is not in the answers. An answer has the size of all watched resources, which
/// can exceed the 4 MiB that many callers read by default.
#[derive(Debug, Clone)]
pub struct ClientStatusService {
    clients: Clients,
}

impl ClientStatusService {
    /// For the process's [`shared`](xds_client::shared) client, which every `MeshChannel::connect` uses. It may start
    /// later.
    pub fn shared() -> Self {
        Self { clients: Clients::Shared }
    }

    /// For these clients, each with an entry of its own.
    pub fn new<'c>(clients: impl IntoIterator<Item = &'c XdsClient>) -> Self {
        Self { clients: Clients::These(clients.into_iter().map(XdsClient::downgrade).collect()) }
    }
}

impl NamedService for ClientStatusService {
    const NAME: &'static str = "envoy.service.status.v3.ClientStatusDiscoveryService";
}

// TR-57
impl<B> Service<Request<B>> for ClientStatusService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clients = self.clients.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "FetchClientStatus" => Grpc::new(BytesCodec).unary(Fetch(clients), request).await,
                "StreamClientStatus" => Grpc::new(BytesCodec).streaming(Watch(clients), request).await,
                _ => Status::unimplemented(format!("no method {method:?} in {}", Self::NAME)).into_http(),
            })
        })
    }
}

/// The clients whose status is served.
#[derive(Debug, Clone)]
enum Clients {
    Shared,
    These(Arc<[WeakXdsClient]>),
}

impl Clients {
    fn alive(&self) -> Vec<XdsClient> {
        match self {
            Self::Shared => xds_client::running().into_iter().collect(),
            Self::These(clients) => clients.iter().filter_map(WeakXdsClient::upgrade).collect(),
        }
    }
}
