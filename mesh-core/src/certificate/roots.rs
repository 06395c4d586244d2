//! Trusted roots.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor};

use super::identity::certificates;
use super::{MaterialError, RevocationLists, SpiffeBundles};

/// The certificates at which a peer's chain may end, and which certificates below them have been revoked.
#[derive(Clone)]
pub struct Roots {
    anchors: Anchors,
    revocation: Option<Arc<RevocationLists>>,
}

/// Trust anchors.
#[derive(Clone)]
pub(crate) enum Anchors {
    /// For every peer.
    All(Arc<RootSet>),
    /// By the trust domain of the peer's SPIFFE id.
    ByTrustDomain(SpiffeBundles),
}

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

    /// Roots by trust domain, for peers with SPIFFE ids (gRFC A87).
    // TLS-20
    pub fn by_trust_domain(bundles: SpiffeBundles) -> Self {
        Self { anchors: Anchors::ByTrustDomain(bundles), revocation: None }
    }

    /// With these revocation lists (gRFC A69).
    // TLS-24
    #[must_use]
    pub fn with_revocation(self, lists: impl Into<Arc<RevocationLists>>) -> Self {
        Self { revocation: Some(lists.into()), ..self }
    }

    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, MaterialError> {
        let mut store = RootCertStore::empty();
        match store.add_parsable_certificates(certificates) {
            (0, _) => Err(MaterialError::new("no certificate that can be trusted")),
            _ => Ok(Self { anchors: Anchors::All(Arc::new(store.roots)), revocation: None }),
        }
    }

    /// The trust anchor of one certificate in DER.
    pub(super) fn anchor(certificate: &[u8]) -> Result<TrustAnchor<'static>, MaterialError> {
        let certificate = CertificateDer::from(certificate);
        match webpki::anchor_from_trusted_cert(&certificate) {
            Ok(anchor) => Ok(anchor.to_owned()),
            Err(error) => Err(MaterialError::new(format!("a certificate that cannot be trusted: {error}"))),
        }
    }

    /// The trust anchors.
    pub(crate) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The revocation lists; `None`: handshakes do not look whether a certificate has been revoked.
    pub(crate) fn revocation(&self) -> Option<&RevocationLists> {
        self.revocation.as_deref()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Roots");
        match &self.anchors {
            Anchors::All(anchors) => shown.field("certificates", &anchors.len()),
            Anchors::ByTrustDomain(bundles) => shown.field("trust_domains", bundles),
        };
        shown.field("revocation", &self.revocation).finish_non_exhaustive()
    }
}
