//! Rate limits of servers and of clients.
//!
//! Each rule is a descriptor that begins with the rule's name. Envoy makes no descriptor for a call without a header that it is made
//! of, so a rule whose key has headers has one for each set of headers that a call may lack, with `unknown` in the place of the
//! missing ones: no call gets around a limit by leaving a header out.

use xds_proto::envoy::config::core::v3::{RuntimeFractionalPercent, TypedExtensionConfig};
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::rate_limit::action::{
    ActionSpecifier, GenericKey, HeaderValueMatch, RemoteAddress, RequestHeaders,
};
use xds_proto::envoy::config::route::v3::rate_limit::{Action, HitsAddend};
use xds_proto::envoy::config::route::v3::{HeaderMatcher, RateLimit};
use xds_proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use xds_proto::envoy::extensions::common::ratelimit::v3::{
    LocalRateLimitDescriptor, XRateLimitHeadersRfcVersion,
};
use xds_proto::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::Descriptor;
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::descriptor::ExprSpecifier;
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use xds_proto::envoy::r#type::v3::{FractionalPercent, TokenBucket};
use xds_proto::google::protobuf::{BoolValue, UInt32Value, UInt64Value};
use xds_proto::pack_any;

use super::route::duration;
use crate::kinds::ObjectId;
use crate::kinds::rate_limit_policy::{
    CallerPart, HeaderRule, KeyPart, Limit, Mode, RateLimitPolicy, RefusalStatus, Rule,
};

/// The filter of a policy.
pub(super) fn filter(id: &ObjectId, policy: &RateLimitPolicy) -> HttpFilter {
    HttpFilter {
        name: format!("envoy.filters.http.local_ratelimit.{}.{}", id.namespace, id.name),
        config_type: Some(ConfigType::TypedConfig(pack_any(config(id, policy)))),
        ..HttpFilter::default()
    }
}

fn config(id: &ObjectId, policy: &RateLimitPolicy) -> LocalRateLimit {
    let ways: Vec<(&Rule, Way)> =
        policy.rules.iter().flat_map(|rule| ways(rule).into_iter().map(move |way| (rule, way))).collect();
    let max_buckets = policy.rules.iter().filter_map(|rule| rule.max_buckets).max().unwrap_or(MAX_BUCKETS);
    let share = |numerator| RuntimeFractionalPercent {
        default_value: Some(FractionalPercent { numerator, denominator: DenominatorType::Hundred.into() }),
        runtime_key: String::new(),
    };
    let enforced = if policy.mode == Mode::Enforce { 100 } else { 0 };
    let headers = if policy.on_limit.rate_limit_headers {
        XRateLimitHeadersRfcVersion::DraftVersion03
    } else {
        XRateLimitHeadersRfcVersion::Off
    };
    let descriptors = ways.iter().map(|(rule, way)| way.descriptor(rule)).collect();
    let made = ways.into_iter().filter(|(_, way)| !way.has_known_actions);
    LocalRateLimit {
        stat_prefix: format!("{}/{}", id.namespace, id.name),
        filter_enabled: Some(share(100)),
        filter_enforced: Some(share(enforced)),
        // Envoy refuses a filter without one. It is never empty: rules alone limit.
        token_bucket: Some(unlimited()),
        always_consume_default_token_bucket: Some(BoolValue { value: false }),
        descriptors,
        rate_limits: made.map(|(rule, way)| way.rate_limit(rule)).collect(),
        max_dynamic_descriptors: Some(UInt32Value { value: max_buckets }),
        rate_limited_as_resource_exhausted: policy.on_limit.grpc_status == RefusalStatus::ResourceExhausted,
        enable_retry_after_header: policy.on_limit.retry_after,
        enable_x_ratelimit_headers: headers.into(),
        ..LocalRateLimit::default()
    }
}

fn unlimited() -> TokenBucket {
    let tokens_per_fill = Some(UInt32Value { value: u32::MAX });
    TokenBucket {
        max_tokens: u32::MAX,
        tokens_per_fill,
        fill_interval: Some(duration(std::time::Duration::from_secs(1))),
    }
}

fn bucket(limit: Limit) -> TokenBucket {
    TokenBucket {
        max_tokens: limit.burst.unwrap_or(limit.requests),
        tokens_per_fill: Some(UInt32Value { value: limit.requests }),
        fill_interval: Some(duration(limit.per.0)),
    }
}

/// One way to make a descriptor of a call: the actions, and the entries that they make, the value where it is known.
#[derive(Debug, Clone, Default)]
struct Way {
    actions: Vec<ActionSpecifier>,
    entries: Vec<(String, Option<String>)>,
    /// Another way has the same actions, which leave out what they cannot make.
    has_known_actions: bool,
}

/// A way for each set of headers that a call may lack.
fn ways(rule: &Rule) -> Vec<Way> {
    let mut first = Way::default();
    first.fixed("rule", &rule.name);
    if !rule.matches.headers.is_empty() {
        let headers = rule.matches.headers.iter().map(matcher).collect();
        first.only_with("match", headers);
    }
    rule.key.iter().enumerate().fold(vec![first], |ways, (index, part)| {
        ways.into_iter().flat_map(|way| way.with_part(part, &format!("key{index}"))).collect()
    })
}

impl Way {
    fn fixed(&mut self, key: &str, value: &str) {
        self.actions.push(ActionSpecifier::GenericKey(GenericKey {
            descriptor_key: key.to_owned(),
            descriptor_value: value.to_owned(),
            ..GenericKey::default()
        }));
        self.entries.push((key.to_owned(), Some(value.to_owned())));
    }

    /// There is no descriptor unless all these headers match.
    fn only_with(&mut self, key: &str, headers: Vec<HeaderMatcher>) {
        self.actions.push(ActionSpecifier::HeaderValueMatch(HeaderValueMatch {
            descriptor_key: key.to_owned(),
            descriptor_value: "yes".to_owned(),
            expect_match: Some(BoolValue { value: true }),
            headers,
            ..HeaderValueMatch::default()
        }));
        self.entries.push((key.to_owned(), Some("yes".to_owned())));
    }

    fn with_part(mut self, part: &KeyPart, key: &str) -> Vec<Self> {
        match part {
            KeyPart::Header(part) => {
                let name = part.header.to_ascii_lowercase();
                let mut lacking = self.clone();
                let absent = HeaderMatcher {
                    name: name.clone(),
                    header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
                    invert_match: true,
                    ..HeaderMatcher::default()
                };
                lacking.only_with(&format!("{key}-unknown"), vec![absent]);
                self.actions.push(ActionSpecifier::RequestHeaders(RequestHeaders {
                    header_name: name,
                    descriptor_key: key.to_owned(),
                    skip_if_absent: false,
                }));
                self.entries.push((key.to_owned(), None));
                vec![self, lacking]
            }
            KeyPart::Caller(CallerPart::Address) => {
                self.actions.push(ActionSpecifier::RemoteAddress(RemoteAddress {}));
                self.entries.push(("remote_address".to_owned(), None));
                vec![self]
            }
            KeyPart::Caller(CallerPart::Principal) => {
                self.actions.push(ActionSpecifier::Extension(principal(key)));
                let without = Self { has_known_actions: true, ..self.clone() };
                self.entries.push((key.to_owned(), None));
                vec![self, without]
            }
        }
    }

    fn descriptor(&self, rule: &Rule) -> LocalRateLimitDescriptor {
        let entry = |(key, value): &(String, Option<String>)| Entry {
            key: key.clone(),
            value: value.clone().unwrap_or_default(),
        };
        LocalRateLimitDescriptor {
            entries: self.entries.iter().map(entry).collect(),
            token_bucket: Some(bucket(rule.limit)),
            ..LocalRateLimitDescriptor::default()
        }
    }

    fn rate_limit(self, rule: &Rule) -> RateLimit {
        let action = |one| Action { action_specifier: Some(one) };
        let cost = |cost: u32| HitsAddend {
            number: Some(UInt64Value { value: cost.into() }),
            ..HitsAddend::default()
        };
        RateLimit {
            actions: self.actions.into_iter().map(action).collect(),
            hits_addend: rule.cost.map(cost),
            ..RateLimit::default()
        }
    }
}

/// The URI in the caller's certificate; left out if there is none.
fn principal(key: &str) -> TypedExtensionConfig {
    let config = Descriptor {
        descriptor_key: key.to_owned(),
        skip_if_error: true,
        expr_specifier: Some(ExprSpecifier::Text("connection.uri_san_peer_certificate".to_owned())),
        ..Descriptor::default()
    };
    TypedExtensionConfig {
        name: "envoy.rate_limit_descriptors.expr".to_owned(),
        typed_config: Some(pack_any(config)),
    }
}

fn matcher(rule: &HeaderRule) -> HeaderMatcher {
    let text = |pattern| {
        let matcher = StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() };
        HeaderMatchSpecifier::StringMatch(matcher)
    };
    let specifier = match (&rule.exact, &rule.prefix) {
        (Some(exact), _) => text(MatchPattern::Exact(exact.clone())),
        (None, Some(prefix)) => text(MatchPattern::Prefix(prefix.clone())),
        (None, None) => HeaderMatchSpecifier::PresentMatch(true),
    };
    HeaderMatcher {
        name: rule.name.to_ascii_lowercase(),
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }
}

const MAX_BUCKETS: u32 = 10_000;
