//! From an address to a stream of bytes.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Opens a stream of bytes to an address. Open for users and tests: a proxy, a socket with special options, a pipe in
/// memory.
pub trait Dial: Debug + Send + Sync + 'static {
    /// The stream.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// One attempt. Dropping the future gives it up.
    fn dial(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Plain TCP, without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    type Io = TcpStream;

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
