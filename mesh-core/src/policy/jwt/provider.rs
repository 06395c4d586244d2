//! Whose tokens are believed, and what the application is told of them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};

use crate::policy::matcher::StringMatcher;

use super::{KeySet, TokenLocation};

/// An issuer whose tokens are believed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JwtProvider {
    /// What the claim `iss` must be; `None`: anything.
    pub issuer: Option<String>,
    /// One of these must be among the token's audiences (`aud`); `None`: the audiences are not looked at. A token of a workload (its
    /// subject is a SPIFFE id) is refused then, because its audiences must be checked.
    // J3
    pub audiences: Option<Audiences>,
    /// What the claim `sub` must be; `None`: anything.
    pub subjects: Option<StringMatcher>,
    /// Whether tokens need a time of expiry. Those of workloads always do.
    pub require_expiration: bool,
    /// How long a token may still live; `None`: as long as it says. With it tokens need a time of expiry.
    pub max_lifetime: Option<Duration>,
    /// How far the issuer's clock may be off: 60 s.
    pub leeway: Duration,
    /// The issuer's keys.
    pub keys: KeySource,
    /// Where requests have its tokens.
    pub locations: Vec<TokenLocation>,
    /// Whether the application gets the token, too.
    pub forward: bool,
    /// A header with the token's payload, for the application.
    pub payload_header: Option<PayloadHeader>,
    /// Headers with claims, for the application.
    pub claim_headers: Vec<ClaimHeader>,
    /// The field of the metadata in which later filters find the claims.
    pub payload_field: Option<String>,
    /// The field of the metadata in which later filters find the token's header.
    pub header_field: Option<String>,
    /// Claims that are lists with spaces between their elements, such as `scope`: later filters find lists.
    pub split_claims: Vec<String>,
}

impl JwtProvider {
    /// An issuer with these keys, and defaults for everything else.
    pub fn new(issuer: impl Into<String>, keys: KeySource) -> Self {
        Self {
            issuer: Some(issuer.into()),
            audiences: None,
            subjects: None,
            require_expiration: false,
            max_lifetime: None,
            leeway: DEFAULT_LEEWAY,
            keys,
            locations: TokenLocation::defaults().into(),
            forward: false,
            payload_header: None,
            claim_headers: Vec::new(),
            payload_field: None,
            header_field: None,
            split_claims: Vec::new(),
        }
    }

    /// Its tokens must be for one of these.
    #[must_use]
    pub fn with_audiences(self, audiences: Audiences) -> Self {
        Self { audiences: Some(audiences), ..self }
    }

    /// Later filters find the claims in this field of the metadata.
    #[must_use]
    pub fn with_payload_field(self, field: impl Into<String>) -> Self {
        Self { payload_field: Some(field.into()), ..self }
    }

    /// The headers that only this filter may write.
    pub(crate) fn own_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let payload = self.payload_header.iter().map(|header| &header.name);
        payload.chain(self.claim_headers.iter().map(|header| &header.name))
    }
}

/// Audiences that a token may be for: one of these is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audiences(Vec<String>);

/// A list of audiences without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no audience is named")]
pub struct NoAudience;

impl Audiences {
    /// One of these.
    ///
    /// # Errors
    /// [`NoAudience`] when there is none, or an empty text: that would be no check at all.
    // J3
    pub fn new(audiences: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, NoAudience> {
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        match audiences.is_empty() || audiences.iter().any(String::is_empty) {
            true => Err(NoAudience),
            false => Ok(Self(audiences)),
        }
    }

    pub(super) fn contain(&self, audience: &str) -> bool {
        self.0.iter().any(|own| own == audience)
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum KeySource {
    /// In the configuration.
    Inline(Arc<KeySet>),
    /// At a URL, from which the server fetches them.
    Remote(RemoteKeys),
}

/// A URL with a key set. The server fetches it at once, when it has become old, and when a token names an unknown key. Keys stay in
/// use until other ones have come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RemoteKeys {
    /// `https` or `http`, with a host.
    pub url: Uri,
    /// How long a fetch may take: 5 s.
    pub timeout: Duration,
    /// When the keys are fetched again: after 10 minutes.
    pub cache_duration: Duration,
    /// When a fetch is repeated that has failed: after 1 s, then after twice that, up to 30 s.
    pub first_retry: Duration,
}

impl RemoteKeys {
    /// The keys at this URL.
    // HF-43
    pub fn new(url: Uri) -> Self {
        Self {
            url,
            timeout: Duration::from_secs(5),
            cache_duration: Duration::from_secs(600),
            first_retry: Duration::from_secs(1),
        }
    }
}

/// A header with the payload of a token in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadHeader {
    /// The header.
    pub name: HeaderName,
    /// Whether it is padded with `=`.
    pub is_padded: bool,
}

impl PayloadHeader {
    /// This header, without padding.
    pub fn new(name: HeaderName) -> Self {
        Self { name, is_padded: false }
    }
}

/// A header with a claim: a text, number or truth value as it is, anything else as JSON in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimHeader {
    /// The header.
    pub name: HeaderName,
    /// The steps to the claim, each taken literally.
    // J7
    pub path: Vec<String>,
}

impl ClaimHeader {
    /// The claim at these steps.
    pub fn new(name: HeaderName, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { name, path: path.into_iter().map(Into::into).collect() }
    }
}

// HF-43
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
