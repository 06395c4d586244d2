//! ADS, in both variants.

use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use super::pool::Connection;
use super::stream::{Incoming, Outgoing};
use crate::transport::{AdsRequest, AdsResponse, RequestSender, ResponseReceiver, TransportError};

/// The sending half of an ADS stream.
#[derive(Debug)]
pub struct GrpcSender(pub(super) Requests);

#[derive(Debug)]
pub(super) enum Requests {
    Sotw(Outgoing<DiscoveryRequest>),
    Delta(Outgoing<DeltaDiscoveryRequest>),
}

impl RequestSender<AdsRequest> for GrpcSender {
    async fn ready(&mut self) -> Result<(), TransportError> {
        match &self.0 {
            Requests::Sotw(requests) => requests.ready().await,
            Requests::Delta(requests) => requests.ready().await,
        }
    }

    fn send(&mut self, request: AdsRequest) {
        match (&self.0, request) {
            (Requests::Sotw(requests), AdsRequest::Sotw(request)) => requests.send(request),
            (Requests::Delta(requests), AdsRequest::Delta(request)) => requests.send(request),
            (_, request) => {
                let type_url = request.type_url();
                tracing::error!(type_url, "a request of another variant than its ADS stream is not sent");
            }
        }
    }
}

/// The receiving half of an ADS stream.
///
/// If it is dropped without a response, it retires its connection: the next stream to a silent server makes another
/// one.
#[derive(Debug)]
pub struct GrpcReceiver {
    responses: Responses,
    heard: bool,
}

#[derive(Debug)]
pub(super) enum Responses {
    Sotw(Incoming<DiscoveryResponse>),
    Delta(Incoming<DeltaDiscoveryResponse>),
}

impl Responses {
    fn connection(&self) -> &Connection {
        match self {
            Self::Sotw(stream) => stream.connection(),
            Self::Delta(stream) => stream.connection(),
        }
    }
}

impl GrpcReceiver {
    pub(super) fn new(responses: Responses) -> Self {
        Self { responses, heard: false }
    }
}

impl Drop for GrpcReceiver {
    fn drop(&mut self) {
        if !self.heard {
            self.responses.connection().retire();
        }
    }
}

impl ResponseReceiver<AdsResponse> for GrpcReceiver {
    async fn receive(&mut self) -> Result<Option<AdsResponse>, TransportError> {
        let received = match &mut self.responses {
            Responses::Sotw(stream) => stream.receive().await.map(|response| response.map(AdsResponse::Sotw)),
            Responses::Delta(stream) => {
                stream.receive().await.map(|response| response.map(AdsResponse::Delta))
            }
        };
        match &received {
            Ok(response) => self.heard |= response.is_some(),
            Err(_) => self.responses.connection().retire(),
        }
        received
    }
}
