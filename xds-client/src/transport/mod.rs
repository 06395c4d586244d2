//! How requests reach a control server and responses come back: [`AdsTransport`].
//!
//! [`GrpcTransport`] is the one for real servers; [`memory`] is for tests. The traits are open: anything that carries
//! `DiscoveryRequest`s one way and `DiscoveryResponse`s the other will do.
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

use std::fmt::Debug;
use std::future::Future;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use crate::bootstrap::ServerConfig;

pub use error::TransportError;
pub use grpc::{GrpcReceiver, GrpcSender, GrpcTransport};

/// Opens ADS streams.
pub trait AdsTransport: Debug + Send + Sync + 'static {
    /// The way to the server.
    type Sender: RequestSender;
    /// The way back.
    type Receiver: ResponseReceiver;

    /// Connects, with the server's credentials, and opens a stream. It ends when both halves are dropped.
    ///
    /// Resolves when requests can be sent; it must not wait for the server to answer, because servers answer requests.
    fn open(
        &self,
        server: &ServerConfig,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Receiver), TransportError>> + Send;
}

/// The way to the server.
pub trait RequestSender: Send + 'static {
    /// Waits until a request can be sent. May be dropped and called again at any time.
    ///
    /// # Errors
    /// [`TransportError`] when nothing can be sent any more. Then [`ResponseReceiver::receive`] must end soon, and
    /// says why.
    fn ready(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Sends a request, after [`ready`](Self::ready). Never waits.
    fn send(&mut self, request: DiscoveryRequest);
}

/// The way back.
pub trait ResponseReceiver: Send + 'static {
    /// The next response; `None` when the server has ended the stream. May be dropped and called again at any time
    /// without losing one.
    ///
    /// # Errors
    /// [`TransportError`] when the stream has failed.
    fn receive(&mut self) -> impl Future<Output = Result<Option<DiscoveryResponse>, TransportError>> + Send;
}
