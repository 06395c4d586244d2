//! One attempt to connect to a server: resolve, dial, TLS, HTTP/2.

mod dial;
mod http2;
mod peer_error;
mod target;
mod tls;

use mesh_core::runtime::connect::Tcp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::GrpcTransport;
use crate::certificate::Material;
use crate::transport::TransportError;

pub(super) use http2::Http2;
pub(super) use target::Target;

use target::Place;

/// Connects, with TLS if there is key material for it. Takes no longer in all than the settings allow.
///
/// # Errors
/// They do not name the target: the caller adds it.
pub(super) async fn connect(
    settings: &GrpcTransport,
    target: &Target,
    tls: Option<Material>,
) -> Result<Http2, TransportError> {
    match timeout(settings.connect_timeout, attempt(settings, target, tls)).await {
        Ok(connection) => connection,
        Err(_) => {
            let seconds = settings.connect_timeout.as_secs_f64();
            Err(TransportError::failed(format!("no connection within {seconds} s")))
        }
    }
}

async fn attempt(
    settings: &GrpcTransport,
    target: &Target,
    tls: Option<Material>,
) -> Result<Http2, TransportError> {
    let io = dial(&target.place).await?;
    let io = match tls {
        Some(material) => Box::new(tls::handshake(io, &target.host, material).await?),
        None => io,
    };
    Http2::handshake(io, settings).await
}

async fn dial(place: &Place) -> Result<Box<dyn Io>, TransportError> {
    let addresses = match place {
        Place::Name(host, port) => dial::resolve(&dial::System, host, *port).await?,
        Place::Addresses(addresses) => addresses.clone(),
        #[cfg(unix)]
        Place::Unix(path) => {
            return match tokio::net::UnixStream::connect(path).await {
                Ok(io) => Ok(Box::new(io)),
                Err(error) => Err(TransportError::failed(format!("{}: {error}", path.display()))),
            };
        }
        #[cfg(not(unix))]
        Place::Unix(_) => return Err(TransportError::failed("this system has no Unix sockets")),
    };
    Ok(Box::new(dial::race(&Tcp, addresses).await?))
}

/// A stream of bytes of any kind.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
