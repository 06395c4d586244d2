//! Local rate limits.

use std::num::NonZeroU32;
use std::time::Duration;

use http::StatusCode;
use mesh_core::filter::{DescriptorAction, DescriptorLimit, DescriptorRule, RateLimitPolicy, TokenLimit};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::core::v3::{RuntimeFractionalPercent, TypedExtensionConfig};
use xds_proto::envoy::config::route::v3::RateLimit;
use xds_proto::envoy::config::route::v3::rate_limit::action::{
    ActionSpecifier, DestinationCluster, GenericKey, MaskedRemoteAddress, QueryParameters, RemoteAddress,
    RequestHeaders,
};
use xds_proto::envoy::config::route::v3::rate_limit::{Action, HitsAddend, Override};
use xds_proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use xds_proto::envoy::extensions::common::ratelimit::v3::{LocalClusterRateLimit, LocalRateLimitDescriptor};
use xds_proto::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::Descriptor;
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::descriptor::ExprSpecifier;
use xds_proto::envoy::r#type::v3::{FractionalPercent, HttpStatus, TokenBucket};

use xds_proto::google::protobuf::{BoolValue, UInt64Value};

use super::*;
use crate::resource::testing::{millis, seconds, u32_value};

fn bucket(max_tokens: u32, tokens_per_fill: u32) -> Option<TokenBucket> {
    Some(TokenBucket { max_tokens, tokens_per_fill: u32_value(tokens_per_fill), fill_interval: seconds(1) })
}

fn always() -> Option<RuntimeFractionalPercent> {
    let default_value = Some(FractionalPercent { numerator: 100, denominator: 0 });
    Some(RuntimeFractionalPercent { default_value, runtime_key: "ignored".into() })
}

fn simple() -> LocalRateLimit {
    LocalRateLimit {
        stat_prefix: "limit".into(),
        token_bucket: bucket(10, 5),
        filter_enabled: always(),
        filter_enforced: always(),
        ..LocalRateLimit::default()
    }
}

fn rule(actions: impl IntoIterator<Item = ActionSpecifier>) -> RateLimit {
    let action = |specifier| Action { action_specifier: Some(specifier) };
    RateLimit { actions: actions.into_iter().map(action).collect(), ..RateLimit::default() }
}

fn fixed() -> ActionSpecifier {
    ActionSpecifier::GenericKey(GenericKey { descriptor_value: "v".into(), ..GenericKey::default() })
}

fn descriptor(entries: &[(&str, &str)]) -> LocalRateLimitDescriptor {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
    let entries = entries.iter().map(entry).collect();
    LocalRateLimitDescriptor { entries, token_bucket: bucket(1, 1), shadow_mode: false }
}

fn read(limit: &LocalRateLimit) -> Result<RateLimitPolicy, Invalid> {
    let FilterOverride::Config(config) = one(&pack_any(limit.clone()), &registry())?.unwrap() else {
        panic!("it is a configuration")
    };
    let policy: &RateLimitPolicy = config.downcast_ref().unwrap();
    let instance =
        chain(&[http_filter("f", pack_any(limit.clone())), router("r")], Side::Client, &registry())?;
    assert_eq!(instance, [FilterInstance::new("f", policy.clone())], "the override has the same form");
    Ok(policy.clone())
}

fn limit(max: u32, tokens: u32) -> TokenLimit {
    TokenLimit::new(max, tokens, Duration::from_secs(1)).unwrap()
}

/// Proves: HF-38.
#[test]
fn bucket_shares_and_refusal_are_read() {
    let expected = RateLimitPolicy::new("limit", limit(10, 5));
    assert_eq!(read(&simple()).unwrap(), expected);
    let none = LocalRateLimit { filter_enabled: None, filter_enforced: None, ..simple() };
    let read_none = read(&none).unwrap();
    let off = Fraction::per_million(0);
    assert_eq!((read_none.enabled, read_none.enforced), (off, off), "0 % by default");
    let status = |code| LocalRateLimit { status: Some(HttpStatus { code }), ..simple() };
    assert_eq!(read(&status(503)).unwrap().refusal.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(read(&status(200)).unwrap().refusal.status, StatusCode::TOO_MANY_REQUESTS);
    let option = |key: &str| HeaderValueOption {
        header: Some(HeaderValue { key: key.into(), value: "1".into(), ..HeaderValue::default() }),
        ..HeaderValueOption::default()
    };
    let full = LocalRateLimit {
        enable_x_ratelimit_headers: 1,
        enable_retry_after_header: true,
        rate_limited_as_resource_exhausted: true,
        always_consume_default_token_bucket: Some(BoolValue { value: false }),
        max_dynamic_descriptors: u32_value(7),
        response_headers_to_add: vec![option("x-a")],
        request_headers_to_add_when_not_enforced: vec![option("x-b"), option("x-c")],
        ..simple()
    };
    let read = read(&full).unwrap();
    assert!(read.shows_limits && read.refusal.retry_after && read.refusal.is_resource_exhausted);
    assert!(!read.always_takes_default);
    assert_eq!(read.max_dynamic_buckets, NonZeroU32::new(7).unwrap());
    assert_eq!((read.refusal.headers.len(), read.request_headers_when_not_enforced.len()), (1, 2));
}

/// Proves: HF-39, HF-42.
#[test]
fn descriptors_and_rules_are_read() {
    let header = ActionSpecifier::RequestHeaders(RequestHeaders {
        header_name: "X-Tenant".into(),
        descriptor_key: "tenant".into(),
        skip_if_absent: true,
    });
    let uri = Descriptor {
        descriptor_key: "caller".into(),
        skip_if_error: false,
        expr_specifier: Some(ExprSpecifier::Text("connection.uri_san_peer_certificate".into())),
    };
    let uri = TypedExtensionConfig { name: "e".into(), typed_config: Some(pack_any(uri)) };
    let mask = MaskedRemoteAddress { v4_prefix_mask_len: u32_value(24), v6_prefix_mask_len: None };
    let mut costly = rule([fixed(), header]);
    costly.hits_addend = Some(HitsAddend { number: Some(UInt64Value { value: 3 }), ..HitsAddend::default() });
    let others = rule([
        ActionSpecifier::RemoteAddress(RemoteAddress {}),
        ActionSpecifier::MaskedRemoteAddress(mask),
        ActionSpecifier::DestinationCluster(DestinationCluster {}),
        ActionSpecifier::Extension(uri),
    ]);
    let message = LocalRateLimit {
        rate_limits: vec![costly, others],
        descriptors: vec![descriptor(&[("generic_key", "v"), ("tenant", "")])],
        ..simple()
    };
    let read = read(&message).unwrap();
    let entries = [("generic_key".into(), Some("v".into())), ("tenant".into(), None)];
    assert_eq!(read.descriptors, [DescriptorLimit::new(entries, limit(1, 1))]);
    let fixed = DescriptorAction::Fixed { key: "generic_key".into(), value: "v".into() };
    let header = DescriptorAction::Header {
        name: http::HeaderName::from_static("x-tenant"),
        key: "tenant".into(),
        skip_if_absent: true,
    };
    let mut costly = DescriptorRule::new([fixed, header]);
    costly.cost = 3;
    let others = DescriptorRule::new([
        DescriptorAction::RemoteAddress,
        DescriptorAction::MaskedRemoteAddress { v4: 24, v6: 128 },
        DescriptorAction::DestinationCluster,
        DescriptorAction::PeerUri { key: "caller".into(), skip_if_absent: false },
    ]);
    assert_eq!(read.rules, [costly, others]);
}

/// Proves: HF-38, HF-39.
#[test]
fn what_cannot_be_limited_as_meant_is_refused() {
    let with_rule = |change: &dyn Fn(&mut RateLimit)| {
        let mut rule = rule([fixed()]);
        change(&mut rule);
        LocalRateLimit { rate_limits: vec![rule], ..simple() }
    };
    let of_interval = |fill_interval| LocalRateLimit {
        token_bucket: Some(TokenBucket { fill_interval, ..bucket(1, 1).unwrap() }),
        ..simple()
    };
    let query = Action { action_specifier: Some(ActionSpecifier::QueryParameters(QueryParameters {})) };
    let hits = |hits: HitsAddend| with_rule(&move |rule| rule.hits_addend = Some(hits.clone()));
    let rows = [
        (LocalRateLimit { stat_prefix: String::new(), ..simple() }, "stat_prefix"),
        (
            LocalRateLimit { local_rate_limit_per_downstream_connection: true, ..simple() },
            "local_rate_limit_per_downstream_connection",
        ),
        (
            LocalRateLimit { local_cluster_rate_limit: Some(LocalClusterRateLimit {}), ..simple() },
            "local_cluster_rate_limit",
        ),
        (of_interval(millis(49)), "token_bucket.fill_interval"),
        (of_interval(None), "token_bucket.fill_interval"),
        (LocalRateLimit { token_bucket: bucket(1, 0), ..simple() }, "token_bucket.tokens_per_fill"),
        (LocalRateLimit { descriptors: vec![descriptor(&[("k", "v")])], ..simple() }, "rate_limits"),
        (LocalRateLimit { max_dynamic_descriptors: u32_value(0), ..simple() }, "max_dynamic_descriptors"),
        (LocalRateLimit { enable_x_ratelimit_headers: 9, ..simple() }, "enable_x_ratelimit_headers"),
        (with_rule(&|rule| rule.actions.clear()), "rate_limits[0].actions"),
        (with_rule(&|rule| rule.limit = Some(Override {})), "rate_limits[0].limit"),
        (with_rule(&|rule| rule.apply_on_stream_done = true), "rate_limits[0].apply_on_stream_done"),
        (
            with_rule(&move |rule| rule.actions = vec![query.clone()]),
            "rate_limits[0].actions[0].query_parameters",
        ),
        (
            hits(HitsAddend { format: "%X%".into(), ..HitsAddend::default() }),
            "rate_limits[0].hits_addend.format",
        ),
        (
            hits(HitsAddend { is_negative_hits: true, ..HitsAddend::default() }),
            "rate_limits[0].hits_addend.is_negative_hits",
        ),
        (
            hits(HitsAddend { number: Some(UInt64Value { value: 1_000_000_001 }), ..HitsAddend::default() }),
            "rate_limits[0].hits_addend.number",
        ),
    ];
    for (message, field) in rows {
        assert_eq!(read(&message).unwrap_err().field, field, "{message:?}");
    }
    let without = LocalRateLimit { token_bucket: None, ..simple() };
    assert_eq!(one(&pack_any(without), &registry()).unwrap_err().field, "token_bucket", "in a route");
}
