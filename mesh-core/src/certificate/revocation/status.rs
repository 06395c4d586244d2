//! Whether a certificate has been revoked.

use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;

use crate::certificate::UtcTime;

use super::{Revocable, RevocationList, RevocationLists};

/// Whether a certificate has been revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RevocationStatus {
    /// It has not; known until this second since 1970.
    Good(i64),
    /// Its issuer has revoked it.
    Revoked,
    /// It is not known, for this reason.
    Unknown(String),
}

/// The key of a certificate's issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuerKey<'a> {
    /// SubjectPublicKeyInfo in DER.
    pub(crate) public_key: &'a SubjectPublicKeyInfoDer<'a>,
    /// Its certificate allows it to sign revocation lists.
    pub(crate) may_sign_lists: bool,
}

impl RevocationLists {
    /// Whether this certificate has been revoked. `now`: seconds since 1970.
    // V1, V2: every list of the issuer whose signature and scope fit
    pub(crate) fn status(
        &self,
        certificate: &Revocable<'_>,
        issuer: IssuerKey<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
        now: i64,
    ) -> RevocationStatus {
        let lists = self.of(certificate.issuer);
        let fits = |list: &&RevocationList| {
            list.is_for(certificate) && issuer.may_sign_lists && list.is_signed_by(issuer, algorithms)
        };
        let fitting: Vec<&RevocationList> = lists.iter().map(AsRef::as_ref).filter(fits).collect();
        // An entry counts in an outdated list, too.
        if fitting.iter().any(|list| list.revoked.contains(certificate.serial)) {
            return RevocationStatus::Revoked;
        }
        let current = fitting.iter().filter(|list| (list.this_update..=list.next_update).contains(&now));
        match (current.map(|list| list.next_update).max(), fitting.first()) {
            (Some(until), _) => RevocationStatus::Good(until),
            (None, Some(list)) if list.this_update > now => {
                let from = UtcTime(list.this_update);
                RevocationStatus::Unknown(format!(
                    "the revocation list of its issuer is not valid before {from}"
                ))
            }
            (None, Some(list)) => {
                let end = UtcTime(list.next_update);
                RevocationStatus::Unknown(format!(
                    "the revocation list of its issuer is outdated since {end}"
                ))
            }
            (None, None) if lists.is_empty() => {
                RevocationStatus::Unknown("there is no revocation list of its issuer".to_owned())
            }
            (None, None) => RevocationStatus::Unknown(
                "no revocation list of its issuer's name is signed by its issuer and for this certificate"
                    .to_owned(),
            ),
        }
    }
}

impl RevocationList {
    /// Whether the certificate is one of those that the list is for.
    fn is_for(&self, certificate: &Revocable<'_>) -> bool {
        let scope = &self.scope;
        let right_kind = match certificate.is_authority {
            true => !scope.only_end_entities,
            false => !scope.only_authorities,
        };
        let named = || scope.points.iter().any(|point| certificate.points.contains(point));
        right_kind && (scope.points.is_empty() || named())
    }

    fn is_signed_by(&self, issuer: IssuerKey<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(issuer.public_key) else { return false };
        let algorithms =
            algorithms.all.iter().filter(|algorithm| *algorithm.signature_alg_id() == *self.algorithm);
        let mut verified =
            algorithms.map(|algorithm| key.verify_signature(*algorithm, &self.signed, &self.signature));
        verified.any(|verified| verified.is_ok())
    }
}
