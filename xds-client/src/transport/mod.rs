//! How requests reach a control server and responses come back: [`AdsTransport`].
//!
//! [`GrpcTransport`] is the one for real servers; [`memory`] is for tests. The traits are open: anything that carries
//! [`AdsRequest`]s one way and [`AdsResponse`]s the other will do.
//!
//! A stream is two halves, so that a server that does not read never keeps a client from reading:
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
pub use grpc::{GrpcLoadReceiver, GrpcLoadSender, GrpcReceiver, GrpcSender, GrpcTransport};
pub use message::{AdsRequest, AdsResponse, Variant};
pub(crate) use stream::{Progress, Stream};

/// Opens streams to control servers: of ADS, and of load reports.
pub trait AdsTransport: Debug + Send + Sync + 'static {
    /// The way to the server.
    type Sender: RequestSender<AdsRequest>;
    /// The way back.
    type Receiver: ResponseReceiver<AdsResponse>;
    /// The way to the server, for load reports.
    type LoadSender: RequestSender<LoadStatsRequest>;
    /// The way back, for what is to be reported.
    type LoadReceiver: ResponseReceiver<LoadStatsResponse>;

    /// Connects, with the server's credentials, and opens an ADS stream of this variant. It ends when both halves are
    /// dropped. Requests of the other variant must not be sent on it.
    ///
    /// Resolves when requests can be sent; it must not wait for the server to answer, because servers answer requests.
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

/// The way to the server, for requests of type `M`.
pub trait RequestSender<M>: Send + 'static {
    /// Waits until a request can be sent. May be dropped and called again at any time.
    ///
    /// # Errors
    /// [`TransportError`] when nothing can be sent any more. Then [`ResponseReceiver::receive`] must end soon, and
    /// says why.
    fn ready(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Sends a request, after [`ready`](Self::ready). Never waits.
    fn send(&mut self, request: M);
}

/// The way back, for responses of type `M`.
pub trait ResponseReceiver<M>: Send + 'static {
    /// The next response; `None` when the server has ended the stream. May be dropped and called again at any time
    /// without losing one.
    ///
    /// # Errors
    /// [`TransportError`] when the stream has failed.
    fn receive(&mut self) -> impl Future<Output = Result<Option<M>, TransportError>> + Send;
}
