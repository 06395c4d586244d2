//! Trusted roots.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor};

use super::MaterialError;
use super::identity::certificates;

/// The certificates at which a peer's chain may end.
pub struct Roots(Arc<RootSet>);

/// One set of trust anchors.
pub(crate) type RootSet = Vec<TrustAnchor<'static>>;

impl Roots {
    /// From certificates in PEM. Certificates that cannot be roots are skipped: large collections have some.
    ///
    /// # Errors
    /// It is not PEM, or none of the certificates can be trusted.
    pub fn from_pem(pem: &[u8]) -> Result<Self, MaterialError> {
        Self::new(certificates(pem)?)
    }

    /// From certificates in DER, as [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    /// None of the certificates can be trusted.
    pub fn from_der(certificates: Vec<Vec<u8>>) -> Result<Self, MaterialError> {
        Self::new(certificates.into_iter().map(CertificateDer::from).collect())
    }

    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, MaterialError> {
        let mut store = RootCertStore::empty();
        match store.add_parsable_certificates(certificates) {
            (0, _) => Err(MaterialError::new("no certificate that can be trusted")),
            _ => Ok(Self(Arc::new(store.roots))),
        }
    }

    /// The trust anchors.
    pub(crate) fn anchors(&self) -> &Arc<RootSet> {
        &self.0
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("certificates", &self.0.len()).finish_non_exhaustive()
    }
}
