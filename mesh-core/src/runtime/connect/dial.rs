//! Dialers: open a byte stream to an address.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use crate::config;

use super::ConnectTarget;

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// A stream of bytes of any type.
pub type BoxedIo = Box<dyn Io>;

/// Opens a byte stream to an endpoint. Users and tests implement it for a proxy, a Unix socket, a socket with special
/// options, or a pipe in memory.
pub trait Dial: Debug + Send + Sync + 'static {
    /// The stream.
    type Io: Io;

    /// One attempt. Dropping the future cancels it.
    fn dial(&self, target: &ConnectTarget) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Plain TCP, without Nagle's delay; with the local address and the keepalive probes of the cluster's settings, if any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    type Io = TcpStream;

    async fn dial(&self, target: &ConnectTarget) -> io::Result<TcpStream> {
        let address = target.address;
        let stream = match target.connection.local_address {
            None => TcpStream::connect(address).await?,
            Some(local) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                let bound = socket.bind(local);
                bound.map_err(|error| io::Error::new(error.kind(), format!("bind to {local}: {error}")))?;
                socket.connect(address).await?
            }
        };
        stream.set_nodelay(true)?;
        if let Some(probes) = &target.connection.tcp_keepalive {
            SockRef::from(&stream).set_tcp_keepalive(&keepalive(probes))?;
        }
        Ok(stream)
    }
}

/// `None` leaves a value to the operating system.
fn keepalive(probes: &config::TcpKeepalive) -> TcpKeepalive {
    let mut keepalive = TcpKeepalive::new();
    if let Some(time) = probes.time {
        keepalive = keepalive.with_time(time);
    }
    if let Some(interval) = probes.interval {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(probes) = probes.probes {
        keepalive = keepalive.with_retries(probes.get());
    }
    keepalive
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
