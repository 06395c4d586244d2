//! Certificates and keys, checked.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::bootstrap::IdentityFiles;

/// A certificate chain with its key.
pub(crate) type Identity = CertifiedKey;

/// Trusted roots.
pub(crate) type Roots = RootCertStore;

/// Certificate and key from the contents of these files; an error unless the key is the certificate's.
pub(super) fn identity(files: &IdentityFiles, contents: &[Vec<u8>]) -> Result<Identity, String> {
    let IdentityFiles { certificate, private_key } = files;
    let [chain, key] = contents else { return Err("a certificate and a key are needed".to_owned()) };
    let chain = certificates(certificate, chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("{}: no private key in PEM: {error}", private_key.display()))?;
    CertifiedKey::from_der(chain, key, &*crypto()?).map_err(|error| {
        format!("{} and {} do not belong together: {error}", certificate.display(), private_key.display())
    })
}

/// Trusted roots from the content of this file. Certificates that cannot be roots are skipped: large collections have
/// some.
pub(super) fn roots(file: &Path, contents: &[Vec<u8>]) -> Result<Roots, String> {
    let mut roots = RootCertStore::empty();
    let certificates = certificates(file, contents.first().map_or(&[], Vec::as_slice))?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    match added {
        0 => Err(format!("{}: no certificate that can be trusted", file.display())),
        _ => Ok(roots),
    }
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Err(error) => Err(format!("{}: not PEM: {error}", file.display())),
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("{}: no certificate in it", file.display()))
        }
        Ok(certificates) => Ok(certificates),
    }
}

/// The provider that the program has installed for its process, else the provider of this crate's features.
///
/// It is always passed to rustls. Nothing is installed for the process, and rustls never chooses by itself: it panics
/// in a program with two providers.
pub(crate) fn crypto() -> Result<Arc<CryptoProvider>, &'static str> {
    CryptoProvider::get_default().cloned().or_else(of_features).ok_or(NONE)
}

#[cfg(feature = "aws-lc")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn of_features() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
fn of_features() -> Option<Arc<CryptoProvider>> {
    None
}

const NONE: &str = "there is no cryptography for TLS: enable the feature \"ring\" or \"aws-lc\" of mesh-tonic (or of xds-client), \
                    or install a rustls CryptoProvider for the process";
