//! One call's attempts: how many, after which wait, and the server's pushback.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rand::Rng;

use crate::config::{RetryBackoff, RetryPolicy};
use crate::policy::backoff::{Backoff, BackoffSettings};

use super::Failure;

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
        Self { policy, remaining: attempts - 1, failed: 0, backoff: Backoff::default() }
    }

    /// Call it when an attempt fails before the call is committed. Returns the wait before the next attempt, or `None` if
    /// the failure is the call's result. `since_1970` is the present time, for waits until a time that a server has set.
    pub(crate) fn on_failure(
        &mut self,
        since_1970: Duration,
        failure: &Failure<'_>,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        if self.remaining == 0 || !failure.is_retried_by(&self.policy) {
            return None;
        }
        let rate_limited = self.policy.rate_limited.as_ref();
        let wait = match failure.pushback {
            None => {
                match rate_limited.and_then(|backoff| failure.rate_limited_wait(since_1970, backoff, rng)) {
                    Some(wait) => wait,
                    None => self.backoff.next(&settings(self.policy.backoff), rng),
                }
            }
            Some(Pushback::After(wait)) => {
                // RT-42
                self.backoff = Backoff::default();
                wait
            }
            Some(Pushback::Never) => return None,
        };
        self.remaining -= 1;
        self.failed += 1;
        Some(wait)
    }

    /// Whether another attempt may follow.
    pub(crate) fn has_more(&self) -> bool {
        self.remaining > 0
    }

    /// Another attempt starts beside those that run. Returns how many came before it.
    pub(crate) fn start_hedge(&mut self) -> u32 {
        self.remaining = self.remaining.saturating_sub(1);
        self.failed += 1;
        self.failed
    }

    /// No further attempt.
    pub(crate) fn stop(&mut self) {
        self.remaining = 0;
    }

    pub(crate) fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    /// The number of earlier attempts; transparent retries do not count (RT-44).
    pub(crate) fn previous(&self) -> u32 {
        self.failed
    }
}

/// One call's transparent retries: they need no policy and do not count as its attempts (RT-45).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transparent {
    refused: bool,
}

impl Transparent {
    /// The request never left this process: retry, until the deadline.
    pub(crate) fn on_unsent(self) -> bool {
        true
    }

    /// The server reported that it did not process the request (REFUSED_STREAM, or GOAWAY below the stream's id): retry at
    /// once, but only the first time.
    pub(crate) fn on_refused(&mut self) -> bool {
        !std::mem::replace(&mut self.refused, true)
    }
}

/// A server's instruction on the next attempt (gRFC A6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    /// Retry after exactly this wait.
    After(Duration),
    /// Do not retry.
    Never,
}

impl Pushback {
    /// Reads `grpc-retry-pushback-ms`; `None` without the header.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (first, more) = (values.next()?, values.next());
        // RT-42: an unreadable value means "do not retry".
        let milliseconds: Option<i32> = match more {
            None => first.to_str().ok().and_then(plain_number),
            Some(_) => None,
        };
        match milliseconds.map(u64::try_from) {
            Some(Ok(wait)) => Some(Self::After(Duration::from_millis(wait))),
            Some(Err(_)) | None => Some(Self::Never),
        }
    }
}

/// C45: `200`, not `0200` or `+200`.
fn plain_number(text: &str) -> Option<i32> {
    let is_plain = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A retry's waits: `min(initial * 2^(n-1), max)`, times a random factor of 0.8 to 1.2.
// RT-40, RT-41
pub(super) fn settings(backoff: RetryBackoff) -> BackoffSettings {
    let RetryBackoff { initial, max } = backoff;
    BackoffSettings { initial, multiplier: 2.0, jitter: 0.2, max }
}

/// The response header with the server's instruction.
const HEADER: &str = "grpc-retry-pushback-ms";
