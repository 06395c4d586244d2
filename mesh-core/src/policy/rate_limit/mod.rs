//! Rate limits of one process: token buckets, and which of them a call takes tokens from.
//!
//! ```text
//!  call ──▶ rules make descriptors of it     (x-tenant: a)          ──▶ limits that match
//!                                            (method: Pay, tier: free)        │ one token from each, the slowest first
//!                                                                            ▼
//!                                            default bucket          ──▶ passes, or is refused by the first that is empty
//! ```
//!
//! A limit whose descriptor has entries without a value has a bucket for each value that is seen.

mod bucket;
mod descriptor;
mod limiter;
mod per_value;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use http::StatusCode;

use crate::config::{HeaderMutation, Name};
use crate::policy::matcher::Fraction;

pub use bucket::{InvalidLimit, TokenLimit};
pub(crate) use bucket::{Standing, TokenBucket};
pub(crate) use descriptor::CallView;
pub use descriptor::{DescriptorAction, DescriptorRule};
pub(crate) use limiter::{BucketSource, PerValue, RateLimiter, Verdict};

/// Limits how many calls pass a filter, in this process. [`new`](Self::new) has the defaults.
// HF-38, HF-39
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RateLimitPolicy {
    /// For metrics and logs.
    pub name: Name,
    /// For calls without a limit of their own, and, with `always_takes_default`, for all. `None`: they pass.
    pub bucket: Option<TokenLimit>,
    /// Limits of calls with certain descriptors; each has its own bucket.
    pub descriptors: Vec<DescriptorLimit>,
    /// How descriptors are made of a call.
    pub rules: Vec<DescriptorRule>,
    /// Calls with a limit of their own take a token from `bucket` too. True by default.
    pub always_takes_default: bool,
    /// For so many values a limit with open entries keeps buckets, at least; at most for twice as many. 20 by default.
    pub max_dynamic_buckets: NonZeroU32,
    /// The share of calls that are looked at. All by default.
    pub enabled: Fraction,
    /// Of the calls that are over a limit, the share that is refused; the others are only counted. All by default.
    pub enforced: Fraction,
    /// What a refused call gets.
    pub refusal: RateLimitRefusal,
    /// Added to the request of a call that is over a limit and passes, because the limit is not enforced.
    pub request_headers_when_not_enforced: Vec<HeaderMutation>,
    /// Responses have `x-ratelimit-limit`, `-remaining` and `-reset`: of the limit that has refused the call, or of the one that
    /// is closest to its end. False by default.
    pub shows_limits: bool,
}

impl RateLimitPolicy {
    /// Every call takes a token from this bucket, and is refused if there is none.
    pub fn new(name: impl Into<Name>, bucket: impl Into<Option<TokenLimit>>) -> Self {
        Self {
            name: name.into(),
            bucket: bucket.into(),
            descriptors: Vec::new(),
            rules: Vec::new(),
            always_takes_default: true,
            max_dynamic_buckets: NonZeroU32::MIN.saturating_add(19),
            enabled: Fraction::ALL,
            enforced: Fraction::ALL,
            refusal: RateLimitRefusal::default(),
            request_headers_when_not_enforced: Vec::new(),
            shows_limits: false,
        }
    }

    /// Whether some call can be refused, or counted as over a limit.
    pub(crate) fn can_refuse(&self) -> bool {
        // HF-38
        self.enabled > Fraction::per_million(0) && (self.bucket.is_some() || !self.descriptors.is_empty())
    }

    /// With a limit of its own for calls with this descriptor, and the rule that makes it.
    #[must_use]
    pub fn with_limit(mut self, rule: DescriptorRule, limit: DescriptorLimit) -> Self {
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
        self.descriptors.push(limit);
        self
    }
}

/// What a refused call gets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RateLimitRefusal {
    /// The HTTP status; 429 by default.
    pub status: StatusCode,
    /// gRPC callers get RESOURCE_EXHAUSTED in place of what the HTTP status means. False by default.
    pub is_resource_exhausted: bool,
    /// Added to the response.
    pub headers: Vec<HeaderMutation>,
    /// The response has `retry-after`: the seconds until the limit lets such a call pass, at least 1. False by default.
    pub retry_after: bool,
}

impl Default for RateLimitRefusal {
    fn default() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            is_resource_exhausted: false,
            headers: Vec::new(),
            retry_after: false,
        }
    }
}

/// The limit of calls with one descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorLimit {
    /// The descriptor's entries, all of them, in their order. An entry without a value is open: any value matches, and each has a
    /// bucket of its own.
    pub entries: Vec<(Name, Option<Name>)>,
    /// The bucket.
    pub limit: TokenLimit,
    /// Calls that are over the limit are counted, and pass. False by default.
    pub shadow: bool,
}

impl DescriptorLimit {
    /// The limit of calls with this descriptor.
    pub fn new(entries: impl IntoIterator<Item = (Name, Option<Name>)>, limit: TokenLimit) -> Self {
        Self { entries: entries.into_iter().collect(), limit, shadow: false }
    }

    fn is_open(&self) -> bool {
        self.entries.iter().any(|(_, value)| value.is_none())
    }
}
