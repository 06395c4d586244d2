//! Patterns over a string.
// RV-06

use super::FullRegex;

/// A pattern, with or without regard to ASCII case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringMatcher {
    /// The pattern.
    pub pattern: StringPattern,
    /// Ignore ASCII case; has no effect on a regular expression.
    pub ignore_case: bool,
}

/// A pattern over a string.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringPattern {
    /// The whole string; may be empty.
    Exact(String),
    /// A prefix.
    Prefix(String),
    /// A suffix.
    Suffix(String),
    /// A substring.
    Contains(String),
    /// An expression that matches the whole string.
    Regex(FullRegex),
}

impl StringMatcher {
    /// Whether `text` matches. Allocates nothing.
    pub fn matches(&self, text: &str) -> bool {
        match (&self.pattern, self.ignore_case) {
            (StringPattern::Exact(exact), false) => text == exact,
            (StringPattern::Exact(exact), true) => text.eq_ignore_ascii_case(exact),
            (StringPattern::Prefix(prefix), false) => text.starts_with(prefix.as_str()),
            (StringPattern::Prefix(prefix), true) => starts_with_ignoring_case(text, prefix),
            (StringPattern::Suffix(suffix), false) => text.ends_with(suffix.as_str()),
            (StringPattern::Suffix(suffix), true) => ends_with_ignoring_case(text, suffix),
            (StringPattern::Contains(part), false) => text.contains(part.as_str()),
            (StringPattern::Contains(part), true) => contains_ignoring_case(text, part),
            (StringPattern::Regex(regex), _) => regex.matches(text),
        }
    }
}

pub(super) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    let head = text.as_bytes().get(..prefix.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn ends_with_ignoring_case(text: &str, suffix: &str) -> bool {
    let tail = text.len().checked_sub(suffix.len()).map(|start| &text.as_bytes()[start..]);
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix.as_bytes()))
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    part.is_empty()
        || text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
