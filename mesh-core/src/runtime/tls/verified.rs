//! Chains that have been verified, so that the next connection of the same peer costs no signature.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

use super::check::{PeerCheck, Refusal, VerifiedPeer};

/// Verifies chains, and remembers those that it has accepted until the first of their certificates expires.
///
/// It belongs to one [`PeerCheck`]: other roots or matchers begin with an empty one.
#[derive(Debug)]
pub(super) struct VerifiedChains {
    check: PeerCheck,
    known: Mutex<HashMap<Box<[u8]>, Arc<VerifiedPeer>>>,
}

impl VerifiedChains {
    pub(super) fn new(check: PeerCheck) -> Self {
        Self { check, known: Mutex::default() }
    }

    pub(super) fn check(&self) -> &PeerCheck {
        &self.check
    }

    /// Checks a chain, its own certificate first.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<VerifiedPeer>, Refusal> {
        let key = key(end_entity, intermediates);
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&*key).cloned();
        if let Some(peer) = known.filter(|peer| (peer.not_before..=peer.not_after).contains(&seconds)) {
            return Ok(peer);
        }
        let peer = Arc::new(self.check.check(end_entity, intermediates, now)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CHAINS {
            known.clear();
        }
        known.insert(key.into(), peer.clone());
        Ok(peer)
    }
}

/// The certificates of the chain, each after its length.
fn key(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut key = Vec::with_capacity(
        end_entity.len() + intermediates.iter().map(|each| each.len() + 8).sum::<usize>() + 8,
    );
    for certificate in std::iter::once(end_entity).chain(intermediates) {
        key.extend((certificate.len() as u64).to_be_bytes());
        key.extend_from_slice(certificate);
    }
    key
}

const MAX_CHAINS: usize = 1024;
