//! Why a filter's configuration is refused.

use crate::resource::invalid::Invalid;

/// Why a filter's configuration is refused: which field, and what was expected. It becomes part of the NACK's text, with
/// the path to the configuration in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}", .field, if .field.is_empty() { "" } else { ": " })]
pub struct FilterError {
    field: String,
    reason: String,
}

impl FilterError {
    /// The whole configuration is invalid.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { field: String::new(), reason: reason.into() }
    }

    /// A field is invalid; `field` is its path, for example `delay.percentage`.
    pub fn at(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl From<FilterError> for Invalid {
    fn from(error: FilterError) -> Self {
        Self { field: error.field, reason: error.reason }
    }
}

impl From<Invalid> for FilterError {
    fn from(invalid: Invalid) -> Self {
        Self { field: invalid.field, reason: invalid.reason }
    }
}
