//! ADS and load reports over gRPC, with tonic.

mod ads;
mod channel;
mod load_report;
mod pool;
mod size_guard;
mod stream;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use tonic::transport::Channel;

use super::{AdsTransport, TransportError, Variant};
use crate::bootstrap::ServerConfig;
use crate::client::Options;

pub use ads::{GrpcReceiver, GrpcSender};
pub use load_report::{GrpcLoadReceiver, GrpcLoadSender};

use ads::{Requests, Responses};
use pool::{Connection, Pool};
use size_guard::{Message, SizeGuard};
use stream::{Incoming, requests};

/// ADS and load reports over gRPC.
///
/// The streams of one server share a connection, which ends with the last of them. After an ADS stream has failed, the
/// next stream makes a new connection, so that it sees new addresses and new files of credentials. Clones share
/// connections.
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

    fn guarded(&self, connection: &Connection, message: Message) -> (SizeGuard<Channel>, Failure) {
        let failure = Arc::new(Mutex::new(None));
        let guard = SizeGuard::new(connection.channel(), message, self.max_message_size, failure.clone());
        (guard, failure)
    }
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
        let connection = self.pool.connection(self, server).await?;
        let (guard, failure) = self.guarded(&connection, variant.into());
        let mut client =
            AggregatedDiscoveryServiceClient::new(guard).max_decoding_message_size(self.max_message_size);
        Ok(match variant {
            Variant::Sotw => {
                let (sender, requests) = requests();
                let head = Box::pin(async move { client.stream_aggregated_resources(requests).await });
                let receiver = Incoming::new(head, failure, connection);
                (GrpcSender(Requests::Sotw(sender)), GrpcReceiver(Responses::Sotw(receiver)))
            }
            // TR-48
            Variant::Delta => {
                let (sender, requests) = requests();
                let head = Box::pin(async move { client.delta_aggregated_resources(requests).await });
                let receiver = Incoming::new(head, failure, connection);
                (GrpcSender(Requests::Delta(sender)), GrpcReceiver(Responses::Delta(receiver)))
            }
        })
    }

    async fn open_load_report(
        &self,
        server: &ServerConfig,
    ) -> Result<(GrpcLoadSender, GrpcLoadReceiver), TransportError> {
        let connection = self.pool.connection(self, server).await?;
        let (guard, failure) = self.guarded(&connection, Message::LoadStats);
        let mut client =
            LoadReportingServiceClient::new(guard).max_decoding_message_size(self.max_message_size);
        let (sender, requests) = requests();
        let head = Box::pin(async move { client.stream_load_stats(requests).await });
        Ok((GrpcLoadSender(sender), GrpcLoadReceiver(Incoming::new(head, failure, connection))))
    }
}

/// Why a guard has ended a stream.
type Failure = Arc<Mutex<Option<TransportError>>>;
