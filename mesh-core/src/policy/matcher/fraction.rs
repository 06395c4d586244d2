//! A share of requests.

use rand::{Rng, RngExt};

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
