//! Retries: which failure leads to another attempt, and after which wait (gRFC A6, A44).
//!
//! `Attempts` counts one call's attempts under its route's policy. `Transparent` allows retries that need no policy,
//! because the server did not process the call. [`RetryBudget`] limits retries during an outage, and so does
//! [`RetryThrottling`], in gRPC's way.
//!
//! ```text
//!            retryable code, attempts left            budget allows, wait over
//!  Attempt ----------------------------------> Wait --------------------------> Attempt
//!     | response headers, or request too long
//!     v
//!  Committed: the caller sees every later failure
//! ```
// RT-43

mod attempts;
#[cfg(test)]
mod condition_tests;
mod failure;
#[cfg(test)]
mod tests;
mod throttle;

pub(crate) use attempts::{Attempts, Transparent};
pub use attempts::{MaxAttempts, Pushback};
pub(crate) use failure::{Cause, Failure, meets};
pub use throttle::RetryThrottling;
pub(crate) use throttle::RetryTokens;

/// The share of a cluster's active calls that may be in a retry: waiting for one or making one.
///
/// Calls that wait for a retry count too, so that an outage does not multiply the load: with 20 %, a cluster whose calls
/// all fail gets at most 1.2 requests per call, plus the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Share of active calls, in percent; 20 by default.
    pub percent: u32,
    /// This many retries are always allowed; 3 by default.
    pub minimum: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, minimum: 3 }
    }
}

impl RetryBudget {
    /// This share of the active calls, in percent, and always so many as the minimum.
    pub fn new(percent: u32, minimum: u32) -> Self {
        Self { percent, minimum }
    }

    /// So many retries, however many calls are active: Envoy's `max_retries`.
    // LB-27
    pub fn at_most(retries: u32) -> Self {
        Self::new(0, retries)
    }

    /// Whether another of `active` calls may retry while `retrying` of them are in a retry.
    pub(crate) fn allows(self, active: u32, retrying: u32) -> bool {
        let share = u64::from(active) * u64::from(self.percent) / 100;
        u64::from(retrying) < share.max(u64::from(self.minimum))
    }
}
