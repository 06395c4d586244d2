//! What a certificate provider has to give at one time.

use std::sync::Arc;

use super::{Identity, Roots};

/// What a certificate provider has to give: an identity, roots, or both. Handshakes use it as a whole, so that an identity and
/// roots that were published together are used together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Material {
    /// What the process shows to its peers.
    pub identity: Part<Identity>,
    /// What the process trusts.
    pub roots: Part<Roots>,
}

/// A part of [`Material`], or why there is none.
pub type Part<T> = Result<Arc<T>, MaterialError>;

impl Material {
    /// Neither an identity nor roots, for this reason.
    pub fn missing(reason: impl Into<Arc<str>>) -> Self {
        let error = MaterialError::new(reason);
        Self { identity: Err(error.clone()), roots: Err(error) }
    }

    /// With this identity.
    #[must_use]
    pub fn with_identity(self, identity: impl Into<Arc<Identity>>) -> Self {
        Self { identity: Ok(identity.into()), ..self }
    }

    /// With these roots.
    #[must_use]
    pub fn with_roots(self, roots: impl Into<Arc<Roots>>) -> Self {
        Self { roots: Ok(roots.into()), ..self }
    }
}

impl Default for Material {
    /// Nothing, because nothing is configured.
    fn default() -> Self {
        Self {
            identity: Err(MaterialError::new("it is not configured to give an identity")),
            roots: Err(MaterialError::new("it is not configured to give roots")),
        }
    }
}

/// Why key material cannot be used or is missing: names the file or the provider, and the cause.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MaterialError(Arc<str>);

crate::debug_with_causes!(MaterialError);

impl MaterialError {
    /// An error with this message, which becomes a part of the errors of calls.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self(message.into())
    }
}
