//! Retries: which failure leads to another attempt, and after which wait (gRFC A6, A44).
//!
//! `Attempts` counts one call's attempts under its route's policy. `Transparent` allows retries that need no policy,
//! because the server did not process the call. [`RetryBudget`] limits retries during an outage.
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
mod backoff;
mod budget;
mod pushback;
mod transparent;

pub(crate) use attempts::Attempts;
pub use attempts::MaxAttempts;
pub(crate) use backoff::Backoff;
pub use budget::RetryBudget;
pub use pushback::Pushback;
pub(crate) use transparent::Transparent;

#[cfg(test)]
mod tests;
