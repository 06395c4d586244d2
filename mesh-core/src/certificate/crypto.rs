//! Where the cryptography of TLS comes from.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;

use super::MaterialError;

/// The provider that the program has installed for its process, else the provider of this crate's features.
///
/// It is always passed to rustls. Nothing is installed for the process, and rustls never chooses by itself: it panics
/// in a program with two providers.
pub(crate) fn crypto() -> Result<Arc<CryptoProvider>, MaterialError> {
    CryptoProvider::get_default().cloned().or_else(of_features).ok_or_else(|| MaterialError::new(NONE))
}

#[cfg(feature = "aws-lc")]
fn of_features() -> Option<Arc<CryptoProvider>> {
    use std::sync::LazyLock;

    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider()));
    Some(PROVIDER.clone())
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn of_features() -> Option<Arc<CryptoProvider>> {
    use std::sync::LazyLock;

    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()));
    Some(PROVIDER.clone())
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
fn of_features() -> Option<Arc<CryptoProvider>> {
    None
}

const NONE: &str = "there is no cryptography for TLS: enable the feature \"ring\" or \"aws-lc\" of mesh-tonic (or of mesh-core), \
                    or install a rustls CryptoProvider for the process";
