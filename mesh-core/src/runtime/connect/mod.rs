//! Connections: how one is made, and what a call sees of it.
//!
//! [`Connect`] makes one attempt to one address; which address, when, and how often is decided by
//! `policy::subchannel` and driven by `runtime::balance`. A [`Connection`]
//! takes calls from any thread without a queue or a task in between.
//!
//! Neither knows the type of a request's body: one set of connections serves every protocol, and no body is boxed on
//! its way.

mod dial;
mod error;
mod http2;
mod memory;
mod target;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::ReplayRoom;

pub use dial::{BoxedIo, Dial, Io, Tcp};
pub use error::{
    BodyError, ConnectError, DisconnectReason, SendError, SendErrorKind, SendFailure, UnreadBody,
};
pub use http2::{
    Http2Body, Http2Call, Http2Connection, Http2Connector, Http2Place, Http2Settings, Keepalive,
    KeepaliveInterval, KeepaliveScope, Probe,
};
pub use memory::{InMemory, Incoming};
pub use target::{ConnectTarget, Security, WireProtocol};

/// A request body that connections can send.
///
/// Implemented for every body of `Bytes` whose error can be told.
pub trait SendBody:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> SendBody for B
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
}

/// Makes connections. Open for users and tests.
pub trait Connect: Debug + Send + Sync + 'static {
    /// What it makes.
    type Connection: Connection;

    /// One attempt to one address. The caller chooses the order of addresses and keeps backoff, limits and timeouts;
    /// dropping the future gives the attempt up.
    fn connect(
        &self,
        target: &ConnectTarget,
    ) -> impl Future<Output = Result<Established<Self::Connection>, ConnectError>> + Send;
}

/// A connection that has just been made.
#[non_exhaustive]
pub struct Established<T> {
    /// Takes calls.
    pub connection: T,
    /// Resolves when the connection can take no new call: GOAWAY, end of stream, error, keepalive timeout. Calls that
    /// run may still finish.
    pub closed: Pin<Box<dyn Future<Output = DisconnectReason> + Send>>,
}

impl<T> Established<T> {
    /// A connection, and the future that resolves when it can take no new call.
    pub fn new(connection: T, closed: impl Future<Output = DisconnectReason> + Send + 'static) -> Self {
        Self { connection, closed: Box::pin(closed) }
    }
}

impl<T: Debug> Debug for Established<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Established").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// A connection that takes calls: cheap to clone, shared by all threads. It is closed when the last clone is dropped
/// and the last call has ended.
pub trait Connection: Clone + Debug + Send + Sync + 'static {
    /// Room for one call, taken before the call is sent; dropping it gives the room back.
    type Place: Debug + Send + 'static;

    /// The body of a response. Dropping it before its end cancels the call.
    type ResponseBody: http_body::Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static;

    /// Resolves to the response head. Dropping it cancels the call.
    type Call<B: SendBody>: Future<Output = Result<http::Response<Self::ResponseBody>, SendFailure<B>>>
        + Send
        + Unpin
        + 'static;

    /// Takes room for one call, if there is some now.
    fn reserve(&self) -> Reserve<Self::Place>;

    /// Waits for room, first come, first served. `None`: the connection has closed or drains.
    fn wait_for_place(&self) -> impl Future<Output = Option<Self::Place>> + Send + 'static;

    /// Sends a call. The request's extensions do not travel. `room` bounds what may be kept of the request's body, so that
    /// a failure can give it back.
    fn send<B: SendBody>(place: Self::Place, request: http::Request<B>, room: ReplayRoom) -> Self::Call<B>;

    /// `false`: closed or draining; pick again.
    fn is_open(&self) -> bool;

    /// Whether a call on it has brought a response: the endpoint behind it works, even if the connection has not lasted.
    fn has_served(&self) -> bool;
}

/// Whether a connection has room for a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reserve<P> {
    /// It has, and this is it.
    Place(P),
    /// As many calls as the endpoint takes at once are running.
    Full,
    /// The connection takes no more calls.
    Closed,
}
