//! Patterns over a string (RV-06).

use super::FullRegex;

/// A pattern and whether ASCII case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringMatcher {
    /// What to look for.
    pub pattern: StringPattern,
    /// Ignore ASCII case; has no effect on a regular expression.
    pub ignore_case: bool,
}

/// What to look for in a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StringPattern {
    /// The whole string; may be empty.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// Any part of it.
    Contains(String),
    /// The whole string.
    Regex(FullRegex),
}
