//! Why a handshake failed.

use std::io;
use std::time::Duration;

use tokio_rustls::rustls::{AlertDescription, Error, PeerIncompatible};

use crate::certificate::MaterialError;

use super::HandshakeResult;
use super::check::Refusal;

/// A TLS handshake failed. Its text names the cause and is part of the errors of calls.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS: {text} ({result})")]
pub struct HandshakeError {
    result: HandshakeResult,
    text: String,
}

crate::debug_with_causes!(HandshakeError);

impl HandshakeError {
    pub(super) fn new(result: HandshakeResult, text: impl Into<String>) -> Self {
        Self { result, text: text.into() }
    }

    /// Which of the causes that are counted apart.
    pub fn result(&self) -> HandshakeResult {
        self.result
    }

    /// The process has no key material for the handshake.
    pub(super) fn material(error: &MaterialError) -> Self {
        Self::new(HandshakeResult::UnknownFailure, error.to_string())
    }

    pub(super) fn timeout(limit: Duration) -> Self {
        Self::new(HandshakeResult::HandshakeTimeout, format!("no handshake within {limit:?}"))
    }

    /// The peer's certificate is refused.
    pub(super) fn refused(refusal: &Refusal, peer: &str) -> Self {
        Self::new(refusal.result, format!("the {peer}'s certificate is refused: {}", refusal.text))
    }

    /// What the TLS stream reported.
    pub(super) fn of_io(error: &io::Error, peer: &str) -> Self {
        let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
        match tls {
            Some(error) => Self::of_tls(error, peer),
            None if is_close(error.kind()) => Self::new(
                HandshakeResult::PeerConnectionClosed,
                format!("the {peer} closed the connection during the handshake"),
            ),
            None => Self::new(HandshakeResult::UnknownFailure, error.to_string()),
        }
    }

    fn of_tls(error: &Error, peer: &str) -> Self {
        use HandshakeResult as Is;
        let (result, text) = match error {
            Error::AlertReceived(alert) => {
                let (result, text) = of_alert(*alert);
                (result, format!("the {peer} refused the handshake: {text}"))
            }
            Error::NoCertificatesPresented => {
                (Is::CertificateVerificationFailed, format!("the {peer} has shown no certificate"))
            }
            Error::InvalidMessage(_) => {
                (Is::UnexpectedMessage, format!("the {peer} does not speak TLS here: {error}"))
            }
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
                (Is::UnexpectedMessage, error.to_string())
            }
            Error::PeerIncompatible(reason) => (of_incompatibility(reason), error.to_string()),
            Error::NoApplicationProtocol => {
                let text = format!("the {peer} has no application protocol (ALPN) that this side has");
                (Is::NoApplicationProtocol, text)
            }
            Error::DecryptError => (Is::DecryptionFailed, error.to_string()),
            Error::PeerMisbehaved(_) => (Is::UnexpectedMessage, error.to_string()),
            Error::InvalidCertificate(_) => (Is::SignatureVerificationFailed, error.to_string()),
            _ => (Is::UnknownFailure, error.to_string()),
        };
        Self::new(result, text)
    }
}

fn is_close(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(kind, Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe)
}

fn of_incompatibility(reason: &PeerIncompatible) -> HandshakeResult {
    use PeerIncompatible as Reason;
    match reason {
        Reason::NoCipherSuitesInCommon => HandshakeResult::CipherSuiteMismatch,
        Reason::Tls12NotOffered
        | Reason::Tls12NotOfferedOrEnabled
        | Reason::Tls13RequiredForQuic
        | Reason::ServerDoesNotSupportTls12Or13
        | Reason::SupportedVersionsExtensionRequired
        | Reason::ServerTlsVersionIsDisabledByOurConfig => HandshakeResult::ProtocolVersionUnsupported,
        Reason::NoKxGroupsInCommon
        | Reason::KeyShareExtensionRequired
        | Reason::NamedGroupsExtensionRequired => HandshakeResult::KeyExchangeFailure,
        _ => HandshakeResult::UnknownFailure,
    }
}

/// What an alert of the peer says of the certificate and the offers of this side.
pub(super) fn of_alert(alert: AlertDescription) -> (HandshakeResult, String) {
    use AlertDescription as Alert;
    use HandshakeResult as Is;
    let (result, text) = match alert {
        // H1
        Alert::CertificateRequired | Alert::NoCertificate => {
            (Is::CertificateVerificationFailed, "it requires a client certificate, and none was shown")
        }
        Alert::UnknownCA => {
            (Is::CertificateAuthorityInvalid, "it does not trust the authority of our certificate")
        }
        Alert::CertificateExpired => {
            (Is::CertificateExpired, "our certificate has expired, or is not valid yet")
        }
        Alert::CertificateRevoked => (Is::CertificateRevoked, "our certificate has been revoked"),
        Alert::BadCertificate => (Is::CertificateVerificationFailed, "it does not accept our certificate"),
        Alert::UnsupportedCertificate => {
            (Is::CertificateVerificationFailed, "it does not accept a certificate of this kind or purpose")
        }
        Alert::CertificateUnknown | Alert::AccessDenied => {
            (Is::CertificateVerificationFailed, "it does not accept our certificate")
        }
        Alert::NoApplicationProtocol => {
            (Is::NoApplicationProtocol, "it has no application protocol (ALPN) that we have")
        }
        Alert::ProtocolVersion => (Is::ProtocolVersionUnsupported, "it has no version of TLS that we have"),
        Alert::InappropriateFallback => (Is::InappropriateFallback, "it has a newer version of TLS"),
        Alert::UnrecognisedName => {
            (Is::CertificateHostnameMismatch, "it does not know the server name that we sent")
        }
        Alert::DecryptError => (Is::SignatureVerificationFailed, "a signature of ours is wrong"),
        Alert::BadRecordMac | Alert::DecryptionFailed => {
            (Is::DecryptionFailed, "it could not decrypt a message")
        }
        Alert::InsufficientSecurity => (Is::CipherSuiteMismatch, "it wants a stronger cipher suite"),
        Alert::UnexpectedMessage => (Is::UnexpectedMessage, "it did not expect our message"),
        _ => (Is::UnknownFailure, "it gave no further reason"),
    };
    (result, format!("{text} (alert {alert:?})"))
}
