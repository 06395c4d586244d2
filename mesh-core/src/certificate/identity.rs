//! A certificate chain with its private key.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{CertificateFacts, MaterialError, crypto};

/// A certificate chain with its private key, checked to belong together.
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// Seconds since 1970.
    not_before: i64,
    /// Seconds since 1970.
    not_after: i64,
}

impl Identity {
    /// From a certificate chain, the process's own certificate first, and its private key, both in PEM.
    ///
    /// # Errors
    /// One of them is not PEM, the chain is empty, the key is not the certificate's, or there is no cryptography for TLS.
    // R1
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, MaterialError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| MaterialError::new(format!("no private key in PEM: {error}")))?;
        Self::new(chain, key)
    }

    /// From a certificate chain, the process's own certificate first, and its private key (PKCS #8), both in DER.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<Self, MaterialError> {
        let key = PrivateKeyDer::try_from(key)
            .map_err(|error| MaterialError::new(format!("no private key in DER: {error}")))?;
        Self::new(chain.into_iter().map(CertificateDer::from).collect(), key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, MaterialError> {
        if chain.is_empty() {
            return Err(MaterialError::new("no certificate"));
        }
        let facts = chain.first().and_then(|certificate| CertificateFacts::read(certificate));
        let facts = facts.ok_or_else(|| MaterialError::new("the certificate is no X.509 certificate"))?;
        let key = CertifiedKey::from_der(chain, key, &*crypto()?).map_err(|error| {
            MaterialError::new(format!("the certificate and the key do not belong together: {error}"))
        })?;
        Ok(Self { key: Arc::new(key), not_before: facts.not_before, not_after: facts.not_after })
    }

    /// The chain with the key.
    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// When the certificate becomes valid. A provider keeps the one before until then.
    // R5
    pub fn valid_from(&self) -> SystemTime {
        time(self.not_before)
    }

    /// When the certificate expires.
    pub fn valid_until(&self) -> SystemTime {
        time(self.not_after)
    }

    /// When the certificate expires, in seconds since 1970.
    pub(crate) fn not_after(&self) -> i64 {
        self.not_after
    }
}

fn time(seconds: i64) -> SystemTime {
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
    time.unwrap_or(UNIX_EPOCH)
}

/// All certificates in this PEM; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Err(error) => Err(MaterialError::new(format!("not PEM: {error}"))),
        Ok(certificates) if certificates.is_empty() => Err(MaterialError::new("no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
    }
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.key.cert.len()).finish_non_exhaustive()
    }
}
