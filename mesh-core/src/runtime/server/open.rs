//! From an accepted socket to a connection that speaks HTTP: filter chain, TLS, and the first bytes of the protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::peer::Peer;
use crate::policy::filter_chain::Spoken;
use crate::policy::first_bytes::{FirstBytes, LONGEST, classify};
use crate::runtime::tls::{ApplicationProtocol, HandshakeError, PeerWatch};

use super::ServerConnection;
use super::generation::{Drain, Generation};
use super::replay::Replay;
use super::state::{Counted, Shared};
use super::transport::Transport;

/// A connection that is ready for calls.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) io: Transport,
    pub(super) protocol: ApplicationProtocol,
    pub(super) connection: ServerConnection,
    pub(super) drain: watch::Receiver<Drain>,
    /// `None`: the client has shown no certificate.
    pub(super) watched: Option<PeerWatch>,
    pub(super) counted: Counted,
}

/// Why a connection was closed before its first call. No byte was sent, unless it was part of a TLS handshake.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the client did not speak in time")]
    Timeout,
    #[error("no filter chain takes the connection")]
    NoChain,
    #[error("the client speaks no protocol that the server has")]
    Protocol,
    #[error("the client closed the connection")]
    Closed,
    #[error("the TLS handshake failed")]
    Tls(#[from] HandshakeError),
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Opens a connection. `has_spoken` is set when the client has sent something.
pub(super) async fn open(
    stream: TcpStream,
    source: SocketAddr,
    generation: &Generation,
    has_spoken: &AtomicBool,
    shared: &Arc<Shared>,
) -> Result<Opened, OpenError> {
    let drain = generation.watch_drain();
    let local = stream.local_addr()?;
    stream.set_nodelay(true)?;
    let mut io = Replay::new(stream);
    let spoken = in_time(shared, async {
        more(&mut io).await?;
        has_spoken.store(true, Ordering::Relaxed);
        match generation.looks_at_first_bytes() {
            true => listen(&mut io, shared).await.map(Some),
            false => Ok(None),
        }
    });
    let spoken = spoken.await?;
    let chain = generation.chain((source, local, shared.address), spoken).ok_or(OpenError::NoChain)?;
    let mut peer = Peer::new(source, local);
    let mut watched = None;
    let (io, protocol) = match &chain.config.tls {
        None => {
            let (io, protocol) = in_time(shared, begin(io, shared)).await?;
            (Transport::Plain(io), protocol)
        }
        // its limit is the acceptor's own, which counts the result of the handshake
        Some(tls) => {
            let mut accepted = shared.tls.accept(io, tls).await?;
            watched = accepted.watch(shared.settings.expired_peer_grace, &shared.tls);
            peer = peer.with_tls(accepted.peer);
            let (io, protocol) = in_time(shared, begin(Replay::new(accepted.stream), shared)).await?;
            if protocol != accepted.protocol {
                return Err(OpenError::Protocol);
            }
            (Transport::Tls(Box::new(io)), protocol)
        }
    };
    let connection = ServerConnection::new(chain, peer, shared.clone());
    Ok(Opened { io, protocol, connection, drain, watched, counted: shared.count() })
}

/// A part of the way that a silent client cannot make longer than the limit (H3, M1).
async fn in_time<T>(
    shared: &Shared,
    part: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    timeout(shared.settings.handshake_timeout, part).await.unwrap_or(Err(OpenError::Timeout))
}

/// What the client speaks. The bytes that were looked at are read again by the next reader.
async fn listen(io: &mut Replay<TcpStream>, shared: &Shared) -> Result<Spoken, OpenError> {
    loop {
        match classify(io.seen()) {
            FirstBytes::Tls => return Ok(Spoken::Tls),
            FirstBytes::Http2 => return Ok(Spoken::Plaintext),
            FirstBytes::Other if shared.takes_http1(io.seen()) => return Ok(Spoken::Plaintext),
            FirstBytes::Other => return Err(OpenError::Protocol),
            FirstBytes::Incomplete => more(io).await?,
        }
    }
}

/// Waits for the preface of HTTP/2 or the first byte of HTTP/1.1, so that no client holds more than a place among pending
/// handshakes without it.
async fn begin<I: AsyncRead + Unpin>(
    mut io: Replay<I>,
    shared: &Shared,
) -> Result<(Replay<I>, ApplicationProtocol), OpenError> {
    loop {
        match classify(io.seen()) {
            FirstBytes::Http2 => return Ok((io, ApplicationProtocol::Http2)),
            FirstBytes::Other if shared.takes_http1(io.seen()) => {
                return Ok((io, ApplicationProtocol::Http1));
            }
            FirstBytes::Tls | FirstBytes::Other => return Err(OpenError::Protocol),
            FirstBytes::Incomplete => more(&mut io).await?,
        }
    }
}

async fn more<I: AsyncRead + Unpin>(io: &mut Replay<I>) -> Result<(), OpenError> {
    match io.look(LONGEST).await? {
        0 => Err(OpenError::Closed),
        _ => Ok(()),
    }
}
