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
