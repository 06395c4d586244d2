//! Which peers are accepted, by the latest roots of one source.

use std::sync::{Arc, Mutex, PoisonError};

use crate::certificate::{CertificateSource, MaterialError, Roots, crypto};
use crate::config::PeerValidation;
use crate::policy::identity::ExpectedName;

use super::check::{PeerCheck, Role};
use super::material;
use super::verified::VerifiedChains;

/// Which peers are accepted. Handshakes and open connections share it, so that a chain is verified once for each publication of
/// roots.
#[derive(Debug)]
pub(super) struct Trust {
    validation: PeerValidation,
    /// Replaces the names of `validation`.
    // TLS-23
    expected: Option<ExpectedName>,
    role: Role,
    /// By the roots that were used last.
    latest: Mutex<Option<Arc<VerifiedChains>>>,
}

impl Trust {
    pub(super) fn new(validation: PeerValidation, expected: Option<ExpectedName>, role: Role) -> Self {
        Self { validation, expected, role, latest: Mutex::default() }
    }

    /// Where the roots come from.
    pub(super) fn source(&self) -> &CertificateSource {
        material::root_source(&self.validation.roots)
    }

    /// What the peer is in the handshake.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// The chains that were verified by these roots.
    pub(super) fn by(&self, roots: &Arc<Roots>) -> Result<Arc<VerifiedChains>, MaterialError> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chains) = latest.as_ref().filter(|chains| Arc::ptr_eq(&chains.check().roots, roots)) {
            return Ok(chains.clone());
        }
        let (roots, names) = (roots.clone(), self.validation.names.clone());
        let (expected, role, crypto) = (self.expected.clone(), self.role, crypto()?);
        let chains = Arc::new(VerifiedChains::new(PeerCheck { roots, names, expected, role, crypto }));
        *latest = Some(chains.clone());
        Ok(chains)
    }
}
