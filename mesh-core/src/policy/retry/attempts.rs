//! One call's attempts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use crate::config::RetryPolicy;

use super::{Backoff, Pushback};

/// The most attempts that a client makes for one call, even if the control plane allows more. 5 by default.
// RT-40
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAttempts(pub NonZeroU32);

impl Default for MaxAttempts {
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(4))
    }
}

/// One call's attempts under a retry policy.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: Arc<RetryPolicy>,
    remaining: u32,
    failed: u32,
    backoff: Backoff,
}

impl Attempts {
    /// The attempts of a call that has made none.
    pub(crate) fn new(policy: Arc<RetryPolicy>, cap: MaxAttempts) -> Self {
        // RT-40
        let attempts = policy.max_attempts.min(cap.0).get();
        let backoff = Backoff::new(policy.backoff);
        Self { policy, remaining: attempts - 1, failed: 0, backoff }
    }

    /// Call it when an attempt fails with this gRPC status before the call is committed. Returns the wait before the
    /// next attempt, or `None` if the failure is the call's result.
    pub(crate) fn on_failure(
        &mut self,
        code: u32,
        pushback: Option<Pushback>,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        if self.remaining == 0 || !self.policy.retry_on.contains(code) {
            return None;
        }
        let wait = match pushback {
            None => self.backoff.next(rng),
            Some(Pushback::After(wait)) => {
                // RT-42
                self.backoff.restart();
                wait
            }
            Some(Pushback::Never) => return None,
        };
        self.remaining -= 1;
        self.failed += 1;
        Some(wait)
    }

    /// The number of earlier attempts; transparent retries do not count (RT-44).
    pub(crate) fn previous(&self) -> u32 {
        self.failed
    }
}
