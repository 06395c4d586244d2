//! Patterns over a request's headers.

use std::ops::Range;

use http::HeaderName;

use super::StringMatcher;

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
