//! Why a configuration makes no filter.

/// Why a configuration makes no filter. Calls that the filter was for fail with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    /// What is wrong.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
