//! JSON Web Tokens: which tokens of a request a server believes (RFC 7515, 7517, 7519; Envoy's `jwt_authn`).
//!
//! ```text
//!  request ──▶ locations: the tokens that it has ──▶ requirement: which providers must believe them
//!                                                        │ each provider
//!              key set of the provider ──────────────────▶ signature, issuer, audience, times ──▶ claims, or the refusal
//! ```
//!
//! Invariants:
//! - the key decides which algorithms fit it, never the token alone; tokens without a signature and those signed with a shared
//!   secret are refused whatever the configuration says;
//! - without keys no token is believed;
//! - a token that is found and not believed refuses the request, unless the requirement says that failures do not matter.

mod address;
mod algorithm;
mod claims;
mod error;
mod key_refresh;
mod key_set;
mod location;
mod provider;
mod requirement;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use address::is_fetchable;
pub use error::JwtError;
pub(crate) use key_refresh::{KeyRefresh, UnknownKey};
pub use key_set::{InvalidKeySet, KeySet};
pub use location::TokenLocation;
pub(crate) use location::{FoundToken, remove};
pub use provider::{Audiences, ClaimHeader, JwtProvider, KeySource, NoAudience, PayloadHeader, RemoteKeys};
pub use requirement::JwtRequirement;
pub(crate) use requirement::{Accepted, CheckContext, Refused, RequirementPlan};
pub(crate) use token::Token;
