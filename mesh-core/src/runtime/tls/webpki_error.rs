//! What is wrong with a chain, in words and as a result.

use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::Error;

use crate::certificate::{UtcTime, unknown_critical_extension};

use super::HandshakeResult;
use super::check::{Refusal, Role};

/// The refusal of a chain, its own certificate first.
pub(super) fn refusal(
    error: &Error,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    role: Role,
) -> Refusal {
    let (result, alert) = result(error);
    let text = match error {
        // R5: both times
        Error::CertExpired { time, not_after } => {
            format!("it, or one above it, expired at {}, and now it is {}", shown(*not_after), shown(*time))
        }
        Error::CertNotValidYet { time, not_before } => format!(
            "it, or one above it, is not valid before {}, and now it is {}: compare the clocks",
            shown(*not_before),
            shown(*time)
        ),
        // C2
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            format!("its extended key usage does not allow it to be a {}", role.name())
        }
        // C3
        Error::UnsupportedCriticalExtension => {
            let mut chain = std::iter::once(end_entity).chain(intermediates);
            let oid = chain.find_map(|certificate| unknown_critical_extension(certificate));
            match oid {
                Some(oid) => {
                    format!("it, or one above it, has the critical extension {oid}, which is not known")
                }
                None => "it, or one above it, has a critical extension that is not known".to_owned(),
            }
        }
        other => fixed_text(other).map_or_else(|| format!("its chain is not valid: {other}"), str::to_owned),
    };
    Refusal::new(result, alert, text)
}

/// What is counted, and what rustls makes the alert of.
fn result(error: &Error) -> (HandshakeResult, CertificateError) {
    use CertificateError as Alert;
    use HandshakeResult as Is;
    match error {
        Error::CertExpired { .. } => (Is::CertificateExpired, Alert::Expired),
        Error::CertNotValidYet { .. } => (Is::CertificateNotYetValid, Alert::NotValidYet),
        // A root of the same name with another key is another root.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
            (Is::CertificateAuthorityInvalid, Alert::UnknownIssuer)
        }
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::InvalidCertValidity => {
            (Is::CertificateMalformed, Alert::BadEncoding)
        }
        Error::UnsupportedCriticalExtension => {
            (Is::CertificateVerificationFailed, Alert::UnhandledCriticalExtension)
        }
        _ => (Is::CertificateVerificationFailed, Alert::InvalidPurpose),
    }
}

fn fixed_text(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::InvalidCertValidity => "its validity ends before it begins",
        Error::UnknownIssuer => "its chain does not end at a trusted root",
        Error::InvalidSignatureForPublicKey => {
            "it, or one above it, is not signed by the trusted root of its issuer's name"
        }
        Error::CaUsedAsEndEntity => {
            "it is the certificate of an authority, which never authenticates a workload"
        }
        // C3
        Error::EndEntityUsedAsCa => "an issuer in its chain is no authority (basicConstraints without cA)",
        // C1
        Error::NameConstraintViolation => {
            "an issuer in its chain does not allow its names (name constraints)"
        }
        // C4
        Error::PathLenConstraintViolated => "its chain is longer than one of its issuers allows (pathLen)",
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => "it, or one above it, cannot be parsed",
        _ => return None,
    })
}

fn shown(time: UnixTime) -> UtcTime {
    UtcTime(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
