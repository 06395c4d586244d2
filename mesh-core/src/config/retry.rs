//! When a call is tried again (gRFC A6, A44, and Envoy's `RetryPolicy`).

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use crate::policy::matcher::HeaderMatcher;

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
    /// Envoy's conditions, beside `retry_on`: one that holds is enough.
    // RT-50
    pub conditions: RetryConditions,
    /// HTTP statuses, for [`RetryConditions::RETRIABLE_STATUS_CODES`].
    pub status_codes: Vec<StatusCode>,
    /// Headers of a response, one of which must match, for [`RetryConditions::RETRIABLE_HEADERS`].
    pub response_headers: Vec<HeaderMatcher>,
    /// Headers of a request, one of which must match for it to be tried again; empty: every request may be.
    // RT-57
    pub request_headers: Vec<HeaderMatcher>,
    /// How long one attempt may take until its response begins; `None`: as long as the call.
    // RT-53
    pub per_try_timeout: Option<Duration>,
    /// How long to wait before another attempt is sent beside those that run, the first answer of which counts; `None`: one
    /// attempt follows the other. With it, `backoff` and `per_try_timeout` have no effect: after a failure that `retry_on` or
    /// `conditions` name, the next attempt is sent at once, and any other answer ends all attempts.
    // RT-49, RT-56
    pub hedging: Option<Duration>,
    /// Waits that a server sets in headers of its response, which come before `backoff`.
    // RT-55
    pub rate_limited: Option<RateLimitedBackoff>,
    /// How hard a further attempt looks for an endpoint that the call has not tried.
    // RT-57
    pub other_endpoints: OtherEndpoints,
}

impl RetryPolicy {
    /// Up to `max_attempts` attempts, with the default backoff.
    pub fn new(retry_on: RetryableCodes, max_attempts: NonZeroU32) -> Self {
        Self {
            max_attempts,
            retry_on,
            backoff: RetryBackoff::default(),
            conditions: RetryConditions::none(),
            status_codes: Vec::new(),
            response_headers: Vec::new(),
            request_headers: Vec::new(),
            per_try_timeout: None,
            hedging: None,
            rate_limited: None,
            other_endpoints: OtherEndpoints::default(),
        }
    }

    /// With another backoff.
    #[must_use]
    pub fn with_backoff(self, backoff: RetryBackoff) -> Self {
        Self { backoff, ..self }
    }

    /// With Envoy's conditions, too.
    #[must_use]
    pub fn with_conditions(self, conditions: RetryConditions) -> Self {
        Self { conditions, ..self }
    }

    /// With a timeout for each attempt.
    #[must_use]
    pub fn with_per_try_timeout(self, timeout: Duration) -> Self {
        Self { per_try_timeout: Some(timeout), ..self }
    }

    /// With another attempt beside those that run each time this delay has passed.
    #[must_use]
    pub fn with_hedging(self, delay: Duration) -> Self {
        Self { hedging: Some(delay), ..self }
    }

    /// Whether no failure leads to another attempt.
    pub fn retries_nothing(&self) -> bool {
        let names_none = self.retry_on.is_empty() && self.conditions.is_empty();
        self.max_attempts.get() == 1 || names_none && self.hedging.is_none()
    }
}

/// How hard a further attempt looks for an endpoint that the call has not tried. If there is none, it takes any again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OtherEndpoints {
    /// It picks up to three times. A call with a hash stays at the endpoint of its hash.
    #[default]
    Prefer,
    /// It repeats a pick so many times, calls with a hash with another hash: Envoy's `previous_hosts` with
    /// `host_selection_retry_max_attempts`.
    Repick(u32),
}

/// A wait that a server sets in a header of its response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitedBackoff {
    /// The first of these headers that can be read counts.
    pub headers: Vec<ResetHeader>,
    /// A longer wait is not read; 300 s by default.
    pub max: Duration,
}

impl RateLimitedBackoff {
    /// These headers, for waits up to 300 s.
    pub fn new(headers: Vec<ResetHeader>) -> Self {
        Self { headers, max: Duration::from_secs(300) }
    }
}

/// A header with a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetHeader {
    /// Its name: `retry-after`, for example.
    pub name: HeaderName,
    /// How to read its value.
    pub format: ResetFormat,
}

/// How to read the value of a [`ResetHeader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetFormat {
    /// Seconds from now.
    Seconds,
    /// Seconds since 1970.
    UnixTimestamp,
}

/// A set of Envoy's conditions for retries, by their names in `retry_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryConditions(u16);

impl RetryConditions {
    /// `5xx`: an HTTP status of 500 to 599, or no response.
    pub const SERVER_ERROR: Self = Self(1);
    /// `gateway-error`: 502, 503 or 504, or no response.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// `reset`: no response.
    pub const RESET: Self = Self(1 << 2);
    /// `reset-before-request`: no response, and no endpoint has seen the request.
    pub const RESET_BEFORE_REQUEST: Self = Self(1 << 3);
    /// `connect-failure`: no endpoint could be reached.
    pub const CONNECT_FAILURE: Self = Self(1 << 4);
    /// `envoy-ratelimited`: the response has `x-envoy-ratelimited`.
    pub const ENVOY_RATELIMITED: Self = Self(1 << 5);
    /// `retriable-4xx`: 409.
    pub const RETRIABLE_4XX: Self = Self(1 << 6);
    /// `refused-stream`: the endpoint refused the stream before it did anything.
    pub const REFUSED_STREAM: Self = Self(1 << 7);
    /// `retriable-status-codes`: a status of [`RetryPolicy::status_codes`].
    pub const RETRIABLE_STATUS_CODES: Self = Self(1 << 8);
    /// `retriable-headers`: a header of [`RetryPolicy::response_headers`].
    pub const RETRIABLE_HEADERS: Self = Self(1 << 9);

    /// The empty set.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether there is no condition.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether both sets have a condition in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
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
