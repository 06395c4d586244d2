//! What is wrong with a part of a resource, with a path that grows as the error travels outwards.
//!
//! Nothing is formatted unless there is an error.

use mesh_core::config::ConfigError;

/// What is wrong, with the path below the current value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) field: String,
    pub(super) reason: String,
}

/// A validated part of a resource, or why it is invalid.
pub(super) type Checked<T> = Result<T, Invalid>;

impl Invalid {
    /// The current value is invalid.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { field: String::new(), reason: reason.into() }
    }

    /// A field of the current value is invalid.
    pub(super) fn at(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }

    fn below(mut self, segment: &str) -> Self {
        if !self.field.is_empty() && !self.field.starts_with('[') {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, segment);
        self
    }
}

impl From<ConfigError> for Invalid {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string())
    }
}

/// Adds the path of a part to its error.
pub(super) trait Within<T> {
    /// In this field.
    fn within(self, field: &str) -> Checked<T>;
    /// In this element of a repeated field.
    fn within_element(self, field: &str, index: usize) -> Checked<T>;
    /// Under this key of a map.
    fn within_key(self, field: &str, key: &str) -> Checked<T>;
}

impl<T, E: Into<Invalid>> Within<T> for Result<T, E> {
    fn within(self, field: &str) -> Checked<T> {
        self.map_err(|error| error.into().below(field))
    }

    fn within_element(self, field: &str, index: usize) -> Checked<T> {
        self.map_err(|error| error.into().below(&format!("{field}[{index}]")))
    }

    fn within_key(self, field: &str, key: &str) -> Checked<T> {
        self.map_err(|error| error.into().below(&format!("{field}[{key:?}]")))
    }
}
