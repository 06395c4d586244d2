//! Patterns over a request's path.

use super::FullRegex;

/// A pattern over `/<service>/<method>` or any other path (RT-09).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatcher {
    /// The whole path.
    Exact {
        /// The path.
        path: String,
        /// Ignore ASCII case.
        ignore_case: bool,
    },
    /// Its beginning; an empty prefix matches everything.
    Prefix {
        /// The prefix.
        prefix: String,
        /// Ignore ASCII case.
        ignore_case: bool,
    },
    /// The whole path.
    Regex(FullRegex),
}
