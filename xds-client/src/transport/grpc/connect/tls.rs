//! TLS to a server.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::sign::SingleCertAndKey;

use crate::certificate::{Material, Roots, crypto};
use crate::transport::TransportError;

/// The TLS handshake with the server of this name, with the certificate and the roots of `material`.
pub(super) async fn handshake<I>(
    io: I,
    host: &str,
    material: Material,
) -> Result<TlsStream<I>, TransportError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        TransportError::credentials(format!("no certificate can be for {host:?}: {error}"))
    })?;
    let config = config(material).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, io)
        .await
        .map_err(|error| TransportError::failed(format!("TLS: {error}")))?;
    match stream.get_ref().1.alpn_protocol() {
        Some(HTTP2) => Ok(stream),
        _ => Err(TransportError::failed("TLS: the server does not offer HTTP/2 (ALPN h2)")),
    }
}

async fn config(material: Material) -> Result<ClientConfig, TransportError> {
    let roots = match material.roots {
        Some(roots) => roots,
        None => Arc::new(tokio::task::spawn_blocking(system_roots).await.unwrap_or_else(|_| no_roots())?),
    };
    let crypto = crypto().map_err(TransportError::credentials)?;
    let builder = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::credentials(format!("TLS: {error}")))?
        .with_root_certificates(roots);
    let mut config = match material.identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols.push(HTTP2.to_vec());
    Ok(config)
}

/// The system's roots. Blocks.
fn system_roots() -> Result<Roots, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "while reading the system's roots");
    }
    let mut roots = Roots::empty();
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => no_roots(),
        _ => Ok(roots),
    }
}

fn no_roots() -> Result<Roots, TransportError> {
    Err(TransportError::credentials("the system has no trusted roots; set ca_certificate_file"))
}

const HTTP2: &[u8] = b"h2";
