//! A share of calls that a header can lower.

use crate::policy::matcher::Fraction;

/// A share as it was configured: a header can lower the numerator, and keeps the denominator.
// HF-12
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentage {
    numerator: u32,
    /// How many parts per million a numerator of one means; zero if no percentage is configured.
    scale: u32,
}

impl Percentage {
    /// Every call.
    pub const ALL: Self = Self::of_hundred(100);

    /// So many of 100.
    pub const fn of_hundred(numerator: u32) -> Self {
        Self { numerator, scale: 10_000 }
    }

    /// So many of 10,000.
    pub const fn of_ten_thousand(numerator: u32) -> Self {
        Self { numerator, scale: 100 }
    }

    /// So many of 1,000,000.
    pub const fn of_million(numerator: u32) -> Self {
        Self { numerator, scale: 1 }
    }

    /// The share of calls, with the numerator lowered to `numerator` if it is higher.
    pub(super) fn capped_at(self, numerator: Option<u32>) -> Fraction {
        let numerator = numerator.map_or(self.numerator, |cap| cap.min(self.numerator));
        Fraction::per_million(numerator.saturating_mul(self.scale))
    }

    /// Whether the share is zero.
    pub(super) fn is_zero(self) -> bool {
        self.capped_at(None) == Fraction::per_million(0)
    }
}
