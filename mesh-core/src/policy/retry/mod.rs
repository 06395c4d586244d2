//! Retries: which failure leads to another attempt, and after which wait (gRFC A6, A44).
//!
//! [`Attempts`] is one call's way through its route's policy. [`Transparent`] are the retries that need no policy,
//! because the server has not seen the call. [`RetryBudget`] keeps retries from feeding an outage.
//!
//! ```text
//!            retryable code, attempts left            budget allows, wait over
//!  Attempt ----------------------------------> Wait --------------------------> Attempt
//!     | response headers, or request too long
//!     v
//!  Committed (RT-43): whatever happens now is the caller's to see
//! ```

mod attempts;
mod backoff;
mod budget;
mod pushback;
mod transparent;

pub use attempts::{Attempts, MaxAttempts};
pub use backoff::Backoff;
pub use budget::RetryBudget;
pub use pushback::Pushback;
pub use transparent::Transparent;

#[cfg(test)]
mod tests;
