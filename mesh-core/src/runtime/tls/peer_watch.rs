//! Ends connections whose peer is not accepted any more.
//!
//! ```text
//!   accepted ──▶ no more calls, when the first certificate of the peer's chain expires ──▶ cut, after the grace
//!      └──────────────────────┴──▶ cut at once, when other roots or revocation lists do not accept the chain
//! ```

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

use crate::certificate::{Published, UtcTime};

use super::check::VerifiedPeer;
use super::counts::HandshakeCounts;
use super::material::{self, unix_now};
use super::trust::Trust;
use super::verified::VerifiedChains;
use super::{HandshakeError, HandshakeResult};

/// The peer of an open connection that has shown a certificate, and what accepted it.
pub(in crate::runtime) struct OpenPeer {
    trust: Arc<Trust>,
    /// What has accepted the peer last.
    chains: Arc<VerifiedChains>,
    certificates: Vec<CertificateDer<'static>>,
    /// When the chain is not accepted any more, in seconds since 1970, if the roots stay.
    not_after: i64,
    has_expired: bool,
}

/// Why a peer is not accepted any more.
#[derive(Debug)]
enum Withdrawal {
    /// A certificate of its chain has expired.
    Expired(HandshakeError),
    /// The roots or revocation lists of now do not accept it.
    Refused(HandshakeError),
}

impl OpenPeer {
    pub(super) fn new(
        trust: Arc<Trust>,
        chains: Arc<VerifiedChains>,
        certificates: &[CertificateDer<'_>],
        verified: &VerifiedPeer,
    ) -> Self {
        let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Self { trust, chains, certificates, not_after: verified.not_after, has_expired: false }
    }

    /// Watches the peer in a task of its own, which ends with the returned value. After an expiry the connection is cut when
    /// `grace` is over; `None`: its calls may take as long as they like.
    pub(super) fn watch(self, grace: Option<Duration>, counts: &OnceLock<Arc<HandshakeCounts>>) -> PeerWatch {
        let (expire, on_expiry) = oneshot::channel();
        let (refuse, on_refusal) = oneshot::channel();
        let counts = counts.get().cloned();
        let task = tokio::spawn(self.run(grace, counts, expire, refuse));
        PeerWatch { expired: Some(on_expiry), refused: Some(on_refusal), task: task.abort_handle() }
    }

    async fn run(
        mut self,
        grace: Option<Duration>,
        counts: Option<Arc<HandshakeCounts>>,
        expire: oneshot::Sender<()>,
        refuse: oneshot::Sender<HandshakeError>,
    ) {
        let count = |error: &HandshakeError| {
            counts.iter().for_each(|counts| counts.count_ended(error.result()));
        };
        let expired = match self.withdrawn().await {
            Withdrawal::Expired(error) => error,
            Withdrawal::Refused(error) => {
                tracing::warn!(%error, "connection ended at once");
                count(&error);
                _ = refuse.send(error);
                return;
            }
        };
        tracing::info!(error = %expired, "connection takes no more calls");
        count(&expired);
        _ = expire.send(());
        let cut = async {
            match grace {
                Some(grace) => sleep(grace).await,
                None => std::future::pending().await,
            }
        };
        let error = tokio::select! {
            () = cut => expired,
            withdrawn = self.withdrawn() => match withdrawn {
                Withdrawal::Expired(error) | Withdrawal::Refused(error) => error,
            },
        };
        tracing::warn!(%error, "connection ended");
        _ = refuse.send(error);
    }

    /// Resolves when the peer is not accepted any more; first at its expiry, and later if it is refused for another reason.
    // V4
    async fn withdrawn(&mut self) -> Withdrawal {
        let source = self.trust.source().clone();
        loop {
            let published = material::latest(&source).await;
            if let Err(error) = self.check(&published) {
                return Withdrawal::Refused(error);
            }
            let (now, end) = (material::now(), self.not_after);
            if now > end && !self.has_expired {
                match self.verify(&self.chains, unix_now()) {
                    // by another path to a root
                    Ok(peer) => self.not_after = peer.not_after,
                    Err(error) => {
                        self.has_expired = true;
                        return Withdrawal::Expired(error);
                    }
                }
                continue;
            }
            // R3: the timer's clock may stand still while the process sleeps, and the certificates' clock may be set
            let left = Duration::from_secs(u64::try_from(end - now).unwrap_or_default() + 1);
            let expiry = async {
                match self.has_expired {
                    true => std::future::pending().await,
                    false => sleep(left.min(LONGEST_SLEEP)).await,
                }
            };
            tokio::select! {
                _ = source.after(published.number) => {}
                () = expiry => {}
            }
        }
    }

    /// Checks the chain if there are other roots, as of its expiry if it has expired.
    fn check(&mut self, published: &Published) -> Result<(), HandshakeError> {
        // An error instead of roots accepts no new peer and withdraws no old one.
        let Ok(roots) = &published.material.roots else { return Ok(()) };
        let Ok(chains) = self.trust.by(roots) else { return Ok(()) };
        if Arc::ptr_eq(&chains, &self.chains) {
            return Ok(());
        }
        let now = if self.has_expired { material::time(self.not_after) } else { unix_now() };
        match self.verify(&chains, now) {
            Ok(peer) => self.not_after = peer.not_after,
            // An expiry, which lets running calls go on.
            Err(error) if error.result() == HandshakeResult::CertificateExpired && !self.has_expired => {
                self.not_after = self.not_after.min(material::now() - 1);
            }
            Err(error) => return Err(error),
        }
        self.chains = chains;
        Ok(())
    }

    fn verify(&self, chains: &VerifiedChains, now: UnixTime) -> Result<Arc<VerifiedPeer>, HandshakeError> {
        let role = self.trust.role().name();
        match self.certificates.split_first() {
            Some((end_entity, rest)) => chains
                .verify(end_entity, rest, now)
                .map_err(|refusal| HandshakeError::refused(&refusal, role)),
            None => Err(HandshakeError::new(HandshakeResult::UnknownFailure, "there is no certificate")),
        }
    }
}

/// Tells a connection when its peer is not accepted any more. Dropping it ends the watch.
#[derive(Debug)]
pub(in crate::runtime) struct PeerWatch {
    /// Until it has expired.
    expired: Option<oneshot::Receiver<()>>,
    /// Until it is refused.
    refused: Option<oneshot::Receiver<HandshakeError>>,
    task: AbortHandle,
}

/// What happens to a connection whose peer is not accepted any more.
#[derive(Debug)]
pub(in crate::runtime) enum PeerEnd {
    /// It takes no more calls; those that run go on.
    TakeNoMore,
    /// It is closed, whatever runs.
    Cut(HandshakeError),
}

impl PeerWatch {
    /// What happens next; pending while the peer is accepted.
    pub(in crate::runtime) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<PeerEnd> {
        if let Some(error) = poll_once(&mut self.refused, cx) {
            return Poll::Ready(PeerEnd::Cut(error));
        }
        match poll_once(&mut self.expired, cx) {
            Some(()) => Poll::Ready(PeerEnd::TakeNoMore),
            None => Poll::Pending,
        }
    }
}

/// The value of a channel when it has come; the channel is polled no more then.
fn poll_once<T>(channel: &mut Option<oneshot::Receiver<T>>, cx: &mut Context<'_>) -> Option<T> {
    let Poll::Ready(value) = channel.as_mut()?.poll_unpin(cx) else { return None };
    *channel = None;
    value.ok()
}

impl Drop for PeerWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for OpenPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenPeer").field("not_after", &UtcTime(self.not_after)).finish_non_exhaustive()
    }
}

/// So that a clock that was set, or a process that was stopped, is seen soon.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
