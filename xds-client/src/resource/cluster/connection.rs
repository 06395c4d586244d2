//! How connections to endpoints are made and kept (gRFC A75, A105; Envoy's cluster and HTTP protocol options).

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::config::{ConnectionSettings, Http2Keepalive, TcpKeepalive};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::core::v3::{
    Http2ProtocolOptions, KeepaliveSettings, RoutingPriority, TcpKeepalive as ProtoTcpKeepalive,
};
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::google::protobuf::UInt32Value;

use crate::resource::extension::Extension;
use crate::resource::fields;
use crate::resource::invalid::{Checked, Invalid, Within};

pub(super) fn read(cluster: &Cluster) -> Checked<ConnectionSettings> {
    let mut settings = ConnectionSettings::default();
    settings.connect_timeout = connect_timeout(cluster)?;
    settings.max_connections = max_connections(cluster).within("circuit_breakers")?;
    settings.tcp_keepalive = tcp_keepalive(cluster);
    settings.local_address =
        local_address(cluster).within("source_address").within("upstream_bind_config")?;
    read_http_options(cluster, &mut settings).within("upstream_config")?;
    Ok(settings)
}

/// CDS-21. Envoy's default of 5 s is not used: without a value in the cluster the user's setting holds, and gRPC's
/// rule without one (LB-74).
fn connect_timeout(cluster: &Cluster) -> Checked<Option<Duration>> {
    match fields::optional_duration(cluster.connect_timeout.as_ref(), "connect_timeout")? {
        Some(Duration::ZERO) => Err(Invalid::at("connect_timeout", "must be more than 0")),
        timeout => Ok(timeout),
    }
}

/// CDS-12: the first entry of default priority.
fn max_connections(cluster: &Cluster) -> Checked<NonZeroU32> {
    let thresholds = cluster.circuit_breakers.iter().flat_map(|breakers| &breakers.per_host_thresholds);
    let mut default =
        thresholds.enumerate().filter(|(_, entry)| entry.priority == RoutingPriority::Default as i32);
    let Some((index, entry)) = default.next() else { return Ok(NonZeroU32::MIN) };
    let limit = entry.max_connections.map_or(1, |limit| limit.value);
    NonZeroU32::new(limit)
        .ok_or_else(|| Invalid::at("max_connections", "must not be 0"))
        .within_element("per_host_thresholds", index)
}

/// A field of 0 switches the probes off; an absent field leaves its value to the operating system.
fn tcp_keepalive(cluster: &Cluster) -> Option<TcpKeepalive> {
    let ProtoTcpKeepalive { keepalive_probes, keepalive_time, keepalive_interval } =
        cluster.upstream_connection_options.as_ref()?.tcp_keepalive.as_ref()?;
    let fields = [keepalive_probes, keepalive_time, keepalive_interval];
    if fields.into_iter().flatten().any(|field| field.value == 0) {
        return None;
    }
    let seconds = |field: &UInt32Value| Duration::from_secs(field.value.into());
    Some(TcpKeepalive {
        probes: at_least_one(keepalive_probes.as_ref()),
        time: keepalive_time.as_ref().map(seconds),
        interval: keepalive_interval.as_ref().map(seconds),
    })
}

/// No address and no port is no binding at all, as in Envoy.
fn local_address(cluster: &Cluster) -> Checked<Option<SocketAddr>> {
    let bind = cluster.upstream_bind_config.as_ref();
    let Some(source) = bind.and_then(|bind| bind.source_address.as_ref()) else { return Ok(None) };
    let port = match source.port_specifier {
        None => 0,
        Some(_) => fields::port(source)?,
    };
    if source.address.is_empty() && port == 0 {
        return Ok(None);
    }
    let ip = source.address.parse::<IpAddr>();
    let ip = ip.map_err(|_| Invalid::at("address", format!("{:?} is not an IP address", source.address)))?;
    Ok(Some(SocketAddr::new(ip, port)))
}

/// CDS-17, and the connection settings in Envoy's HTTP protocol options.
fn read_http_options(cluster: &Cluster, settings: &mut ConnectionSettings) -> Checked<()> {
    let Some(config) = &cluster.upstream_config else { return Ok(()) };
    let any = config.typed_config.as_ref().ok_or_else(|| Invalid::at("typed_config", "must be set"))?;
    let mut read = || {
        let extension = Extension::of(any)?;
        if extension.type_name() != HTTP_OPTIONS {
            let found = extension.type_name();
            return Err(Invalid::new(format!("expected type {HTTP_OPTIONS:?}, found {found:?}")));
        }
        let options: HttpProtocolOptions = extension.message()?;
        if let Some(common) = &options.common_http_protocol_options {
            let idle = fields::optional_duration(common.idle_timeout.as_ref(), "idle_timeout");
            // 0 is no limit, as in Envoy
            if let Some(timeout) = idle.within("common_http_protocol_options")? {
                settings.idle_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
            }
            settings.max_requests = at_least_one(common.max_requests_per_connection.as_ref());
        }
        let Some((options, path)) = http2_options(&options) else { return Ok(()) };
        settings.max_concurrent_streams = max_concurrent_streams(options).within(path)?;
        settings.http2_keepalive = http2_keepalive(options).within(path)?;
        Ok(())
    };
    read().within("typed_config")
}

/// The options of HTTP/2, with their field's path.
fn http2_options(options: &HttpProtocolOptions) -> Option<(&Http2ProtocolOptions, &'static str)> {
    match options.upstream_protocol_options.as_ref()? {
        UpstreamProtocolOptions::ExplicitHttpConfig(config) => match config.protocol_config.as_ref()? {
            ProtocolConfig::Http2ProtocolOptions(options) => {
                Some((options, "explicit_http_config.http2_protocol_options"))
            }
            _ => None,
        },
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(config) => {
            let options = config.http2_protocol_options.as_ref()?;
            Some((options, "use_downstream_protocol_config.http2_protocol_options"))
        }
        UpstreamProtocolOptions::AutoConfig(config) => {
            Some((config.http2_protocol_options.as_ref()?, "auto_config.http2_protocol_options"))
        }
    }
}

fn max_concurrent_streams(options: &Http2ProtocolOptions) -> Checked<Option<NonZeroU32>> {
    let Some(limit) = &options.max_concurrent_streams else { return Ok(None) };
    let limit = NonZeroU32::new(limit.value).filter(|limit| limit.get() <= MAX_STREAMS);
    limit
        .map(Some)
        .ok_or_else(|| Invalid::at("max_concurrent_streams", format!("must be from 1 to {MAX_STREAMS}")))
}

/// Pings at `interval`; absent or 0: no pings.
fn http2_keepalive(options: &Http2ProtocolOptions) -> Checked<Option<Http2Keepalive>> {
    let Some(KeepaliveSettings { interval, timeout, .. }) = &options.connection_keepalive else {
        return Ok(None);
    };
    let read = || {
        let interval = fields::optional_duration(interval.as_ref(), "interval")?.unwrap_or_default();
        let timeout = fields::optional_duration(timeout.as_ref(), "timeout")?.unwrap_or_default();
        if timeout < SHORTEST {
            return Err(Invalid::at("timeout", "must be at least 1 ms"));
        }
        match interval {
            Duration::ZERO => Ok(None),
            interval if interval < SHORTEST => Err(Invalid::at("interval", "must be at least 1 ms")),
            interval => Ok(Some(Http2Keepalive { interval, timeout })),
        }
    };
    read().within("connection_keepalive")
}

/// 0 is no limit.
fn at_least_one(value: Option<&UInt32Value>) -> Option<NonZeroU32> {
    value.and_then(|value| NonZeroU32::new(value.value))
}

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const SHORTEST: Duration = Duration::from_millis(1);
const MAX_STREAMS: u32 = i32::MAX as u32;
