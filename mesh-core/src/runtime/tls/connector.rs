//! The client's side of a handshake.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::counters::CounterStore;
use crate::runtime::connect::{Io, TlsTarget};

use super::client_config::PreparedClient;
use super::counts::{HandshakeCounts, Resumed, Side};
use super::material::unix_now;
use super::peer_watch::{OpenPeer, PeerWatch};
use super::{HandshakeError, HandshakeResult, TlsStream, handshake};

/// Secures connections to endpoints. One for all connections of a mesh, so that sessions can be resumed.
#[derive(Default)]
pub(crate) struct Connector {
    prepared: Mutex<Prepared>,
    counts: OnceLock<Arc<HandshakeCounts>>,
}

type Prepared = HashMap<Arc<TlsTarget>, Arc<PreparedClient>>;

/// A connection to an endpoint that has been secured. The endpoint may still refuse the client's certificate: with TLS 1.3 it
/// says so in its first message.
#[derive(Debug)]
pub(crate) struct Secured<I> {
    pub(crate) stream: TlsStream<I>,
    resumed: Resumed,
    /// For watching the endpoint.
    open_peer: Option<OpenPeer>,
}

impl Connector {
    /// Counts the handshakes in this store from now on.
    pub(in crate::runtime) fn count_in(&self, store: &Arc<CounterStore>) {
        // A second mesh with the same connector counts in the first one's store.
        _ = self.counts.set(Arc::new(HandshakeCounts::new(store, Side::Client)));
    }

    /// The handshake on a new connection; dropping the future ends it. It ends at the deadline, or after ten seconds.
    pub(crate) async fn connect<I: Io>(
        &self,
        io: I,
        target: &Arc<TlsTarget>,
        address: SocketAddr,
        deadline: Option<Instant>,
    ) -> Result<Secured<I>, HandshakeError> {
        let start = Instant::now();
        let latest = start + MAX_TIME;
        let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
        let secured = match timeout_at(deadline, self.prepare(target)).await {
            Ok(Ok(prepared)) => secure(io, &prepared, address, (start, deadline)).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(HandshakeError::timeout(deadline - start)),
        };
        secured.inspect_err(|error| self.count(error.result(), Resumed::No))
    }

    /// The connection has ended before the endpoint's first message, or works: `Ok`. Counts the handshake, and returns the
    /// endpoint's refusal if that was the reason.
    // H1
    pub(in crate::runtime) fn conclude(
        &self,
        resumed: Resumed,
        refusal: &OnceLock<HandshakeError>,
        works: bool,
    ) -> Option<HandshakeError> {
        let refusal = refusal.get().filter(|_| !works).cloned();
        self.count(refusal.as_ref().map_or(HandshakeResult::Success, HandshakeError::result), resumed);
        refusal
    }

    /// Watches the endpoint of a connection from now on.
    pub(in crate::runtime) fn watch<I>(
        &self,
        secured: &mut Secured<I>,
        grace: Option<Duration>,
    ) -> Option<PeerWatch> {
        secured.open_peer.take().map(|peer| peer.watch(grace, &self.counts))
    }

    fn count(&self, result: HandshakeResult, resumed: Resumed) {
        if let Some(counts) = self.counts.get() {
            counts.count(result, resumed);
        }
    }

    /// What handshakes with this target use now.
    async fn prepare(&self, target: &Arc<TlsTarget>) -> Result<Arc<PreparedClient>, HandshakeError> {
        let last = self.lock().get(target).cloned();
        let prepared = PreparedClient::of(target, last.clone()).await?;
        if last.is_none_or(|last| !Arc::ptr_eq(&last, &prepared)) {
            let mut all = self.lock();
            if all.len() >= MAX_PREPARED {
                all.clear();
            }
            all.insert(target.clone(), prepared.clone());
        }
        Ok(prepared)
    }

    fn lock(&self) -> MutexGuard<'_, Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn secure<I: Io>(
    io: I,
    prepared: &PreparedClient,
    address: SocketAddr,
    (start, deadline): (Instant, Instant),
) -> Result<Secured<I>, HandshakeError> {
    let name = match &prepared.sent {
        Some(name) => ServerName::DnsName(name.clone()),
        // Not sent, and not checked: sessions are kept by it.
        None => ServerName::IpAddress(address.ip().into()),
    };
    let connect = TlsConnector::from(prepared.config.clone()).connect(name, io).into_fallible();
    let (stream, verified) = handshake::run(connect, (start, deadline), "server").await?;
    let connection = stream.get_ref().1;
    // H2
    if connection.alpn_protocol() != Some(b"h2") {
        let text = "the server has chosen no application protocol (ALPN); it must be h2";
        return Err(HandshakeError::new(HandshakeResult::NoApplicationProtocol, text));
    }
    let resumed = match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => Resumed::Yes,
        _ => Resumed::No,
    };
    let mut open_peer = None;
    if let Some(certificates @ [end_entity, rest @ ..]) = connection.peer_certificates() {
        let verified = match verified {
            Some(verified) => verified,
            // A resumed session: the certificate may have expired since.
            None => prepared
                .chains
                .verify(end_entity, rest, unix_now())
                .map_err(|refusal| HandshakeError::refused(&refusal, "server"))?,
        };
        let (trust, chains) = (prepared.trust.clone(), prepared.chains.clone());
        open_peer = Some(OpenPeer::new(trust, chains, certificates, &verified));
    }
    Ok(Secured { stream: TlsStream::new(stream), resumed, open_peer })
}

impl<I> Secured<I> {
    /// Whether a session was resumed.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed == Resumed::Yes
    }

    /// Whether a session was resumed.
    pub(in crate::runtime) fn resumed(&self) -> Resumed {
        self.resumed
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("prepared", &self.lock().len()).finish_non_exhaustive()
    }
}

const MAX_TIME: Duration = Duration::from_secs(10);
/// More than clusters and hostnames that one process reaches by TLS.
const MAX_PREPARED: usize = 16_384;
