//! Load reports to a real gRPC server on loopback.

use std::pin::Pin;
use std::sync::Arc;

use mesh_core::runtime::{FixedSource, LoadStore};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use xds_client::Options;
use xds_client::load_report::Reporter;
use xds_client::transport::GrpcTransport;
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_server::{
    LoadReportingService, LoadReportingServiceServer,
};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use crate::control::bootstrap;
use crate::endpoint::{self, Caller};
use crate::load_report::{SECOND, Source, config, every, rows, soon};

/// Asks for a report soon and then for one a day, and hands on what it is told: `None` at the end of a stream.
#[derive(Debug)]
struct Intake(mpsc::UnboundedSender<Option<LoadStatsRequest>>);

#[tonic::async_trait]
impl LoadReportingService for Intake {
    type StreamLoadStatsStream = Pin<Box<dyn Stream<Item = Result<LoadStatsResponse, Status>> + Send>>;

    async fn stream_load_stats(
        &self,
        request: Request<Streaming<LoadStatsRequest>>,
    ) -> Result<Response<Self::StreamLoadStatsStream>, Status> {
        let mut requests = request.into_inner();
        let told = self.0.clone();
        let (responses, stream) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                let next = if request.node.is_some() { SECOND } else { SECOND * 86_400 };
                _ = responses.send(Ok(every(next, &[])));
                _ = told.send(Some(request));
            }
            _ = told.send(None);
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::UnboundedReceiverStream::new(stream))))
    }
}

/// Proves: TR-64, TR-65, TR-69.
#[tokio::test]
async fn last_report_reaches_a_real_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = listener.local_addr().unwrap().to_string();
    let (told, mut hears) = mpsc::unbounded_channel();
    let service = LoadReportingServiceServer::new(Intake(told));
    let incoming = TcpListenerStream::new(listener);
    let server = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));

    let (options, store) = (Options::default(), Arc::new(LoadStore::default()));
    let transport = Arc::new(GrpcTransport::new(&options));
    let reporter = tokio::spawn(Reporter::new(&bootstrap(&uri), &store, transport, &options).run());
    let configs = FixedSource::any(config(&[("a", &uri)]));
    let mesh = endpoint::mesh(Source(configs, store));
    let caller = Caller::new(&mesh, "target");
    let first = soon(hears.recv()).await.flatten().unwrap();
    let features = first.node.unwrap().client_features;
    assert!(features.iter().any(|feature| feature == "envoy.lrs.supports_send_all_clusters"), "{features:?}");
    assert_eq!(
        rows(soon(hears.recv()).await.unwrap()),
        [],
        "the server has asked, and nothing has been called"
    );
    caller.call("a", 200).await;
    caller.call("a", 500).await;
    drop((caller, mesh));
    let [(cluster, _, counts)] = <[_; 1]>::try_from(rows(soon(hears.recv()).await.unwrap())).unwrap();
    assert_eq!((cluster.as_str(), counts), ("a", [2, 1, 1, 0]));
    assert!(soon(hears.recv()).await.unwrap().is_none(), "and the stream ends");
    soon(reporter).await.unwrap();
    server.abort();
}
