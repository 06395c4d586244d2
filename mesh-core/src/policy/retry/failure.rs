//! Which failures a policy retries.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use rand::{Rng, RngExt};

use crate::config::{RateLimitedBackoff, ResetFormat, RetryConditions, RetryPolicy};
use crate::policy::matcher::HeaderView;

use super::Pushback;

/// A failed attempt, as retry policies see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    /// The protocol's code.
    pub(crate) code: u32,
    /// The server's instruction on retries.
    pub(crate) pushback: Option<Pushback>,
    pub(crate) cause: Cause<'a>,
}

/// What an attempt has failed with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// The endpoint's response.
    Response { status: StatusCode, headers: &'a HeaderMap },
    /// No endpoint could be reached, or the request was not sent.
    Unreachable,
    /// The endpoint refused the stream, and has not looked at it.
    Refused,
    /// The stream or the connection ended before a response.
    Reset,
    /// The attempt has taken too long.
    PerTryTimeout,
    /// Something in this process.
    Local,
}

impl Failure<'_> {
    /// Whether the policy allows another attempt.
    pub(crate) fn is_retried_by(&self, policy: &RetryPolicy) -> bool {
        policy.retry_on.contains(self.code) || self.cause.meets(policy)
    }

    /// RT-55: the wait that the server has set, with jitter.
    pub(crate) fn rate_limited_wait(
        &self,
        since_1970: Duration,
        backoff: &RateLimitedBackoff,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        let Cause::Response { headers, .. } = self.cause else { return None };
        let waits = backoff.headers.iter().filter_map(|header| {
            let number = headers.get(&header.name)?.to_str().ok()?.parse().ok()?;
            let seconds = Duration::from_secs(number);
            let wait = match header.format {
                ResetFormat::Seconds => seconds,
                ResetFormat::UnixTimestamp => seconds.checked_sub(since_1970)?,
            };
            (wait <= backoff.max).then_some(wait)
        });
        let wait = waits.into_iter().next()?;
        Some(wait.mul_f64(rng.random_range(1.0..=1.5)))
    }
}

impl Cause<'_> {
    /// RT-50
    fn meets(&self, policy: &RetryPolicy) -> bool {
        use RetryConditions as On;
        const NO_RESPONSE: On = On::SERVER_ERROR.with(On::GATEWAY_ERROR).with(On::RESET);
        let conditions = match self {
            Self::Response { status, headers } => return meets(policy, *status, headers),
            Self::Unreachable => NO_RESPONSE.with(On::CONNECT_FAILURE).with(On::RESET_BEFORE_REQUEST),
            Self::Refused => NO_RESPONSE.with(On::REFUSED_STREAM),
            // RT-53
            Self::Reset | Self::PerTryTimeout => NO_RESPONSE,
            Self::Local => return false,
        };
        policy.conditions.intersects(conditions)
    }
}

/// Whether a response meets one of Envoy's conditions. One with `x-envoy-overloaded` meets none.
pub(crate) fn meets(policy: &RetryPolicy, status: StatusCode, headers: &HeaderMap) -> bool {
    use RetryConditions as On;
    let on = |condition| policy.conditions.intersects(condition);
    if headers.contains_key("x-envoy-overloaded") {
        return false;
    }
    if headers.contains_key("x-envoy-ratelimited") {
        return on(On::ENVOY_RATELIMITED);
    }
    status.is_server_error() && on(On::SERVER_ERROR)
        || matches!(status.as_u16(), 502..=504) && on(On::GATEWAY_ERROR)
        || status == StatusCode::CONFLICT && on(On::RETRIABLE_4XX)
        || on(On::RETRIABLE_STATUS_CODES) && policy.status_codes.contains(&status)
        || on(On::RETRIABLE_HEADERS)
            && policy.response_headers.iter().any(|header| header.matches(HeaderView::Response(headers)))
}
