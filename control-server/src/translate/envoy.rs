//! Settings that only Envoy reads; gRPC clients ignore them.

use std::collections::HashMap;

use xds_proto::envoy::config::core::v3::Http2ProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, OutlierDetection, UpstreamProtocolOptions,
};
use xds_proto::google::protobuf::{Any, Duration};
use xds_proto::pack_any;

/// HTTP/2 to the endpoints of a cluster; without it Envoy speaks HTTP/1.1, which carries no gRPC. And the responses
/// that count as errors for outlier detection.
pub(super) fn http2(outlier_detection: Option<OutlierDetection>) -> HashMap<String, Any> {
    let http2 = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default());
    let explicit = ExplicitHttpConfig { protocol_config: Some(http2) };
    let options = HttpProtocolOptions {
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
