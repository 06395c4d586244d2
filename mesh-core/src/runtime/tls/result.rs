//! How a handshake ended, as a closed list (gRFC A118).

use std::fmt;

/// How a TLS handshake ended. The names are those of gRFC A118.
// H5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HandshakeResult {
    /// None of the other failures.
    UnknownFailure,
    /// The connection is secured.
    Success,
    /// The peer's certificate is not acceptable for another reason than those below, or there is none.
    CertificateVerificationFailed,
    /// A certificate of the chain has been revoked.
    CertificateRevoked,
    /// A certificate of the chain has expired.
    CertificateExpired,
    /// A certificate of the chain is not valid yet.
    CertificateNotYetValid,
    /// The chain does not end at a trusted root.
    CertificateAuthorityInvalid,
    /// None of the certificate's names is an expected one.
    CertificateHostnameMismatch,
    /// A certificate cannot be parsed.
    CertificateMalformed,
    /// The two sides have no cipher suite in common.
    CipherSuiteMismatch,
    /// The two sides have no version of TLS in common.
    ProtocolVersionUnsupported,
    /// The client has fallen back to an older version than both sides have.
    InappropriateFallback,
    /// The two sides have no application protocol in common (ALPN).
    NoApplicationProtocol,
    /// A signature of the handshake is wrong.
    SignatureVerificationFailed,
    /// A message cannot be decrypted.
    DecryptionFailed,
    /// The two sides could not agree on keys.
    KeyExchangeFailure,
    /// The peer has sent a message that the protocol does not allow here, or that is no TLS.
    UnexpectedMessage,
    /// The handshake did not end within its time.
    HandshakeTimeout,
    /// The peer has closed the connection during the handshake.
    PeerConnectionClosed,
}

impl HandshakeResult {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::UnknownFailure,
        Self::Success,
        Self::CertificateVerificationFailed,
        Self::CertificateRevoked,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateAuthorityInvalid,
        Self::CertificateHostnameMismatch,
        Self::CertificateMalformed,
        Self::CipherSuiteMismatch,
        Self::ProtocolVersionUnsupported,
        Self::InappropriateFallback,
        Self::NoApplicationProtocol,
        Self::SignatureVerificationFailed,
        Self::DecryptionFailed,
        Self::KeyExchangeFailure,
        Self::UnexpectedMessage,
        Self::HandshakeTimeout,
        Self::PeerConnectionClosed,
    ];

    /// The name in gRFC A118, which is the value of the label `grpc.tls.handshake.result`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownFailure => "UNKNOWN_FAILURE",
            Self::Success => "SUCCESS",
            Self::CertificateVerificationFailed => "CERTIFICATE_VERIFICATION_FAILED",
            Self::CertificateRevoked => "CERTIFICATE_REVOKED",
            Self::CertificateExpired => "CERTIFICATE_EXPIRED",
            Self::CertificateNotYetValid => "CERTIFICATE_NOT_YET_VALID",
            Self::CertificateAuthorityInvalid => "CERTIFICATE_AUTHORITY_INVALID",
            Self::CertificateHostnameMismatch => "CERTIFICATE_HOSTNAME_MISMATCH",
            Self::CertificateMalformed => "CERTIFICATE_MALFORMED",
            Self::CipherSuiteMismatch => "CIPHER_SUITE_MISMATCH",
            Self::ProtocolVersionUnsupported => "PROTOCOL_VERSION_UNSUPPORTED",
            Self::InappropriateFallback => "INAPPROPRIATE_FALLBACK",
            Self::NoApplicationProtocol => "NO_APPLICATION_PROTOCOL",
            Self::SignatureVerificationFailed => "SIGNATURE_VERIFICATION_FAILED",
            Self::DecryptionFailed => "DECRYPTION_FAILED",
            Self::KeyExchangeFailure => "KEY_EXCHANGE_FAILURE",
            Self::UnexpectedMessage => "UNEXPECTED_MESSAGE",
            Self::HandshakeTimeout => "HANDSHAKE_TIMEOUT",
            Self::PeerConnectionClosed => "PEER_CONNECTION_CLOSED",
        }
    }
}

impl fmt::Display for HandshakeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
