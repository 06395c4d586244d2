//! From PEM texts to the material of handshakes. Pure.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::server::options::{ClientAuth, TlsOptions};

use super::error::{TlsError, TlsFile};
use super::texts::Texts;

/// Good TLS material.
#[derive(Debug, Clone)]
pub(super) struct Material {
    pub(super) config: Arc<ServerConfig>,
    /// When the server's own certificate ends, in seconds since 1970.
    pub(super) not_after: i64,
    /// The serial number of the server's own certificate, for the log.
    pub(super) serial: String,
}

impl Material {
    pub(super) fn build(options: &TlsOptions, texts: &Texts) -> Result<Self, TlsError> {
        let certificate = TlsFile::certificate(&options.certificate);
        let chain = certificates(&certificate, &texts.certificate)?;
        let (not_after, serial) = describe(&certificate, &chain)?;
        let key = private_key(TlsFile::key(&options.key), &texts.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| content(certificate.clone(), &error))?;
        let builder = match verifier(options, texts, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let reason = format!("it does not belong to the private key {}", options.key.display());
                TlsError::Content { file: certificate, reason }
            }
            error => content(TlsFile::key(&options.key), &error),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { config: Arc::new(config), not_after, serial })
    }
}

fn verifier(
    options: &TlsOptions,
    texts: &Texts,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (ClientAuth::Optional(path) | ClientAuth::Required(path)) = &options.client_auth else {
        return Ok(None);
    };
    let file = TlsFile::client_ca(path);
    let text = texts.client_ca.as_deref().unwrap_or_default();
    let mut roots = RootCertStore::empty();
    for root in certificates(&file, text)? {
        roots.add(root).map_err(|error| content(file.clone(), &error))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if let ClientAuth::Optional(_) = options.client_auth {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map(Some).map_err(|error| content(file, &error))
}

fn certificates(file: &TlsFile, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| content(file.clone(), &error))?;
    if found.is_empty() {
        return Err(content(file.clone(), &"it has no CERTIFICATE in PEM"));
    }
    Ok(found)
}

fn private_key(file: TlsFile, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => content(file, &"it has no unencrypted PRIVATE KEY in PEM"),
        error => content(file, &error),
    })
}

/// End of life and serial number of the first certificate.
fn describe(file: &TlsFile, chain: &[CertificateDer<'_>]) -> Result<(i64, String), TlsError> {
    let first = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) = X509Certificate::from_der(first).map_err(|error| content(file.clone(), &error))?;
    Ok((certificate.validity().not_after.timestamp(), certificate.raw_serial_as_string()))
}

fn content(file: TlsFile, reason: &impl ToString) -> TlsError {
    TlsError::Content { file, reason: reason.to_string() }
}
