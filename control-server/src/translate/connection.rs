//! How connections to a cluster's endpoints are made and kept.

use std::time::Duration;

use xds_proto::envoy::config::cluster::v3::UpstreamConnectionOptions;
use xds_proto::envoy::config::core::v3::{
    Http2ProtocolOptions, HttpProtocolOptions as CommonOptions, KeepaliveSettings,
    TcpKeepalive as ProtoTcpKeepalive, TypedExtensionConfig,
};
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};
use xds_proto::google::protobuf::UInt32Value;
use xds_proto::pack_any;

use super::route::duration;
use crate::kinds::ProtoDuration;
use crate::kinds::traffic_policy::TcpKeepalive;
use crate::model::{Connections, Pings};

/// The options of HTTP/2 and of connections.
pub(super) fn http_options(connections: &Connections) -> HttpProtocolOptions {
    let number = |value: Option<u32>| value.map(|value| UInt32Value { value });
    // Envoy refuses more streams than a signed number counts.
    let streams = connections.max_streams.map(|streams| streams.min(i32::MAX.unsigned_abs()));
    let http2 = Http2ProtocolOptions {
        max_concurrent_streams: number(streams),
        connection_keepalive: connections.pings.map(pings),
    };
    let common = CommonOptions {
        idle_timeout: connections.idle_timeout.map(duration),
        max_connection_duration: connections.max_duration.map(duration),
        max_requests_per_connection: number(connections.max_calls),
        ..CommonOptions::default()
    };
    let is_set = common != CommonOptions::default();
    let explicit = ExplicitHttpConfig { protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(http2)) };
    HttpProtocolOptions {
        common_http_protocol_options: is_set.then_some(common),
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..HttpProtocolOptions::default()
    }
}

/// The options where gRPC clients read them (CDS-17). Envoy takes this field for another one, and refuses it.
pub(super) fn upstream_config(connections: &Connections) -> Option<TypedExtensionConfig> {
    let options = http_options(connections);
    let is_set = options != http_options(&Connections::default());
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
    is_set.then(|| TypedExtensionConfig { name, typed_config: Some(pack_any(options)) })
}

fn pings(pings: Pings) -> KeepaliveSettings {
    KeepaliveSettings {
        interval: Some(duration(pings.interval)),
        timeout: Some(duration(pings.timeout)),
        ..KeepaliveSettings::default()
    }
}

pub(super) fn tcp_keepalive(of: TcpKeepalive) -> UpstreamConnectionOptions {
    // Whole seconds; a part of one is one.
    let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let time = |time: Option<ProtoDuration>| {
        let value = u32::try_from(seconds(time?.0)).unwrap_or(u32::MAX);
        Some(UInt32Value { value })
    };
    let keepalive = ProtoTcpKeepalive {
        keepalive_probes: of.probes.map(|value| UInt32Value { value }),
        keepalive_time: time(of.time),
        keepalive_interval: time(of.interval),
    };
    UpstreamConnectionOptions { tcp_keepalive: Some(keepalive) }
}
