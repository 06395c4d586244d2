//! Whether a certificate of a chain has been revoked.

use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::{Cert, VerifiedPath};

use crate::certificate::{
    CertificateFacts, IssuerKey, Revocable, RevocationLists, RevocationStatus, UnknownRevocation,
    public_key_info,
};

use super::HandshakeResult;
use super::check::Refusal;

/// Until when it is known that no certificate of this chain has been revoked, in seconds since 1970, or why the chain is refused.
// TLS-24: each certificate but the root
pub(super) fn check(
    lists: &RevocationLists,
    path: &VerifiedPath<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
    now: i64,
) -> Result<i64, Refusal> {
    let end_entity: &Cert<'_> = path.end_entity();
    let issuers: Vec<&Cert<'_>> = path.intermediate_certificates().collect();
    let anchor_key = public_key_info(&path.anchor().subject_public_key_info);
    let mut known_until = i64::MAX;
    for (depth, certificate) in std::iter::once(end_entity).chain(issuers.iter().copied()).enumerate() {
        let (public_key, may_sign_lists) = match issuers.get(depth) {
            Some(issuer) => (issuer.subject_public_key_info(), may_sign_lists(issuer)),
            None => (SubjectPublicKeyInfoDer::from(&*anchor_key), true),
        };
        let issuer = IssuerKey { public_key: &public_key, may_sign_lists };
        let certificate = Revocable::of(certificate, depth > 0);
        match (lists.status(&certificate, issuer, algorithms, now), lists.unknown()) {
            (RevocationStatus::Good(until), UnknownRevocation::Refuse) => {
                known_until = known_until.min(until)
            }
            (RevocationStatus::Good(_), UnknownRevocation::Accept) => {}
            (RevocationStatus::Revoked, _) => {
                let (result, error) = (HandshakeResult::CertificateRevoked, CertificateError::Revoked);
                return Err(Refusal::new(result, error, format!("{} has been revoked", subject(depth))));
            }
            (RevocationStatus::Unknown(_), UnknownRevocation::Accept) => {}
            (RevocationStatus::Unknown(reason), UnknownRevocation::Refuse) => {
                let result = HandshakeResult::CertificateVerificationFailed;
                let error = CertificateError::UnknownRevocationStatus;
                let text = format!("it is not known whether {} has been revoked: {reason}", subject(depth));
                return Err(Refusal::new(result, error, text));
            }
        }
    }
    Ok(known_until)
}

fn subject(depth: usize) -> &'static str {
    match depth {
        0 => "it",
        _ => "an issuer in its chain",
    }
}

fn may_sign_lists(issuer: &Cert<'_>) -> bool {
    CertificateFacts::read(&issuer.der()).is_some_and(|facts| facts.may_sign_lists)
}
