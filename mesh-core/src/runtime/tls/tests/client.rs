//! A client of rustls alone.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::certificate::crypto;
use crate::runtime::connect::Io;

use super::{Authority, Leaf};

/// A client that trusts this authority, and shows this certificate.
pub(in crate::runtime) fn client(authority: &Authority, identity: Option<&Leaf>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(crypto().unwrap())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        // without the check that certificate and key belong together
        Some(leaf) => {
            let chain = leaf.chain.iter().cloned().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::try_from(leaf.key.clone()).unwrap();
            let key = crypto().unwrap().key_provider.load_private_key(key).unwrap();
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
        }
    };
    config.alpn_protocols.push(b"h2".to_vec());
    config
}

/// The client's handshake.
pub(in crate::runtime) async fn connect<I: Io>(
    config: impl Into<Arc<ClientConfig>>,
    name: &str,
    io: I,
) -> io::Result<TlsStream<I>> {
    TlsConnector::from(config.into()).connect(name.to_owned().try_into().unwrap(), io).await
}
