//! Local rate limits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mesh_core::filter::{
    ConfigValue, DescriptorLimit, DescriptorRule, FilterConfig, RateLimitPolicy, RateLimitRefusal, TokenLimit,
};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use xds_proto::envoy::extensions::common::ratelimit::v3::{
    LocalRateLimitDescriptor, XRateLimitHeadersRfcVersion,
};
use xds_proto::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use xds_proto::envoy::r#type::v3::TokenBucket;

use crate::resource::fields::{duration, fraction};
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{Decoding, headers};

use super::rate_limit_action;
use super::{FilterSides, HttpFilterType};
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`: its own override, too.
#[derive(Debug)]
pub(super) struct LocalRateLimitType;

const TYPE: &str = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";

impl HttpFilterType for LocalRateLimitType {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn sides(&self) -> FilterSides {
        FilterSides::Both
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        let message = payload.decode()?;
        Ok(Arc::new(payload.read(|context| read(&message, context))?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some(TYPE)
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        let message: LocalRateLimit = payload.decode()?;
        // HF-39
        if message.token_bucket.is_none() {
            return Err(ExtensionError::at("token_bucket", "must be set in a route's configuration"));
        }
        Ok(Arc::new(payload.read(|context| read(&message, context))?))
    }
}

fn read(message: &LocalRateLimit, context: &Decoding<'_>) -> Checked<RateLimitPolicy> {
    unsupported(message)?;
    if message.stat_prefix.is_empty() {
        return Err(Invalid::at("stat_prefix", "must be set"));
    }
    let bucket = message.token_bucket.as_ref().map(limit).transpose().within("token_bucket")?;
    let mut policy = RateLimitPolicy::new(message.stat_prefix.as_str(), bucket);
    policy.descriptors = elements(&message.descriptors, "descriptors", descriptor)?;
    policy.rules =
        elements(&message.rate_limits, "rate_limits", |rule| rate_limit_action::rule(rule, context))?;
    check_descriptors(&policy.descriptors, &policy.rules)?;
    policy.enabled = share(message.filter_enabled.as_ref()).within("filter_enabled")?;
    policy.enforced = share(message.filter_enforced.as_ref()).within("filter_enforced")?;
    policy.always_takes_default =
        message.always_consume_default_token_bucket.is_none_or(|always| always.value);
    if let Some(max) = message.max_dynamic_descriptors {
        policy.max_dynamic_buckets = NonZeroU32::new(max.value)
            .ok_or_else(|| Invalid::at("max_dynamic_descriptors", "must be at least 1"))?;
    }
    policy.shows_limits = match XRateLimitHeadersRfcVersion::try_from(message.enable_x_ratelimit_headers) {
        Ok(version) => version == XRateLimitHeadersRfcVersion::DraftVersion03,
        Err(_) => return Err(Invalid::at("enable_x_ratelimit_headers", "is not a known version")),
    };
    policy.refusal = refusal(message)?;
    let added = &message.request_headers_to_add_when_not_enforced;
    policy.request_headers_when_not_enforced =
        headers::additions(added, "request_headers_to_add_when_not_enforced")?;
    Ok(policy)
}

/// What would change which calls pass, and is not supported, is refused: a limit must not be wider than it was meant.
fn unsupported(message: &LocalRateLimit) -> Checked<()> {
    let refused = |field| Err(Invalid::at(field, "is not supported"));
    match message {
        LocalRateLimit { local_rate_limit_per_downstream_connection: true, .. } => {
            refused("local_rate_limit_per_downstream_connection")
        }
        LocalRateLimit { local_cluster_rate_limit: Some(_), .. } => refused("local_cluster_rate_limit"),
        _ => Ok(()),
    }
}

/// Descriptors that no rule of this message can make would limit nothing.
fn check_descriptors(descriptors: &[DescriptorLimit], rules: &[DescriptorRule]) -> Checked<()> {
    if !descriptors.is_empty() && rules.is_empty() {
        let reason =
            "must be set beside descriptors: rate_limits of routes and virtual hosts are not supported";
        return Err(Invalid::at("rate_limits", reason));
    }
    Ok(())
}

// HF-38
fn refusal(message: &LocalRateLimit) -> Checked<RateLimitRefusal> {
    let mut refusal = RateLimitRefusal::default();
    let code = message.status.map_or(0, |status| status.code);
    if let Some(status) = u16::try_from(code).ok().filter(|code| *code >= 400) {
        refusal.status = StatusCode::from_u16(status)
            .map_err(|_| Invalid::at("status.code", format!("{status} is not a status")))?;
    }
    refusal.is_resource_exhausted = message.rate_limited_as_resource_exhausted;
    refusal.headers = headers::additions(&message.response_headers_to_add, "response_headers_to_add")?;
    refusal.retry_after = message.enable_retry_after_header;
    Ok(refusal)
}

/// HF-38: none is 0 %.
fn share(percent: Option<&RuntimeFractionalPercent>) -> Checked<Fraction> {
    let Some(percent) = percent else { return Ok(Fraction::per_million(0)) };
    let default =
        percent.default_value.as_ref().ok_or_else(|| Invalid::at("default_value", "must be set"))?;
    fraction(default).within("default_value")
}

fn descriptor(descriptor: &LocalRateLimitDescriptor) -> Checked<DescriptorLimit> {
    if descriptor.entries.is_empty() {
        return Err(Invalid::at("entries", "must not be empty"));
    }
    let bucket =
        descriptor.token_bucket.as_ref().ok_or_else(|| Invalid::at("token_bucket", "must be set"))?;
    let entries = elements(&descriptor.entries, "entries", |entry| match entry.key.as_str() {
        "" => Err(Invalid::at("key", "must be set")),
        // an entry without a value has a bucket for each
        key => Ok((key.into(), (!entry.value.is_empty()).then(|| entry.value.as_str().into()))),
    })?;
    let mut limit = DescriptorLimit::new(entries, limit(bucket).within("token_bucket")?);
    limit.shadow = descriptor.shadow_mode;
    Ok(limit)
}

/// HF-38: an interval below 50 ms is refused.
fn limit(bucket: &TokenBucket) -> Checked<TokenLimit> {
    let interval =
        bucket.fill_interval.as_ref().ok_or_else(|| Invalid::at("fill_interval", "must be set"))?;
    let interval = duration(interval).within("fill_interval")?;
    if interval < MIN_INTERVAL {
        return Err(Invalid::at("fill_interval", format!("{interval:?} is below {MIN_INTERVAL:?}")));
    }
    let tokens = bucket.tokens_per_fill.map_or(1, |tokens| tokens.value);
    TokenLimit::new(bucket.max_tokens, tokens, interval)
        .map_err(|error| Invalid::at("tokens_per_fill", error.to_string()))
}

fn elements<T, R>(list: &[T], field: &str, read: impl Fn(&T) -> Checked<R>) -> Checked<Vec<R>> {
    list.iter().enumerate().map(|(index, element)| read(element).within_element(field, index)).collect()
}

const MIN_INTERVAL: Duration = Duration::from_millis(50);
