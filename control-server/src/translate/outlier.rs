//! Outlier detection of a cluster, for every client: mesh-tonic and Envoy count failures in a row, other gRPC clients only
//! shares of failed calls (gRFC A50).

use xds_proto::envoy::config::cluster::v3::OutlierDetection;
use xds_proto::envoy::config::cluster::v3::cluster::CommonLbConfig;
use xds_proto::envoy::config::common::matcher::v3::match_predicate::Rule;
use xds_proto::envoy::config::common::matcher::v3::{HttpHeadersMatch, MatchPredicate};
use xds_proto::envoy::config::route::v3::HeaderMatcher;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::UInt32Value;

use super::route::duration;
use crate::model::Outlier;

pub(super) fn outlier_detection(outlier: &Outlier) -> OutlierDetection {
    let mut made = OutlierDetection {
        interval: outlier.interval.map(duration),
        base_ejection_time: outlier.base_ejection_time.map(duration),
        max_ejection_percent: outlier.max_ejection_percent.and_then(number),
        consecutive_5xx: number(outlier.server_errors),
        enforcing_consecutive_5xx: enforcing(outlier.server_errors),
        consecutive_gateway_failure: number(outlier.gateway_errors),
        enforcing_consecutive_gateway_failure: enforcing(outlier.gateway_errors),
        // CDS-14: on unless it is turned off.
        enforcing_success_rate: number(0),
        ..OutlierDetection::default()
    };
    if let Some(failures) = outlier.local_origin_failures {
        made.split_external_local_origin_errors = true;
        made.consecutive_local_origin_failure = number(failures);
        made.enforcing_consecutive_local_origin_failure = enforcing(failures);
        made.enforcing_local_origin_success_rate = number(0);
    }
    if let Some(calls) = outlier.request_volume() {
        made.enforcing_failure_percentage = number(100);
        made.failure_percentage_threshold = number(FAILURE_PERCENTAGE);
        made.failure_percentage_minimum_hosts = number(1);
        made.failure_percentage_request_volume = number(calls);
    }
    made
}

/// The share of healthy endpoints below which Envoy uses all of them. Always explicit, as in Istio: Envoy's default is 50 %.
pub(super) fn panic_threshold(outlier: &Outlier) -> CommonLbConfig {
    panic_below(outlier.min_health_percent)
}

pub(super) fn panic_below(percent: u32) -> CommonLbConfig {
    let value = f64::from(percent);
    CommonLbConfig { healthy_panic_threshold: Some(Percent { value }), ..CommonLbConfig::default() }
}

/// The responses that are errors for Envoy, if not every status of 500 and above.
pub(super) fn error_matcher(outlier: &Outlier) -> Option<http_protocol_options::OutlierDetection> {
    if outlier.error_codes.is_empty() {
        return None;
    }
    let codes: Vec<_> = outlier.error_codes.iter().map(u32::to_string).collect();
    let regex = RegexMatcher { regex: codes.join("|"), ..RegexMatcher::default() };
    let pattern = MatchPattern::SafeRegex(regex);
    let status = StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() };
    let header = HeaderMatcher {
        name: ":status".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(status)),
        ..HeaderMatcher::default()
    };
    let rule = Rule::HttpResponseHeadersMatch(HttpHeadersMatch { headers: vec![header] });
    let error_matcher = Some(MatchPredicate { rule: Some(rule) });
    Some(http_protocol_options::OutlierDetection { error_matcher })
}

fn enforcing(failures: u32) -> Option<UInt32Value> {
    number(if failures > 0 { 100 } else { 0 })
}

fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

const FAILURE_PERCENTAGE: u32 = 85;
