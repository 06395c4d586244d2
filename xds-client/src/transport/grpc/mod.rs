//! ADS and load reports over gRPC, with tonic.

mod ads;
mod authorization;
mod connect;
mod pool;
mod size_guard;
mod stream;
mod token;
mod workload;
#[cfg(test)]
mod workload_agent;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use tonic::Request;
use tonic::metadata::MetadataMap;
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;

use super::{AdsTransport, TransportError, Variant};
use crate::bootstrap::ServerConfig;
use crate::client::Options;

pub use ads::{GrpcReceiver, GrpcSender};
pub(crate) use authorization::GrpcAuthorization;
pub use stream::{GrpcLoadReceiver, GrpcLoadSender};
pub(crate) use workload::WorkloadStream;
#[cfg(test)]
pub(crate) use workload_agent::start_workload_agent;

use ads::{Requests, Responses};
use connect::Http2;
use pool::{Connection, Pool};
use size_guard::{Message, SizeGuard};
use stream::{Incoming, requests};

/// ADS and load reports over gRPC.
///
/// The streams of one server share a connection, which ends with the last of them. After an ADS stream has failed, or has
/// been dropped without a response, the next stream makes a new connection, to new addresses and with new files of
/// credentials. Clones share connections.
#[derive(Debug, Clone)]
pub struct GrpcTransport {
    max_message_size: usize,
    connect_timeout: Duration,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
    pool: Arc<Pool>,
}

impl GrpcTransport {
    /// A transport with the limits and timeouts of `options`.
    pub fn new(options: &Options) -> Self {
        Self {
            max_message_size: options.max_message_size,
            connect_timeout: options.connect_timeout,
            keepalive_interval: options.keepalive_interval,
            keepalive_timeout: options.keepalive_timeout,
            pool: Arc::default(),
        }
    }

    /// The connection and the credentials of a new stream with these messages.
    async fn stream_setup(
        &self,
        server: &ServerConfig,
        message: Message,
    ) -> Result<StreamSetup, TransportError> {
        let pooled = self.pool.server(server);
        let authorization = pooled.authorization(self).await?;
        let connection = pooled.connection(self).await?;
        let failure = Arc::new(Mutex::new(None));
        let guard = SizeGuard::new(connection.http2(), message, self.max_message_size, failure.clone());
        Ok(StreamSetup { connection, guard, failure, authorization })
    }
}

/// The connection and the credentials of a new stream.
struct StreamSetup {
    connection: Arc<Connection>,
    guard: SizeGuard<Http2>,
    failure: Failure,
    authorization: Vec<HeaderValue>,
}

impl AdsTransport for GrpcTransport {
    type Sender = GrpcSender;
    type Receiver = GrpcReceiver;
    type LoadSender = GrpcLoadSender;
    type LoadReceiver = GrpcLoadReceiver;

    async fn open(
        &self,
        server: &ServerConfig,
        variant: Variant,
    ) -> Result<(GrpcSender, GrpcReceiver), TransportError> {
        let StreamSetup { connection, guard, failure, authorization } =
            self.stream_setup(server, variant.into()).await?;
        let mut client = AggregatedDiscoveryServiceClient::with_origin(guard, connection.origin())
            .max_decoding_message_size(self.max_message_size);
        Ok(match variant {
            Variant::Sotw => {
                let (sender, requests) = requests();
                let call = authorized(requests, authorization);
                let head = Box::pin(async move { client.stream_aggregated_resources(call).await });
                let receiver = Incoming::new(head, failure, connection);
                (GrpcSender(Requests::Sotw(sender)), GrpcReceiver::new(Responses::Sotw(receiver)))
            }
            // TR-48
            Variant::Delta => {
                let (sender, requests) = requests();
                let call = authorized(requests, authorization);
                let head = Box::pin(async move { client.delta_aggregated_resources(call).await });
                let receiver = Incoming::new(head, failure, connection);
                (GrpcSender(Requests::Delta(sender)), GrpcReceiver::new(Responses::Delta(receiver)))
            }
        })
    }

    async fn open_load_report(
        &self,
        server: &ServerConfig,
    ) -> Result<(GrpcLoadSender, GrpcLoadReceiver), TransportError> {
        let StreamSetup { connection, guard, failure, authorization } =
            self.stream_setup(server, Message::LoadStats).await?;
        let mut client = LoadReportingServiceClient::with_origin(guard, connection.origin())
            .max_decoding_message_size(self.max_message_size);
        let (sender, requests) = requests();
        let call = authorized(requests, authorization);
        let head = Box::pin(async move { client.stream_load_stats(call).await });
        Ok((GrpcLoadSender(sender), GrpcLoadReceiver(Incoming::new(head, failure, connection))))
    }
}

/// BS-13: all credentials are sent.
fn authorized<R>(requests: R, authorization: Vec<HeaderValue>) -> Request<R> {
    let mut request = Request::new(requests);
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    for value in authorization {
        headers.append(AUTHORIZATION, value);
    }
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request
}

/// The error of a guard that has ended a stream.
type Failure = Arc<Mutex<Option<TransportError>>>;
