//! Load reports (LRS).

use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use super::stream::{Incoming, Outgoing};
use crate::transport::{RequestSender, ResponseReceiver, TransportError};

/// The sending half of a stream of load reports.
#[derive(Debug)]
pub struct GrpcLoadSender(pub(super) Outgoing<LoadStatsRequest>);

impl RequestSender<LoadStatsRequest> for GrpcLoadSender {
    async fn ready(&mut self) -> Result<(), TransportError> {
        self.0.ready().await
    }

    fn send(&mut self, request: LoadStatsRequest) {
        self.0.send(request);
    }
}

/// The receiving half of a stream of load reports.
#[derive(Debug)]
pub struct GrpcLoadReceiver(pub(super) Incoming<LoadStatsResponse>);

impl ResponseReceiver<LoadStatsResponse> for GrpcLoadReceiver {
    async fn receive(&mut self) -> Result<Option<LoadStatsResponse>, TransportError> {
        self.0.receive().await
    }
}
