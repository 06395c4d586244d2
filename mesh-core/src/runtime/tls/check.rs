//! Whether a peer's certificate is accepted: chain, purpose, names.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::certificate::{Anchors, CertificateFacts, RootSet, Roots};
use crate::peer::PeerIdentity;
use crate::policy::identity::{ExpectedName, SpiffeId, SubjectNames, any_matches};
use crate::policy::matcher::StringMatcher;

use super::{HandshakeResult, revoked, webpki_error};

/// Which peers' certificates are accepted.
pub(super) struct PeerCheck {
    pub(super) roots: Arc<Roots>,
    pub(super) names: Arc<[StringMatcher]>,
    /// Replaces `names`.
    // TLS-23
    pub(super) expected: Option<ExpectedName>,
    /// What the peer is in the handshake.
    pub(super) role: Role,
    pub(super) crypto: Arc<CryptoProvider>,
}

/// What the peer is in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

impl Role {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// A peer whose certificate has been verified.
#[derive(Debug)]
pub(super) struct VerifiedPeer {
    pub(super) names: SubjectNames,
    /// When the last certificate of the chain becomes valid, in seconds since 1970.
    pub(super) not_before: i64,
    /// When the first certificate of the chain expires, or a revocation list that must be current, in seconds since 1970.
    pub(super) not_after: i64,
}

/// Why a certificate is refused.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) result: HandshakeResult,
    pub(super) text: String,
    /// What rustls makes the alert of.
    pub(super) error: CertificateError,
}

impl Refusal {
    pub(super) fn new(result: HandshakeResult, error: CertificateError, text: impl Into<String>) -> Self {
        Self { result, text: text.into(), error }
    }

    fn malformed() -> Self {
        let text = "it cannot be parsed";
        Self::new(HandshakeResult::CertificateMalformed, CertificateError::BadEncoding, text)
    }

    /// Not acceptable for a reason that has no result of its own.
    fn unacceptable(text: impl Into<String>) -> Self {
        let result = HandshakeResult::CertificateVerificationFailed;
        Self::new(result, CertificateError::InvalidPurpose, text)
    }
}

impl PeerCheck {
    /// Checks the peer's chain, its own certificate first.
    // TLS-17: the chain first, then the names
    pub(super) fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<VerifiedPeer, Refusal> {
        let facts = CertificateFacts::read(end_entity).ok_or_else(Refusal::malformed)?;
        // P3
        if facts.may_sign_certificates {
            return Err(Refusal::unacceptable(
                "it may sign certificates, and so never authenticates a workload",
            ));
        }
        let anchors = self.anchors(&facts.names)?;
        let above = self.check_chain(anchors, (end_entity, intermediates), now)?;
        self.check_names(&facts.names)?;
        Ok(VerifiedPeer {
            names: facts.names,
            not_before: above.0.max(facts.not_before),
            not_after: above.1.min(facts.not_after),
        })
    }

    /// The roots for a peer with these names.
    // TLS-20
    fn anchors(&self, names: &SubjectNames) -> Result<&Arc<RootSet>, Refusal> {
        let bundles = match self.roots.anchors() {
            Anchors::All(anchors) => return Ok(anchors),
            Anchors::ByTrustDomain(bundles) => bundles,
        };
        let id = names.workload().map_err(Refusal::unacceptable)?;
        bundles.find(id.trust_domain()).ok_or_else(|| {
            let text = format!("its trust domain {:?} is not known", id.trust_domain());
            let result = HandshakeResult::CertificateAuthorityInvalid;
            Refusal::new(result, CertificateError::UnknownIssuer, text)
        })
    }

    /// When all certificates above the peer's own are valid, and known not to be revoked: the first and the last second.
    fn check_chain(
        &self,
        anchors: &RootSet,
        (end_entity, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<(i64, i64), Refusal> {
        let refusal =
            |error: webpki::Error| webpki_error::refusal(&error, end_entity, intermediates, self.role);
        let certificate = EndEntityCert::try_from(end_entity).map_err(refusal)?;
        let usage = match self.role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let valid = Cell::new((i64::MIN, i64::MAX));
        let (algorithms, revoked) = (&self.crypto.signature_verification_algorithms, Cell::new(None));
        let accept = |path: &VerifiedPath<'_>| {
            let known_until = match self.roots.revocation() {
                None => i64::MAX,
                Some(lists) => revoked::check(lists, path, algorithms, seconds(now)).map_err(|refusal| {
                    revoked.set(Some(refusal));
                    webpki::Error::CertRevoked
                })?,
            };
            let always = (i64::MIN, known_until);
            let issuers = path.intermediate_certificates();
            let facts = issuers.filter_map(|certificate| CertificateFacts::read(&certificate.der()));
            valid.set(
                facts.fold(always, |(from, to), facts| (from.max(facts.not_before), to.min(facts.not_after))),
            );
            Ok(())
        };
        certificate
            .verify_for_usage(algorithms.all, anchors, intermediates, now, usage, None, Some(&accept))
            .map_err(|error| match (&error, revoked.take()) {
                (webpki::Error::CertRevoked, Some(revoked)) => revoked,
                _ => refusal(error),
            })?;
        Ok(valid.get())
    }

    // TLS-15
    fn check_names(&self, names: &SubjectNames) -> Result<(), Refusal> {
        let mismatch = |expected: String| {
            let text = format!("it is for {}, and not for {expected}", names.listed());
            let error = CertificateError::NotValidForName;
            Refusal::new(HandshakeResult::CertificateHostnameMismatch, error, text)
        };
        match &self.expected {
            Some(expected) if !expected.is_in(names) => Err(mismatch(expected.to_string())),
            None if !self.names.is_empty() && !any_matches(&self.names, names) => {
                Err(mismatch("any name that the configuration expects".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl VerifiedPeer {
    /// The names for filters and handlers.
    pub(super) fn identity(&self) -> PeerIdentity {
        let names = &self.names;
        let mut identity = PeerIdentity::new().with_subject(names.subject.clone());
        identity.uri_sans.clone_from(&names.uris);
        identity.dns_sans.clone_from(&names.dns);
        match names.workload() {
            Ok(id) => identity.with_spiffe_id(SpiffeId::as_str(&id)),
            Err(_) => identity,
        }
    }
}

impl fmt::Debug for PeerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PeerCheck");
        shown.field("role", &self.role).field("roots", &self.roots).finish_non_exhaustive()
    }
}

pub(super) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
