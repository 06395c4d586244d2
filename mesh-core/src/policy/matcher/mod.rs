//! Matchers: parsed once, evaluated per request without allocation where the pattern allows it.

mod header;
mod header_view;
mod metadata;
mod path;
mod query;
mod regex;
mod string;
#[cfg(test)]
mod tests;

use rand::{Rng, RngExt};

pub use header::{HeaderCondition, HeaderMatcher, HeaderRule};
pub use header_view::HeaderView;
pub(crate) use header_view::joined_values;
pub use metadata::{DynamicMetadata, MetadataMatcher, ValueMatcher};
pub use path::PathMatcher;
pub(crate) use path::ends_segment;
pub use query::QueryMatcher;
pub use regex::{CapturingRegex, FullRegex, RegexCache};
pub use string::{StringMatcher, StringPattern};

/// A share in parts per million.
// RDS-09
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// `parts` of a million; more than that is everything.
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts > 1_000_000 { 1_000_000 } else { parts })
    }

    /// The share in parts per million.
    pub const fn as_per_million(self) -> u32 {
        self.0
    }

    /// One draw: never for 0, always for a million (RT-08).
    pub(crate) fn draw(self, rng: &mut dyn Rng) -> bool {
        rng.random_range(0..1_000_000) < self.0
    }
}
