//! The server's side of a handshake.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{HandshakeKind, ServerConnection};

use crate::config::{Name, ServerTls};
use crate::counters::CounterStore;
use crate::peer::TlsPeer;
use crate::runtime::connect::Io;

use super::check::VerifiedPeer;
use super::counts::{HandshakeCounts, Resumed, Side};
use super::material::unix_now;
use super::peer_watch::{OpenPeer, PeerWatch};
use super::server_config::PreparedServer;
use super::{HandshakeError, HandshakeResult, TlsStream, handshake};

/// Secures connections from clients. Clones share what they have prepared and the sessions that clients may resume.
///
/// Make one per server.
#[derive(Clone)]
pub struct Acceptor(Arc<AcceptorInner>);

struct AcceptorInner {
    handshake_timeout: Duration,
    protocols: Vec<Vec<u8>>,
    /// By the settings for which it was prepared; the last used at the end.
    prepared: Mutex<Vec<(Arc<ServerTls>, Arc<PreparedServer>)>>,
    counts: OnceLock<Arc<HandshakeCounts>>,
}

/// How an [`Acceptor`] secures connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcceptorSettings {
    /// How long a handshake may take, with the wait for key material; 10 s by default.
    pub handshake_timeout: Duration,
    /// The protocols that the server has, the preferred one first; HTTP/2 alone by default. A client that has none of them is
    /// refused.
    // TLS-26, H2
    pub protocols: Vec<ApplicationProtocol>,
}

impl Default for AcceptorSettings {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(10), protocols: vec![ApplicationProtocol::Http2] }
    }
}

/// A protocol on top of TLS (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApplicationProtocol {
    /// `h2`.
    Http2,
    /// `http/1.1`; also what a client speaks that names no protocol, if the server has it.
    Http1,
}

impl ApplicationProtocol {
    /// The name in ALPN.
    pub(super) fn id(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

/// A connection from a client that has been secured.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<I> {
    /// The byte stream.
    pub stream: TlsStream<I>,
    /// Who the client is.
    pub peer: TlsPeer,
    /// The protocol on the stream.
    pub protocol: ApplicationProtocol,
    /// For watching the client; `None`: it has shown no certificate.
    open_peer: Option<OpenPeer>,
}

impl<I> Accepted<I> {
    /// Watches the client from now on, as `acceptor` counts it.
    pub(in crate::runtime) fn watch(
        &mut self,
        grace: Option<Duration>,
        acceptor: &Acceptor,
    ) -> Option<PeerWatch> {
        self.open_peer.take().map(|peer| peer.watch(grace, &acceptor.0.counts))
    }
}

impl Acceptor {
    /// An acceptor with these settings.
    pub fn new(settings: AcceptorSettings) -> Self {
        let AcceptorSettings { handshake_timeout, protocols } = settings;
        let protocols = protocols.into_iter().map(|protocol| protocol.id().to_vec()).collect();
        Self(Arc::new(AcceptorInner {
            handshake_timeout,
            protocols,
            prepared: Mutex::default(),
            counts: OnceLock::new(),
        }))
    }

    /// The handshake on a new connection. Dropping the future ends it.
    ///
    /// # Errors
    /// The client or its certificate is refused, the handshake does not end in time, or the server's certificate provider has
    /// no material.
    pub async fn accept<I: Io>(&self, io: I, tls: &Arc<ServerTls>) -> Result<Accepted<I>, HandshakeError> {
        let accepted = self.secure(io, tls).await;
        let (result, resumed) = match &accepted {
            Ok((_, resumed)) => (HandshakeResult::Success, *resumed),
            Err(error) => (error.result(), Resumed::No),
        };
        if let Some(counts) = self.0.counts.get() {
            counts.count(result, resumed);
        }
        accepted.map(|(accepted, _)| accepted)
    }

    async fn secure<I: Io>(
        &self,
        io: I,
        tls: &Arc<ServerTls>,
    ) -> Result<(Accepted<I>, Resumed), HandshakeError> {
        let start = Instant::now();
        let deadline = start + self.0.handshake_timeout;
        let prepared = timeout_at(deadline, self.prepare(tls)).await;
        let prepared = prepared.map_err(|_| HandshakeError::timeout(self.0.handshake_timeout))??;
        let accept = TlsAcceptor::from(prepared.config.clone()).accept(io).into_fallible();
        let (stream, verified) = handshake::run(accept, (start, deadline), "client").await?;
        let connection = stream.get_ref().1;
        let resumed = match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Resumed::Yes,
            _ => Resumed::No,
        };
        let protocol = self.protocol(connection)?;
        let (peer, open_peer) = client(connection, &prepared, verified)?;
        Ok((Accepted { peer, protocol, open_peer, stream: TlsStream::new(stream) }, resumed))
    }

    /// Counts handshakes in this store from now on; a second store is ignored.
    pub fn count_in(&self, store: &Arc<CounterStore>) {
        _ = self.0.counts.set(Arc::new(HandshakeCounts::new(store, Side::Server)));
    }

    /// What handshakes with these settings use now.
    async fn prepare(&self, tls: &Arc<ServerTls>) -> Result<Arc<PreparedServer>, HandshakeError> {
        let last = self.find(tls);
        let prepared = PreparedServer::of(tls, &self.0.protocols, last).await?;
        let mut all = self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(settings, _)| !Arc::ptr_eq(settings, tls));
        if all.len() >= MAX_PREPARED {
            all.remove(0);
        }
        all.push((tls.clone(), prepared.clone()));
        Ok(prepared)
    }

    fn find(&self, tls: &Arc<ServerTls>) -> Option<Arc<PreparedServer>> {
        let all = self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(settings, _)| Arc::ptr_eq(settings, tls)).map(|(_, prepared)| prepared.clone())
    }

    // H2
    fn protocol(&self, connection: &ServerConnection) -> Result<ApplicationProtocol, HandshakeError> {
        let http1 = ApplicationProtocol::Http1;
        match connection.alpn_protocol() {
            Some(b"h2") => Ok(ApplicationProtocol::Http2),
            Some(_) => Ok(http1),
            None if self.0.protocols.iter().any(|protocol| protocol == http1.id()) => Ok(http1),
            None => Err(HandshakeError::new(
                HandshakeResult::NoApplicationProtocol,
                "the client names no application protocol (ALPN), and the server has only h2",
            )),
        }
    }
}

/// Who the client is, and what has accepted it.
fn client(
    connection: &ServerConnection,
    prepared: &PreparedServer,
    verified: Option<Arc<VerifiedPeer>>,
) -> Result<(TlsPeer, Option<OpenPeer>), HandshakeError> {
    let mut peer = TlsPeer::new();
    peer.server_name = connection.server_name().map(Name::from);
    let mut open_peer = None;
    let trusted = prepared.trust.as_ref().zip(prepared.chains.as_ref());
    if let Some((trust, chains)) = trusted
        && let Some(certificates @ [end_entity, rest @ ..]) = connection.peer_certificates()
    {
        // A resumed session: the certificate may have expired since.
        let verified = match verified {
            Some(verified) => verified,
            None => chains
                .verify(end_entity, rest, unix_now())
                .map_err(|refusal| HandshakeError::refused(&refusal, "client"))?,
        };
        peer.identity = Some(Arc::new(verified.identity()));
        open_peer = Some(OpenPeer::new(trust.clone(), chains.clone(), certificates, &verified));
    }
    Ok((peer, open_peer))
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("handshake_timeout", &self.0.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// More settings than the filter chains of any listener have.
const MAX_PREPARED: usize = 256;
