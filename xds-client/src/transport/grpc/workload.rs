//! The stream of an agent of the SPIFFE Workload API.

use std::sync::LazyLock;
use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::codec::Streaming;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::GrpcTransport;
use crate::bootstrap::{ServerConfig, WorkloadApi};
use crate::certificate::{X509SvidRequest, X509SvidResponse};
use crate::client::Options;
use crate::transport::TransportError;

/// What the agent says of this process, from now on.
pub(crate) struct WorkloadStream(Streaming<X509SvidResponse>);

impl WorkloadStream {
    /// Asks the agent.
    ///
    /// # Errors
    /// It cannot be reached, or knows nothing of this process.
    pub(crate) async fn open(agent: &WorkloadApi) -> Result<Self, String> {
        let server = TRANSPORT.pool.server(&ServerConfig::insecure(agent.target()));
        let connection =
            server.connection(&TRANSPORT).await.map_err(|error: TransportError| error.to_string())?;
        let mut client = tonic::client::Grpc::with_origin(connection.http2(), connection.origin());
        client.ready().await.map_err(|error| error.to_string())?;
        let mut request = Request::new(X509SvidRequest {});
        // The agent refuses requests without it: a browser or a proxy that is tricked into a request does not send it.
        request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
        let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchX509SVID");
        let response = client.server_streaming(request, path, ProstCodec::default()).await;
        response.map(|response| Self(response.into_inner())).map_err(|status| text(&status))
    }

    /// The next message; `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<X509SvidResponse>, String> {
        self.0.message().await.map_err(|status| text(&status))
    }
}

fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// Agents take frequent pings for an attack; a Unix socket tells by itself that its other end is gone.
static TRANSPORT: LazyLock<GrpcTransport> = LazyLock::new(|| {
    let options = Options { keepalive_interval: Duration::from_secs(24 * 60 * 60), ..Options::default() };
    GrpcTransport::new(&options)
});
