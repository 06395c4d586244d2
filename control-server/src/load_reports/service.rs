//! The gRPC service `envoy.service.load_stats.v3.LoadReportingService`.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_server::{
    LoadReportingService, LoadReportingServiceServer,
};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use crate::connection::Connection;
use crate::discovery::{Drain, ResourceCache};
use crate::metrics::Metrics;

use super::client::Client;
use super::limits::MAX_REPORT_BYTES;
use super::reports::{LoadReports, Names};
use super::stream::Stream;

/// Takes load reports (TR-64 to TR-67, the server's side).
#[derive(Debug, Clone)]
pub struct LoadReporting {
    reports: LoadReports,
    cache: ResourceCache,
    drain: Drain,
    metrics: Metrics,
}

impl LoadReporting {
    /// A service that fills `reports` with clients' reports about the clusters in `cache`.
    pub fn new(reports: LoadReports, cache: ResourceCache, drain: Drain, metrics: Metrics) -> Self {
        Self { reports, cache, drain, metrics }
    }

    /// For a router.
    pub fn into_service(self) -> LoadReportingServiceServer<Self> {
        LoadReportingServiceServer::new(self).max_decoding_message_size(MAX_REPORT_BYTES)
    }
}

#[tonic::async_trait]
impl LoadReportingService for LoadReporting {
    type StreamLoadStatsStream = ReceiverStream<Result<LoadStatsResponse, Status>>;

    async fn stream_load_stats(
        &self,
        request: Request<Streaming<LoadStatsRequest>>,
    ) -> Result<Response<Self::StreamLoadStatsStream>, Status> {
        if self.reports.interval().is_zero() {
            return Err(Status::unimplemented(
                "this control server takes no load reports (--load-report-interval 0s)",
            ));
        }
        let (sender, receiver) = mpsc::channel(1);
        let stream = Stream {
            connection: Connection::of(&request),
            reporting: self.reports.begin(),
            interval: self.reports.interval(),
            cluster_names: self.reports.cluster_names.clone(),
            cache: self.cache.clone(),
            drain: self.drain.clone(),
            metrics: self.metrics.clone(),
            client: Client::default(),
            all: Names::default(),
            is_told_full: false,
        };
        tokio::spawn(stream.run(request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
