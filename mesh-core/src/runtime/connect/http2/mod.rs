//! HTTP/2 with prior knowledge, by the `h2` crate directly.
//!
//! A call costs no box, no queue and no change of task: its future is driven by the caller, and the connection's own
//! task only moves frames. A call waits inside the connection while the endpoint's limit of concurrent streams is
//! reached.
//!
//! ```text
//!   caller's task            connection's task
//!   Http2Call ---- frames --> Driver ----> socket
//!   Http2Body <--- frames --- Driver <---- socket
//! ```

mod body;
mod call;
mod connection;
mod driver;
mod error;
mod handshake;
mod io;
mod keepalive;
mod scanner;
mod settings;
#[cfg(test)]
mod tests;
mod upload;

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;

pub use body::Http2Body;
pub use call::Http2Call;
pub use connection::Http2Connection;
pub use settings::{Http2Settings, Keepalive, KeepaliveInterval, KeepaliveScope};

use super::{Connect, ConnectError, Dial, Established, Tcp};

/// Connects by HTTP/2, over plain TCP unless told otherwise.
///
/// A connection counts as made when the endpoint's SETTINGS have arrived: something that merely accepts is not
/// taken for an endpoint.
#[derive(Debug, Clone, Default)]
pub struct Http2Connector<D = Tcp> {
    dial: D,
    settings: Http2Settings,
}

impl<D> Http2Connector<D> {
    /// Connects over what `dial` opens.
    pub fn new(dial: D, settings: Http2Settings) -> Self {
        Self { dial, settings }
    }
}

/// A request body that HTTP/2 can send.
///
/// Implemented for every body of `Bytes` whose error can be told.
pub trait Http2RequestBody:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> Http2RequestBody for B
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
}

impl<B: Http2RequestBody, D: Dial> Connect<B> for Http2Connector<D> {
    type Connection = Http2Connection;

    async fn connect(&self, address: SocketAddr) -> Result<Established<Http2Connection>, ConnectError> {
        let stream = self.dial.dial(address).await.map_err(|error| ConnectError::new(address, error))?;
        handshake::handshake(stream, &self.settings).await.map_err(|error| ConnectError::new(address, error))
    }
}
