//! Retry policies of virtual hosts and routes (gRFC A44).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::config::{RetryBackoff, RetryPolicy, RetryableCodes};
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::google::protobuf::Duration as ProtoDuration;

use crate::resource::fields::duration;
use crate::resource::invalid::{Checked, Invalid, Within};

/// The message's policy, if it has one. A policy without any known condition retries nothing, but it is a policy and
/// overrides that of the virtual host (RDS-16).
pub(super) fn policy(policy: Option<&proto::RetryPolicy>) -> Checked<Option<Arc<RetryPolicy>>> {
    policy.map(read).transpose().map(|policy| policy.map(Arc::new)).within("retry_policy")
}

// RDS-15
fn read(policy: &proto::RetryPolicy) -> Checked<RetryPolicy> {
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
    Ok(RetryPolicy::new(codes(&policy.retry_on), retries.saturating_add(1)).with_backoff(backoff))
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
