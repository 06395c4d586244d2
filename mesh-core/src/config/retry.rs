//! When a call is tried again (gRFC A6, A44).

use std::num::NonZeroU32;
use std::time::Duration;

/// When and how often a call is tried again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// All attempts, the first included. The client caps it at 5.
    // RT-40
    pub max_attempts: NonZeroU32,
    /// Which statuses lead to another attempt. Empty: none, but a less specific policy is still overridden.
    // RDS-16
    pub retry_on: RetryableCodes,
    /// How long to wait in between.
    pub backoff: RetryBackoff,
}

impl RetryPolicy {
    /// Up to `max_attempts` attempts, with the default backoff.
    pub fn new(retry_on: RetryableCodes, max_attempts: NonZeroU32) -> Self {
        Self { max_attempts, retry_on, backoff: RetryBackoff::default() }
    }

    /// With another backoff.
    #[must_use]
    pub fn with_backoff(self, backoff: RetryBackoff) -> Self {
        Self { backoff, ..self }
    }
}

/// The wait before attempt n+1: `min(initial * 2^(n-1), max)`, times a random factor of 0.8 to 1.2.
// RT-41
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBackoff {
    /// The first wait; 25 ms by default.
    pub initial: Duration,
    /// The longest wait before jitter; 250 ms by default.
    pub max: Duration,
}

impl Default for RetryBackoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

/// A set of gRPC status codes (0 to 16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryableCodes(u32);

impl RetryableCodes {
    /// CANCELLED.
    pub const CANCELLED: Self = Self(1 << 1);
    /// DEADLINE_EXCEEDED.
    pub const DEADLINE_EXCEEDED: Self = Self(1 << 4);
    /// RESOURCE_EXHAUSTED.
    pub const RESOURCE_EXHAUSTED: Self = Self(1 << 8);
    /// INTERNAL.
    pub const INTERNAL: Self = Self(1 << 13);
    /// UNAVAILABLE.
    pub const UNAVAILABLE: Self = Self(1 << 14);

    /// The empty set.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether nothing leads to a retry.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `code` is in the set.
    pub const fn contains(self, code: u32) -> bool {
        code < 32 && self.0 & (1 << code) != 0
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
