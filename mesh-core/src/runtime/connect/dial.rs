//! From an address to a stream of bytes.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::ConnectTarget;

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// A stream of bytes of any type.
pub type BoxedIo = Box<dyn Io>;

/// Opens a stream of bytes to an endpoint. Open for users and tests: a proxy, a Unix socket, a socket with special
/// options, a pipe in memory.
pub trait Dial: Debug + Send + Sync + 'static {
    /// The stream.
    type Io: Io;

    /// One attempt. Dropping the future gives it up.
    fn dial(&self, target: &ConnectTarget) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Plain TCP, without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    type Io = TcpStream;

    async fn dial(&self, target: &ConnectTarget) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A [`Dial`] of any type: one box per connection.
pub(super) trait AnyDial: Debug + Send + Sync {
    fn dial_boxed<'a>(
        &'a self,
        target: &'a ConnectTarget,
    ) -> Pin<Box<dyn Future<Output = io::Result<BoxedIo>> + Send + 'a>>;
}

impl<D: Dial> AnyDial for D {
    fn dial_boxed<'a>(
        &'a self,
        target: &'a ConnectTarget,
    ) -> Pin<Box<dyn Future<Output = io::Result<BoxedIo>> + Send + 'a>> {
        Box::pin(async move { Ok(Box::new(self.dial(target).await?) as BoxedIo) })
    }
}
