//! Why a resource is refused.

use mesh_core::config::Name;

/// Why a resource is refused: which field, and what was expected. The text becomes the NACK's.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{type_name} {}{}: {reason}", .name.as_deref().unwrap_or("(no name)"), field_suffix(.field))]
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
