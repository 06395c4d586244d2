//! The server's side of handshakes, prepared once per publication of material.

use std::sync::Arc;

use tokio_rustls::rustls::server::ServerSessionMemoryCache;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

use crate::certificate::{Identity, Roots, crypto};
use crate::config::{ClientCertificates, ServerTls, TlsVersions};

use super::check::Role;
use super::trust::Trust;
use super::verified::VerifiedChains;
use super::verifier::Verifier;
use super::{HandshakeError, HandshakeResult, material};

/// What the handshakes of a server use until there is other material.
#[derive(Debug)]
pub(super) struct PreparedServer {
    identity: Arc<Identity>,
    roots: Option<Arc<Roots>>,
    /// `None`: certificates of clients are not asked for.
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) config: Arc<ServerConfig>,
    /// For certificates of clients; `None`: they are not asked for.
    pub(super) chains: Option<Arc<VerifiedChains>>,
}

impl PreparedServer {
    /// What handshakes use now: `last`, if the material is still the same.
    // TLS-19: rotation reaches the next handshake
    pub(super) async fn of(
        tls: &ServerTls,
        protocols: &[Vec<u8>],
        last: Option<Arc<Self>>,
    ) -> Result<Arc<Self>, HandshakeError> {
        let published = material::latest(&tls.identity).await;
        let identity = material::identity(&tls.identity, &published)?;
        material::check_identity(&tls.identity, &identity)?;
        let roots = match tls.clients.validation() {
            Some(validation) => {
                let source = material::root_source(&validation.roots);
                Some(material::roots(source, &material::latest(source).await)?)
            }
            None => None,
        };
        match last {
            Some(last) if last.uses(&identity, roots.as_ref()) => Ok(last),
            last => {
                let trust = last.and_then(|last| last.trust.clone());
                Self::new(tls, protocols, identity, (trust, roots)).map(Arc::new)
            }
        }
    }

    fn uses(&self, identity: &Arc<Identity>, roots: Option<&Arc<Roots>>) -> bool {
        let same_roots = match (&self.roots, roots) {
            (Some(mine), Some(roots)) => Arc::ptr_eq(mine, roots),
            (mine, roots) => mine.is_none() && roots.is_none(),
        };
        same_roots && Arc::ptr_eq(&self.identity, identity)
    }

    fn new(
        tls: &ServerTls,
        protocols: &[Vec<u8>],
        identity: Arc<Identity>,
        (trust, roots): (Option<Arc<Trust>>, Option<Arc<Roots>>),
    ) -> Result<Self, HandshakeError> {
        let crypto = crypto().map_err(|error| HandshakeError::material(&error))?;
        let builder = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions(tls.versions))
            .map_err(|error| HandshakeError::new(HandshakeResult::UnknownFailure, error.to_string()))?;
        let new_trust =
            || tls.clients.validation().map(|validation| Trust::new(validation.clone(), None, Role::Client));
        let trust = trust.or_else(|| new_trust().map(Arc::new));
        let chains = match trust.as_ref().zip(roots.as_ref()) {
            Some((trust, roots)) => Some(trust.by(roots).map_err(|error| HandshakeError::material(&error))?),
            None => None,
        };
        // TLS-14
        let builder = match chains.clone() {
            None => builder.with_no_client_auth(),
            Some(chains) => {
                let is_mandatory = matches!(tls.clients, ClientCertificates::Required(_));
                builder.with_client_cert_verifier(Arc::new(Verifier { chains, is_mandatory }))
            }
        };
        let key = SingleCertAndKey::from(identity.certified_key().clone());
        let mut config = builder.with_cert_resolver(Arc::new(key));
        config.alpn_protocols = protocols.to_vec();
        // Sessions end with this value, and so with other roots, matchers or another identity.
        config.session_storage = ServerSessionMemoryCache::new(MAX_SESSIONS);
        config.max_early_data_size = 0;
        Ok(Self { identity, roots, trust, config: Arc::new(config), chains })
    }
}

/// The versions, newest first.
pub(super) fn versions(versions: TlsVersions) -> &'static [&'static SupportedProtocolVersion] {
    static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match versions {
        TlsVersions::Tls12AndLater => &VERSIONS,
        TlsVersions::Tls13 => &VERSIONS[..1],
        TlsVersions::Tls12 => &VERSIONS[1..],
    }
}

const MAX_SESSIONS: usize = 1024;
