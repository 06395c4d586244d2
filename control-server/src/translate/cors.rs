//! Which pages of browsers may ask, for Envoy.

use xds_proto::envoy::config::route::v3::FilterConfig;
use xds_proto::envoy::extensions::filters::http::cors::v3 as proto;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::google::protobuf::{Any, BoolValue};
use xds_proto::pack_any;

use super::matcher;
use crate::kinds::cors::Cors;

/// The filter of a listener, which answers by the policies of routes. Optional, for no other client has it.
pub(super) fn filter() -> HttpFilter {
    HttpFilter {
        name: NAME.to_owned(),
        is_optional: true,
        config_type: Some(ConfigType::TypedConfig(pack_any(proto::Cors {}))),
        ..HttpFilter::default()
    }
}

/// The entry of a route's `typed_per_filter_config`.
pub(super) fn of_route(cors: &Cors) -> (String, Any) {
    let flag = |value: Option<bool>| value.map(|value| BoolValue { value });
    let policy = proto::CorsPolicy {
        allow_origin_string_match: cors.origins.iter().map(matcher::text).collect(),
        allow_methods: cors.methods.join(","),
        allow_headers: cors.headers.join(","),
        expose_headers: cors.exposed.join(","),
        max_age: cors.max_age.map(|age| age.as_secs().to_string()).unwrap_or_default(),
        allow_credentials: flag(cors.credentials),
        forward_not_matching_preflights: flag(cors.forwards_unmatched),
    };
    let config =
        FilterConfig { config: Some(pack_any(policy)), is_optional: true, ..FilterConfig::default() };
    (NAME.to_owned(), pack_any(config))
}

/// The name that routes override the filter by.
const NAME: &str = "envoy.filters.http.cors";
