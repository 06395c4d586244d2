//! Patterns over a request's path.

use std::fmt::{self, Display, Formatter};

use super::FullRegex;
use super::string::starts_with_ignoring_case;

/// A pattern over `/<service>/<method>` or any other path.
// RT-09
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMatcher {
    /// The whole path.
    Exact {
        /// The path.
        path: String,
        /// Ignore ASCII case.
        ignore_case: bool,
    },
    /// A prefix of the path; an empty one matches every path.
    Prefix {
        /// The prefix.
        prefix: String,
        /// Ignore ASCII case.
        ignore_case: bool,
    },
    /// A prefix of whole segments: `/a` matches `/a` and `/a/b`, not `/ab`.
    // RT-18
    SeparatedPrefix {
        /// The prefix, which does not end with `/`.
        prefix: String,
        /// Ignore ASCII case.
        ignore_case: bool,
    },
    /// An expression that matches the whole path.
    Regex(FullRegex),
}

impl Display for PathMatcher {
    /// `/shop.Cart/Get`, `/shop.Cart/*`, or the expression.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { path, .. } => f.write_str(path),
            Self::Prefix { prefix, .. } => write!(f, "{prefix}*"),
            Self::SeparatedPrefix { prefix, .. } => write!(f, "{prefix}/*"),
            Self::Regex(regex) => f.write_str(regex.as_str()),
        }
    }
}

impl PathMatcher {
    /// Whether `path`, which has no query and no fragment, matches.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact { path: exact, ignore_case: false } => path == exact,
            Self::Exact { path: exact, ignore_case: true } => path.eq_ignore_ascii_case(exact),
            Self::Prefix { prefix, ignore_case: false } => path.starts_with(prefix.as_str()),
            Self::Prefix { prefix, ignore_case: true } => starts_with_ignoring_case(path, prefix),
            Self::SeparatedPrefix { prefix, ignore_case } => {
                let is_prefix = match ignore_case {
                    false => path.starts_with(prefix.as_str()),
                    true => starts_with_ignoring_case(path, prefix),
                };
                is_prefix && ends_segment(path, prefix.len())
            }
            Self::Regex(regex) => regex.matches(path), // RT-09: expressions ignore `ignore_case`
        }
    }
}

/// Whether a segment of the path ends after so many bytes.
pub(crate) fn ends_segment(path: &str, length: usize) -> bool {
    path.as_bytes().get(length).is_none_or(|next| *next == b'/')
}
