//! Why a token is not believed.

use http::StatusCode;

/// Why a request is refused for its tokens. The order is that of validation: of several refusals the last one came furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// A token is required, and there is none.
    #[error("a token is required, and the request has none")]
    Missing,
    /// It is not a signed token in compact form.
    #[error("the token is malformed")]
    Malformed,
    /// More than one token where one is expected.
    #[error("the request has more than one token")]
    Several,
    /// Its signature is of a kind that is never believed: none, a shared secret, or an unknown one.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// It demands an extension (`crit`).
    #[error("the token demands an extension that is not supported")]
    Critical,
    /// Another issuer has made it.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// It has no time of expiry, and needs one.
    #[error("the token has no time of expiry")]
    NoExpiry,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It lives longer than is accepted.
    #[error("the token lives longer than is accepted")]
    LivesTooLong,
    /// It is for another subject.
    #[error("the token's subject is not accepted")]
    Subject,
    /// It is for other audiences.
    #[error("the token is not for this server")]
    Audience,
    /// There are no keys to check it with.
    #[error("the issuer's keys are not known")]
    NoKeys,
    /// It names a key that the issuer does not have.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature is not the issuer's.
    #[error("the token's signature is wrong")]
    Signature,
}

impl JwtError {
    /// The HTTP status of the refusal.
    // HF-43
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Audience => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Its value in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Several => "several",
            Self::Algorithm => "algorithm",
            Self::Critical => "critical",
            Self::Issuer => "issuer",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LivesTooLong => "lives_too_long",
            Self::Subject => "subject",
            Self::Audience => "audience",
            Self::NoKeys => "no_keys",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
        }
    }

    /// Whether other keys of the issuer could change the verdict.
    pub(crate) fn is_about_keys(self) -> bool {
        matches!(self, Self::NoKeys | Self::UnknownKey)
    }
}
