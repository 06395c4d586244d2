//! Streams to control servers: [`AdsTransport`].
//!
//! [`GrpcTransport`] is for real servers, [`memory`] for tests. The traits are open: any transport can implement them
//! that sends [`AdsRequest`]s and receives [`AdsResponse`]s.
//!
//! A stream has two halves, so that a server that does not read never keeps a client from reading:
//!
//! ```text
//! open ──▶ (RequestSender, ResponseReceiver)
//!               ready, send      receive ──▶ response .. ──▶ end or error
//! ```

mod error;
mod grpc;
pub mod memory;
mod message;
mod stream;

use std::fmt::Debug;
use std::future::Future;

use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use crate::bootstrap::ServerConfig;

pub use error::TransportError;
#[cfg(test)]
pub(crate) use grpc::start_workload_agent;
pub(crate) use grpc::{GrpcAuthorization, WorkloadStream};
pub use grpc::{GrpcLoadReceiver, GrpcLoadSender, GrpcReceiver, GrpcSender, GrpcTransport};
pub use message::{AdsRequest, AdsResponse, Variant};
pub(crate) use stream::{Progress, Stream};

/// Opens streams to control servers: of ADS, and of load reports.
pub trait AdsTransport: Debug + Send + Sync + 'static {
    /// The sending half of an ADS stream.
    type Sender: RequestSender<AdsRequest>;
    /// The receiving half of an ADS stream.
    type Receiver: ResponseReceiver<AdsResponse>;
    /// The sending half of a stream of load reports.
    type LoadSender: RequestSender<LoadStatsRequest>;
    /// The receiving half of a stream of load reports.
    type LoadReceiver: ResponseReceiver<LoadStatsResponse>;

    /// Connects, with the server's credentials, and opens an ADS stream of this variant. It ends when both halves are
    /// dropped. Requests of the other variant must not be sent on it.
    ///
    /// Resolves when requests can be sent; it must not wait for a response, because servers answer only requests.
    fn open(
        &self,
        server: &ServerConfig,
        variant: Variant,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), TransportError>> + Send;

    /// Opens a stream of load reports (LRS), on the connection of the server's ADS stream if there is one. It ends
    /// when both halves are dropped, and resolves like [`open`](Self::open).
    fn open_load_report(
        &self,
        server: &ServerConfig,
    ) -> impl Future<Output = Result<(Self::LoadSender, Self::LoadReceiver), TransportError>> + Send;
}

/// The sending half of a stream, for requests of type `M`.
pub trait RequestSender<M>: Send + 'static {
    /// Waits until a request can be sent. Cancel-safe.
    ///
    /// # Errors
    /// [`TransportError`] when nothing can be sent any more. Then [`ResponseReceiver::receive`] must end soon, and
    /// returns the reason.
    fn ready(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Sends a request, after [`ready`](Self::ready). Never waits.
    fn send(&mut self, request: M);
}

/// The receiving half of a stream, for responses of type `M`.
pub trait ResponseReceiver<M>: Send + 'static {
    /// The next response; `None` when the server has ended the stream. Cancel-safe: a dropped wait loses no
    /// response.
    ///
    /// # Errors
    /// [`TransportError`] when the stream has failed.
    fn receive(&mut self) -> impl Future<Output = Result<Option<M>, TransportError>> + Send;
}
