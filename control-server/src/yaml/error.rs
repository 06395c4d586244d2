//! Why a tree cannot be decoded to a type.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::node::Node;
use super::path::FieldPath;
use crate::finding::Finding;
use crate::state::Code;

/// Why decoding ended.
#[derive(Debug)]
pub(super) struct Error {
    message: String,
    missing: Option<&'static str>,
    place: Option<FieldPath>,
}

impl Error {
    pub(super) fn new(message: String) -> Self {
        Self { message, missing: None, place: None }
    }

    pub(super) fn expected(node: &Node, expected: &str) -> Self {
        Self::new(format!("found {node}, expected {expected}"))
    }

    /// Sets the position of the error, unless a deeper one is known; a missing field belongs to `path`.
    pub(super) fn placed(mut self, path: impl FnOnce() -> FieldPath) -> Self {
        if self.place.is_none() {
            self.place = Some(match self.missing {
                Some(field) => path().field(field),
                None => path(),
            });
        }
        self
    }

    /// As a finding; an error without a position is about `base`.
    pub(super) fn into_finding(self, base: &FieldPath) -> Finding {
        let code = if self.missing.is_some() { Code::MissingField } else { Code::InvalidValue };
        Finding::error(self.place.unwrap_or_else(|| base.clone()), self.message).code(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(value) => format!("the boolean {value}"),
            Unexpected::Signed(value) => format!("the number {value}"),
            Unexpected::Unsigned(value) => format!("the number {value}"),
            Unexpected::Float(value) => format!("the number {value}"),
            Unexpected::Str(value) => format!("the text `{value}`"),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map | Unexpected::StructVariant => "a mapping".to_owned(),
            other => other.to_string(),
        };
        Self::new(format!("found {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new("required, but not set".to_owned()) }
    }
}
