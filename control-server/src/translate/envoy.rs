//! Settings that only Envoy reads; gRPC clients ignore them.

use std::collections::HashMap;

use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::OutlierDetection;
use xds_proto::google::protobuf::{Any, Duration};
use xds_proto::pack_any;

use super::connection;
use crate::model::Connections;

/// HTTP/2 to the endpoints of a cluster; without it Envoy speaks HTTP/1.1, which carries no gRPC. And the responses
/// that count as errors for outlier detection.
pub(super) fn http2(
    outlier_detection: Option<OutlierDetection>,
    connections: &Connections,
) -> HashMap<String, Any> {
    let options = HttpProtocolOptions { outlier_detection, ..connection::http_options(connections) };
    HashMap::from([("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), pack_any(options))])
}

/// No timeout of the route's own; without this Envoy ends every response after 15 s, streams too.
pub(super) fn no_timeout() -> Duration {
    Duration::default()
}
