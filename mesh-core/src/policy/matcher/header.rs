//! Patterns over a request's headers.

use std::ops::Range;

use http::HeaderName;

use super::{HeaderView, StringMatcher};

/// A rule over one header (gRFC A28, A41, A63).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderMatcher {
    /// The header's name.
    pub name: HeaderName,
    /// The condition on its value.
    pub condition: HeaderCondition,
}

/// A condition on a header, which may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderCondition {
    /// The rule over its value.
    pub rule: HeaderRule,
    /// Negates the result; a missing header still never matches, except for `Present`.
    // RT-13
    pub invert: bool,
    /// A missing header counts as an empty one, except for `Present`.
    // RT-15
    pub missing_as_empty: bool,
}

/// A rule over a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderRule {
    /// A pattern over the values joined by `,`.
    // RT-10
    Value(StringMatcher),
    /// A decimal number in this range.
    // RT-14
    Range(Range<i64>),
    /// The header is present, or absent for `false`.
    Present(bool),
}

impl HeaderMatcher {
    /// A rule over the header `name`.
    pub fn new(name: HeaderName, condition: impl Into<HeaderCondition>) -> Self {
        Self { name, condition: condition.into() }
    }

    /// With or without the result negated; see [`HeaderCondition::invert`].
    #[must_use]
    pub fn with_invert(self, invert: bool) -> Self {
        Self { condition: self.condition.with_invert(invert), ..self }
    }

    /// Whether a request with these headers matches.
    pub fn matches(&self, headers: HeaderView<'_>) -> bool {
        self.condition.matches(headers.value(&self.name).as_deref())
    }
}

impl HeaderCondition {
    /// With or without the result negated; see [`invert`](Self::invert).
    #[must_use]
    pub fn with_invert(self, invert: bool) -> Self {
        Self { invert, ..self }
    }

    /// With missing headers as empty ones, or as missing; see [`missing_as_empty`](Self::missing_as_empty).
    #[must_use]
    pub fn with_missing_as_empty(self, missing_as_empty: bool) -> Self {
        Self { missing_as_empty, ..self }
    }

    /// Whether a header with this value matches; `None`: the request does not have it.
    pub fn matches(&self, value: Option<&str>) -> bool {
        match (value, &self.rule) {
            // RT-13: a missing header never matches, not even inverted, unless `present == invert`.
            (None, HeaderRule::Present(present)) => *present == self.invert,
            // RT-15
            (None, rule) if self.missing_as_empty => rule.accepts("") != self.invert,
            (None, _) => false,
            (Some(value), rule) => rule.accepts(value) != self.invert,
        }
    }
}

impl From<HeaderRule> for HeaderCondition {
    fn from(rule: HeaderRule) -> Self {
        Self { rule, invert: false, missing_as_empty: false }
    }
}

impl HeaderRule {
    pub(crate) fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Value(matcher) => matcher.matches(value),
            // RT-14: a value that is not a number is outside every range.
            Self::Range(range) => value.parse().is_ok_and(|number: i64| range.contains(&number)),
            Self::Present(present) => *present,
        }
    }
}
