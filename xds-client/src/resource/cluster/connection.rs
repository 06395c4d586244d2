//! How connections to endpoints are made and kept (gRFC A75, A105).

use std::num::NonZeroU32;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

use crate::resource::duration;
use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};

/// How connections to a cluster's endpoints are made and kept.
///
/// Validated, and not yet used: connections are made and kept by the mesh's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// How long a connection, TLS included, may take; more than 0 and 5 s by default (CDS-21).
    pub connect_timeout: Duration,
    /// How long a connection is kept without a call; 1 h by default (CDS-17).
    pub idle_timeout: Duration,
    /// How many connections there may be to one address; 1 by default (CDS-12).
    pub max_per_address: NonZeroU32,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60 * 60),
            max_per_address: NonZeroU32::MIN,
        }
    }
}

pub(super) fn read(cluster: &Cluster) -> Checked<ConnectionSettings> {
    let default = ConnectionSettings::default();
    // CDS-21
    let connect_timeout = duration::optional(cluster.connect_timeout.as_ref(), "connect_timeout")?;
    if connect_timeout == Some(Duration::ZERO) {
        return Err(Invalid::at("connect_timeout", "must be more than 0"));
    }
    Ok(ConnectionSettings {
        connect_timeout: connect_timeout.unwrap_or(default.connect_timeout),
        idle_timeout: idle_timeout(cluster).within("upstream_config")?.unwrap_or(default.idle_timeout),
        max_per_address: max_per_address(cluster).within("circuit_breakers")?,
    })
}

/// CDS-17
fn idle_timeout(cluster: &Cluster) -> Checked<Option<Duration>> {
    let Some(config) = &cluster.upstream_config else { return Ok(None) };
    let any = config.typed_config.as_ref().ok_or_else(|| Invalid::at("typed_config", "must be set"))?;
    let read = || {
        let extension = Extension::of(any)?;
        if extension.type_name() != HTTP_OPTIONS {
            let found = extension.type_name();
            return Err(Invalid::new(format!("expected type {HTTP_OPTIONS:?}, found {found:?}")));
        }
        let options: HttpProtocolOptions = extension.message()?;
        let common = options.common_http_protocol_options.as_ref();
        let timeout = common.and_then(|common| common.idle_timeout.as_ref());
        duration::optional(timeout, "common_http_protocol_options.idle_timeout")
    };
    read().within("typed_config")
}

/// CDS-12: the first entry of default priority.
fn max_per_address(cluster: &Cluster) -> Checked<NonZeroU32> {
    let thresholds = cluster.circuit_breakers.iter().flat_map(|breakers| &breakers.per_host_thresholds);
    let mut default =
        thresholds.enumerate().filter(|(_, entry)| entry.priority == RoutingPriority::Default as i32);
    let Some((index, entry)) = default.next() else { return Ok(NonZeroU32::MIN) };
    let limit = entry.max_connections.map_or(1, |limit| limit.value);
    NonZeroU32::new(limit)
        .ok_or_else(|| Invalid::at("max_connections", "must not be 0"))
        .within_element("per_host_thresholds", index)
}

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
