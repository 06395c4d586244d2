//! Connections: how one is made, and what a call sees of it.
//!
//! [`Connect`] makes one attempt to one address; which address, when, and how often is decided by
//! [`policy::subchannel`](crate::policy::subchannel) and driven by [`balance`](super::balance). A [`Connection`]
//! takes calls from any thread without a queue or a task in between.
//!
//! Everything is generic over the request body `B` that travels on connections, so that a body is never boxed on
//! its way, and over the connector, so that tests and benches plug in their own.

mod dial;
mod error;
mod http2;

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;

pub use dial::{Dial, Tcp};
pub use error::{BodyError, ConnectError, DisconnectReason, SendError, SendErrorKind, SendFailure};
pub use http2::{
    Http2Body, Http2Call, Http2Connection, Http2Connector, Http2RequestBody, Http2Settings, Keepalive,
    KeepaliveInterval, KeepaliveScope,
};

/// Makes connections. Open for users and tests.
pub trait Connect<B>: Debug + Send + Sync + 'static {
    /// What it makes.
    type Connection: Connection<B>;

    /// One attempt to one address. Whoever calls it sees to the order of addresses, backoff, limits and timeouts;
    /// dropping the future gives the attempt up.
    fn connect(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Established<Self::Connection>, ConnectError>> + Send;
}

/// A connection that has just been made.
pub struct Established<T> {
    /// Takes calls.
    pub connection: T,
    /// Resolves when the connection can take no new call: GOAWAY, end of stream, error, keepalive timeout. Calls that
    /// run may still finish.
    pub closed: Pin<Box<dyn Future<Output = DisconnectReason> + Send>>,
}

impl<T: Debug> Debug for Established<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Established").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// A connection that takes calls: cheap to clone, shared by all threads. It is closed when the last clone is dropped
/// and the last call has ended.
pub trait Connection<B>: Clone + Debug + Send + Sync + 'static {
    /// The body of a response. Dropping it before its end cancels the call.
    type ResponseBody: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static;

    /// Resolves to the response head. Dropping it cancels the call.
    type Future: Future<Output = Result<http::Response<Self::ResponseBody>, SendFailure<B>>> + Send + 'static;

    /// Sends a call.
    fn send(&self, request: http::Request<B>) -> Self::Future;

    /// `false`: closed or draining; pick again.
    fn is_open(&self) -> bool;
}
