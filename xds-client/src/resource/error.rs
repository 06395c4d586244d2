//! Why a resource is refused.

use mesh_core::config::Name;

/// Why a resource is refused: which field, and what was expected. The text becomes the NACK's.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{type_name} {}{}: {reason}", .name.as_deref().unwrap_or("(no name)"), field_suffix(.field))]
#[non_exhaustive]
pub struct DecodeError {
    /// The message's short name, for example `Cluster`.
    pub type_name: &'static str,
    /// The resource, if its name could be read.
    pub name: Option<Name>,
    /// Path of the field, for example `circuit_breakers.thresholds[0].max_requests`; empty for the whole resource.
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
}

mesh_core::debug_with_causes!(DecodeError);

impl DecodeError {
    /// An error of the whole resource, whose name is not known yet; `type_name` is the message's short name.
    pub fn new(type_name: &'static str, reason: impl Into<String>) -> Self {
        Self { type_name, name: None, field: String::new(), reason: reason.into() }
    }

    /// For the resource of this name.
    #[must_use]
    pub fn with_name(self, name: impl Into<Name>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// At the field of this path.
    #[must_use]
    pub fn with_field(self, field: impl Into<String>) -> Self {
        Self { field: field.into(), ..self }
    }
}

fn field_suffix(field: &str) -> String {
    match field {
        "" => String::new(),
        field => format!(": {field}"),
    }
}

/// What follows the last dot of a type URL.
pub(super) fn short_name(type_url: &'static str) -> &'static str {
    type_url.rsplit(['.', '/']).next().unwrap_or_default()
}
