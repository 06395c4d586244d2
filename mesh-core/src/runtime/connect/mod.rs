//! Connections: how they are made, and how calls use them.
//!
//! [`Connect`] makes one attempt to one address; `policy::subchannel` decides on addresses, times and repetitions, and
//! `runtime::balance` runs the attempts. A [`Connection`] takes calls from any thread, without a queue or a task in between.
//!
//! Neither depends on the type of a request's body: one set of connections serves every protocol, and no body is boxed.

mod dial;
mod error;
mod http2;
mod memory;
mod proxy;
mod target;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::counters::CounterStore;

use super::ReplayRoom;

pub use dial::{BoxedIo, Dial, Io, Tcp};
pub use error::{
    BodyError, ConnectError, DisconnectReason, SendError, SendErrorKind, SendFailure, UnreadBody,
    UnreadRequest,
};
pub use http2::{
    Http2Body, Http2Call, Http2Connection, Http2Connector, Http2Place, Http2Settings, Keepalive,
    KeepaliveInterval, KeepaliveScope, Probe,
};
pub use memory::{InMemory, Incoming};
pub use target::{ConnectTarget, Security, TlsTarget, WireProtocol};

/// A request body that connections can send.
///
/// Implemented for every body of `Bytes` whose error converts to a boxed error.
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

/// Makes connections. Users and tests can implement it.
pub trait Connect: Debug + Send + Sync + 'static {
    /// The type of its connections.
    type Connection: Connection;

    /// One attempt to one address. A connector that cannot secure connections as [`ConnectTarget::security`] says has to fail:
    /// nothing above it looks whether a connection is plaintext. The caller chooses the order of addresses and keeps backoff, limits and timeouts;
    /// dropping the future cancels the attempt.
    fn connect(
        &self,
        target: &ConnectTarget,
    ) -> impl Future<Output = Result<Established<Self::Connection>, ConnectError>> + Send;

    /// A stream of bytes to one address, for health checks that do not speak HTTP/2. The default fails.
    fn open(&self, target: &ConnectTarget) -> impl Future<Output = Result<BoxedIo, ConnectError>> + Send {
        let address = target.address;
        async move { Err(ConnectError::new(address, "this connector opens no streams of bytes")) }
    }

    /// Counts what it does in this store of the mesh. Called once per mesh, before the first connection; the default counts
    /// nothing.
    fn count_in(&self, _counters: &Arc<CounterStore>) {}
}

/// A connection that has just been made.
#[non_exhaustive]
pub struct Established<T> {
    /// The connection.
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
    /// Room for one call, reserved before the call is sent; dropping it releases the room.
    type Place: Debug + Send + 'static;

    /// The body of a response. Dropping it before its end cancels the call.
    type ResponseBody: http_body::Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static;

    /// Resolves to the response head. Dropping it cancels the call.
    type Call<B: SendBody>: Future<Output = Result<http::Response<Self::ResponseBody>, SendFailure<B>>>
        + Send
        + Unpin
        + 'static;

    /// Reserves room for one call, if there is some now.
    fn reserve(&self) -> Reserve<Self::Place>;

    /// Waits for room; calls get it in the order in which they came. `None`: the connection has closed or drains.
    fn wait_for_place(&self) -> impl Future<Output = Option<Self::Place>> + Send + 'static;

    /// The protocol of a place's connection: HTTP/2, unless a connector speaks others, too.
    fn wire(_place: &Self::Place) -> WireProtocol {
        WireProtocol::Http2
    }

    /// Sends a call. The request's extensions are not sent. `room` limits the bytes of the request's body that are kept, so
    /// that a failure can return them. If it [keeps](ReplayRoom::keeps) nothing, the head is not kept either.
    fn send<B: SendBody>(place: Self::Place, request: http::Request<B>, room: ReplayRoom) -> Self::Call<B>;

    /// Whether it takes calls; `false`: it is closed or draining, and the call picks again.
    fn is_open(&self) -> bool;

    /// Whether a call on it got a response: then the endpoint works, even if the connection ended soon.
    fn has_served(&self) -> bool;
}

/// Whether a connection has room for a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reserve<P> {
    /// The room for one call.
    Place(P),
    /// The connection has as many calls as the endpoint allows at once.
    Full,
    /// The connection takes no more calls.
    Closed,
}
