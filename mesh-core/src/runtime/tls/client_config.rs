//! The client's side of handshakes, prepared once per publication of material.

use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::DnsName;
use tokio_rustls::rustls::sign::SingleCertAndKey;

use crate::certificate::{Identity, Roots, crypto};
use crate::config::ClientTls;
use crate::policy::identity::ExpectedName;
use crate::runtime::connect::TlsTarget;

use super::check::Role;
use super::server_config::versions;
use super::trust::Trust;
use super::verified::VerifiedChains;
use super::verifier::Verifier;
use super::{ApplicationProtocol, HandshakeError, HandshakeResult, material};

/// What the handshakes with endpoints of one [`TlsTarget`] use until there is other material.
#[derive(Debug)]
pub(super) struct PreparedClient {
    identity: Option<Arc<Identity>>,
    roots: Arc<Roots>,
    pub(super) trust: Arc<Trust>,
    pub(super) config: Arc<ClientConfig>,
    pub(super) chains: Arc<VerifiedChains>,
    /// The name that is sent.
    pub(super) sent: Option<DnsName<'static>>,
}

impl PreparedClient {
    /// What handshakes use now: `last`, if the material is still the same.
    // TLS-19: rotation reaches the next handshake
    pub(super) async fn of(target: &TlsTarget, last: Option<Arc<Self>>) -> Result<Arc<Self>, HandshakeError> {
        let tls = &*target.settings;
        let identity = match &tls.identity {
            None => None,
            Some(source) => {
                let identity = material::identity(source, &material::latest(source).await)?;
                material::check_identity(source, &identity)?;
                Some(identity)
            }
        };
        let source = material::root_source(&tls.validation.roots);
        let roots = material::roots(source, &material::latest(source).await)?;
        match last {
            Some(last) if last.uses(identity.as_ref(), &roots) => Ok(last),
            last => {
                let trust = last.map(|last| last.trust.clone());
                Self::new(target, identity, (trust, roots)).map(Arc::new)
            }
        }
    }

    fn uses(&self, identity: Option<&Arc<Identity>>, roots: &Arc<Roots>) -> bool {
        let same_identity = match (&self.identity, identity) {
            (Some(mine), Some(identity)) => Arc::ptr_eq(mine, identity),
            (mine, identity) => mine.is_none() && identity.is_none(),
        };
        same_identity && Arc::ptr_eq(&self.roots, roots)
    }

    fn new(
        target: &TlsTarget,
        identity: Option<Arc<Identity>>,
        (trust, roots): (Option<Arc<Trust>>, Arc<Roots>),
    ) -> Result<Self, HandshakeError> {
        let tls: &ClientTls = &target.settings;
        let name = target.server_name.as_deref().map(ExpectedName::parse);
        // N3: an address is not sent
        let sent = match &name {
            Some(ExpectedName::Dns(name)) => Some(DnsName::try_from(name.clone()).map_err(|_| {
                let text = format!("no certificate can be for the server name {name:?}");
                HandshakeError::new(HandshakeResult::CertificateHostnameMismatch, text)
            })?),
            Some(ExpectedName::Address(_)) | None => None,
        };
        let crypto = crypto().map_err(|error| HandshakeError::material(&error))?;
        // TLS-23
        let expected = name.filter(|_| tls.sni.is_validated);
        let new_trust = || Arc::new(Trust::new(tls.validation.clone(), expected, Role::Server));
        let trust = trust.unwrap_or_else(new_trust);
        let chains = trust.by(&roots).map_err(|error| HandshakeError::material(&error))?;
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions(tls.versions))
            .map_err(|error| HandshakeError::new(HandshakeResult::UnknownFailure, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier {
                chains: chains.clone(),
                is_mandatory: true,
            }));
        let mut config = match &identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = SingleCertAndKey::from(identity.certified_key().clone());
                builder.with_client_cert_resolver(Arc::new(key))
            }
        };
        // TLS-26
        config.alpn_protocols = vec![ApplicationProtocol::Http2.id().to_vec()];
        config.enable_sni = sent.is_some();
        config.enable_early_data = false;
        // Sessions end with this value, and so with other roots, matchers, another name or identity.
        config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
        Ok(Self { identity, roots, trust, config: Arc::new(config), chains, sent })
    }
}

/// Servers of which sessions are kept.
const MAX_SESSIONS: usize = 256;
