//! Retry policies of virtual hosts and routes (gRFC A44, and Envoy's conditions and timeouts).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mesh_core::config::{
    OtherEndpoints, RateLimitedBackoff, ResetFormat, ResetHeader, RetryBackoff, RetryConditions, RetryPolicy,
    RetryableCodes,
};
use mesh_core::policy::matcher::HeaderMatcher;
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::retry_policy::ResetHeaderFormat;
use xds_proto::google::protobuf::Duration as ProtoDuration;

use crate::resource::fields::{duration, optional_duration};
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::{self, HeaderCheck, header_name};

use super::Scope;

/// The message's policy, if it has one. A policy without any known condition retries nothing, but it is a policy and
/// overrides that of the virtual host (RDS-16).
pub(super) fn policy(
    policy: Option<&proto::RetryPolicy>,
    scope: &Scope<'_>,
) -> Checked<Option<Arc<RetryPolicy>>> {
    policy
        .map(|policy| read(policy, scope))
        .transpose()
        .map(|policy| policy.map(Arc::new))
        .within("retry_policy")
}

// RDS-15
fn read(policy: &proto::RetryPolicy, scope: &Scope<'_>) -> Checked<RetryPolicy> {
    let retries = match policy.num_retries {
        None => NonZeroU32::MIN,
        Some(retries) => {
            NonZeroU32::new(retries.value).ok_or_else(|| Invalid::at("num_retries", "must be at least 1"))?
        }
    };
    let backoff = policy
        .retry_back_off
        .as_ref()
        .map_or_else(|| Ok(RetryBackoff::default()), backoff)
        .within("retry_back_off")?;
    let mut read = RetryPolicy::new(codes(&policy.retry_on), retries.saturating_add(1))
        .with_backoff(backoff)
        .with_conditions(conditions(&policy.retry_on));
    let status = |(index, status): (usize, &u32)| {
        let status = u16::try_from(*status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        status
            .ok_or_else(|| Invalid::new("is not an HTTP status"))
            .within_element("retriable_status_codes", index)
    };
    read.status_codes =
        policy.retriable_status_codes.iter().enumerate().map(status).collect::<Checked<_>>()?;
    read.response_headers = headers(&policy.retriable_headers, "retriable_headers", scope)?;
    read.request_headers = headers(&policy.retriable_request_headers, "retriable_request_headers", scope)?;
    // Envoy reads zero as no timeout
    let per_try = optional_duration(policy.per_try_timeout.as_ref(), "per_try_timeout")?;
    read.per_try_timeout = per_try.filter(|timeout| !timeout.is_zero());
    let rate_limited = policy.rate_limited_retry_back_off.as_ref().map(rate_limited).transpose();
    read.rate_limited = rate_limited.within("rate_limited_retry_back_off")?;
    read.other_endpoints = other_endpoints(policy)?;
    Ok(read)
}

/// RT-56: the route's policy, or the virtual host's for all its routes, sends another attempt when the time of one has passed, and
/// does not cancel that one. Without a timeout for attempts it has no effect, as in Envoy.
pub(super) fn hedged(
    action: &proto::RouteAction,
    own: Option<Arc<RetryPolicy>>,
    scope: &Scope<'_>,
) -> Checked<Option<Arc<RetryPolicy>>> {
    let of_host = || scope.host.and_then(|host| host.hedge_policy.as_ref());
    let hedges = action.hedge_policy.as_ref().or_else(of_host);
    if !hedges.is_some_and(|policy| policy.hedge_on_per_try_timeout) {
        return Ok(own);
    }
    let of_host = scope.host.and_then(|host| host.retry_policy.as_ref());
    let effective = match own {
        Some(own) => Some(own),
        None => policy(of_host, scope)?,
    };
    Ok(effective.map(|policy| {
        let mut policy = RetryPolicy::clone(&policy);
        policy.hedging = policy.per_try_timeout.take();
        Arc::new(policy)
    }))
}

/// RT-57. One of several matchers is enough, so that one that can never match is left out, unless none is left.
fn headers(matchers: &[proto::HeaderMatcher], field: &str, scope: &Scope<'_>) -> Checked<Vec<HeaderMatcher>> {
    let mut read = Vec::with_capacity(matchers.len());
    for (index, header) in matchers.iter().enumerate() {
        match matcher::header(header, scope.context).within_element(field, index)? {
            HeaderCheck::Matcher(matcher) => read.push(matcher),
            HeaderCheck::Always | HeaderCheck::Never => {
                return Err(Invalid::new("must name a header")).within_element(field, index);
            }
        }
    }
    Ok(read)
}

/// RT-55
fn rate_limited(backoff: &proto::retry_policy::RateLimitedRetryBackOff) -> Checked<RateLimitedBackoff> {
    if backoff.reset_headers.is_empty() {
        return Err(Invalid::at("reset_headers", "must not be empty"));
    }
    let mut read = Vec::with_capacity(backoff.reset_headers.len());
    for (index, header) in backoff.reset_headers.iter().enumerate() {
        let format = match ResetHeaderFormat::try_from(header.format) {
            Ok(ResetHeaderFormat::Seconds) => Ok(ResetFormat::Seconds),
            Ok(ResetHeaderFormat::UnixTimestamp) => Ok(ResetFormat::UnixTimestamp),
            Err(_) => Err(Invalid::at("format", "is unknown")),
        };
        let name = header_name(&header.name).within("name").within_element("reset_headers", index)?;
        read.push(ResetHeader { name, format: format.within_element("reset_headers", index)? });
    }
    let mut read = RateLimitedBackoff::new(read);
    if let Some(max) = &backoff.max_interval {
        read.max = positive(max).within("max_interval")?;
    }
    Ok(read)
}

/// RT-57: the one predicate that can be honoured without metadata of endpoints.
fn other_endpoints(policy: &proto::RetryPolicy) -> Checked<OtherEndpoints> {
    for (index, predicate) in policy.retry_host_predicate.iter().enumerate() {
        if predicate.name != PREVIOUS_HOSTS {
            return Err(Invalid::at("name", "is not supported"))
                .within_element("retry_host_predicate", index);
        }
    }
    let attempts = match policy.host_selection_retry_max_attempts {
        0 => 1,
        attempts => u32::try_from(attempts)
            .map_err(|_| Invalid::at("host_selection_retry_max_attempts", "must be from 0 to 4294967295"))?,
    };
    Ok(match policy.retry_host_predicate.is_empty() {
        true => OtherEndpoints::Prefer,
        false => OtherEndpoints::Repick(attempts.min(MOST_REPICKS)),
    })
}

// RT-50
fn conditions(retry_on: &str) -> RetryConditions {
    let condition = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "5xx" => RetryConditions::SERVER_ERROR,
        "gateway-error" => RetryConditions::GATEWAY_ERROR,
        "reset" => RetryConditions::RESET,
        "reset-before-request" => RetryConditions::RESET_BEFORE_REQUEST,
        "connect-failure" => RetryConditions::CONNECT_FAILURE,
        "envoy-ratelimited" => RetryConditions::ENVOY_RATELIMITED,
        "retriable-4xx" => RetryConditions::RETRIABLE_4XX,
        "refused-stream" => RetryConditions::REFUSED_STREAM,
        "retriable-status-codes" => RetryConditions::RETRIABLE_STATUS_CODES,
        "retriable-headers" => RetryConditions::RETRIABLE_HEADERS,
        _ => RetryConditions::none(),
    };
    retry_on.split(',').map(condition).fold(RetryConditions::none(), RetryConditions::with)
}

// RDS-16
fn codes(retry_on: &str) -> RetryableCodes {
    let code = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "cancelled" => RetryableCodes::CANCELLED,
        "deadline-exceeded" => RetryableCodes::DEADLINE_EXCEEDED,
        "internal" => RetryableCodes::INTERNAL,
        "resource-exhausted" => RetryableCodes::RESOURCE_EXHAUSTED,
        "unavailable" => RetryableCodes::UNAVAILABLE,
        _ => RetryableCodes::none(),
    };
    retry_on.split(',').map(code).fold(RetryableCodes::none(), RetryableCodes::with)
}

/// RDS-15: compared as configured, then raised to the minimum.
fn backoff(backoff: &proto::retry_policy::RetryBackOff) -> Checked<RetryBackoff> {
    let base = backoff.base_interval.as_ref().ok_or_else(|| Invalid::new("must be set"));
    let base = base.and_then(positive).within("base_interval")?;
    let max = backoff.max_interval.as_ref().map(positive).transpose().within("max_interval")?;
    let max = max.unwrap_or_else(|| base.saturating_mul(10));
    match max < base {
        true => Err(Invalid::at("max_interval", "must not be less than base_interval")),
        false => Ok(RetryBackoff { initial: base.max(SHORTEST), max: max.max(SHORTEST) }),
    }
}

fn positive(value: &ProtoDuration) -> Checked<Duration> {
    match duration(value)? {
        Duration::ZERO => Err(Invalid::new("must be more than 0")),
        positive => Ok(positive),
    }
}

const SHORTEST: Duration = Duration::from_millis(1);

const PREVIOUS_HOSTS: &str = "envoy.retry_host_predicates.previous_hosts";

/// More would only cost time.
const MOST_REPICKS: u32 = 100;
