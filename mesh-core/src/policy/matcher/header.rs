//! Patterns over a request's headers.

use std::ops::Range;

use http::HeaderName;

use super::{HeaderView, StringMatcher};

/// A rule over one header (gRFC A28, A41, A63).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatcher {
    /// Which header.
    pub name: HeaderName,
    /// What its value must be.
    pub rule: HeaderRule,
    /// Whether the result is turned round; a missing header still never matches (RT-13).
    pub invert: bool,
}

/// What a header's value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderRule {
    /// A pattern over the values joined by `,` (RT-10).
    Value(StringMatcher),
    /// A decimal number in this range (RT-14).
    Range(Range<i64>),
    /// Whether the header is there at all.
    Present(bool),
}

impl HeaderMatcher {
    /// Whether a request with these headers matches.
    pub fn matches(&self, headers: HeaderView<'_>) -> bool {
        match (headers.value(&self.name), &self.rule) {
            // RT-13: a missing header matches nothing, not even inverted, except `present == invert`
            (None, HeaderRule::Present(present)) => *present == self.invert,
            (None, _) => false,
            (Some(value), rule) => rule.accepts(&value) != self.invert,
        }
    }
}

impl HeaderRule {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Value(matcher) => matcher.matches(value),
            // RT-14: what is not a number is outside of every range
            Self::Range(range) => value.parse().is_ok_and(|number: i64| range.contains(&number)),
            Self::Present(present) => *present,
        }
    }
}
