//! Settings that only mesh-tonic and Envoy read; gRPC clients ignore them.

use std::collections::HashMap;

use xds_proto::envoy::config::core::v3::{Http2ProtocolOptions, HttpProtocolOptions as CommonOptions};
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, OutlierDetection, UpstreamProtocolOptions,
};
use xds_proto::google::protobuf::{Any, Duration, UInt32Value};
use xds_proto::pack_any;

use super::route::duration;
use crate::model::Connections;

/// HTTP/2 to the endpoints of a cluster; without it Envoy speaks HTTP/1.1, which carries no gRPC. And the responses
/// that count as errors for outlier detection.
pub(super) fn http2(
    outlier_detection: Option<OutlierDetection>,
    connections: &Connections,
) -> HashMap<String, Any> {
    let number = |value: Option<u32>| value.map(|value| UInt32Value { value });
    // Envoy refuses more streams than a signed number counts.
    let streams = connections.max_streams.map(|streams| streams.min(i32::MAX.unsigned_abs()));
    let http2 = Http2ProtocolOptions { max_concurrent_streams: number(streams), ..Default::default() };
    let http2 = ProtocolConfig::Http2ProtocolOptions(http2);
    let common = CommonOptions {
        idle_timeout: connections.idle_timeout.map(duration),
        max_requests_per_connection: number(connections.max_calls),
        ..CommonOptions::default()
    };
    let is_set = common != CommonOptions::default();
    let explicit = ExplicitHttpConfig { protocol_config: Some(http2) };
    let options = HttpProtocolOptions {
        common_http_protocol_options: is_set.then_some(common),
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        outlier_detection,
        ..HttpProtocolOptions::default()
    };
    HashMap::from([("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), pack_any(options))])
}

/// No timeout of the route's own; without this Envoy ends every response after 15 s, streams too.
pub(super) fn no_timeout() -> Duration {
    Duration::default()
}
