//! A status as JSON, for an admin page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_core::runtime::{EjectedEndpoint, QueuedCalls, UnhealthyEndpoint};
use serde_json::{Value, json};
use xds_proto::envoy::admin::v3::UpdateFailureState;
use xds_proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use xds_proto::google::protobuf::{Any, Timestamp};

use super::client_config::client_config;
use super::clock::{Clock, to_text};
use crate::bootstrap::Node;
use crate::client::{ServerStatus, Status, XdsClient};

impl XdsClient {
    /// The [`status`](Self::status) as JSON: the content of CSDS under its field names, and the state of each server.
    ///
    /// ```json
    /// {
    ///   "node": {
    ///     "id": "n1", "cluster": "shop", "locality": {"region": "eu", "zone": "a", "sub_zone": ""}, "metadata": {},
    ///     "user_agent_name": "mesh-rs", "user_agent_version": "0.1.0", "client_features": ["..."]
    ///   },
    ///   "servers": [{
    ///     "uri": "127.0.0.1:15010", "needed": true, "connected": false, "outage": "connection refused", "failures": 1
    ///   }],
    ///   "generic_xds_configs": [{
    ///     "type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "a", "version_info": "7",
    ///     "xds_config": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "value": "CgFh"},
    ///     "last_updated": "2026-01-31T12:00:00.000000Z", "client_status": "NACKED",
    ///     "error_state": {
    ///       "details": "lb_policy: ...", "version_info": "8", "last_update_attempt": "2026-01-31T12:05:00.000000Z"
    ///     }
    ///   }],
    ///   "ejected": [{
    ///     "cluster": "a", "endpoint": "10.0.0.7:50051", "detection_method": "consecutive_5xx",
    ///     "reason": "5 server errors in a row", "since": "2026-01-31T12:06:00.000000Z", "multiplier": 1
    ///   }],
    ///   "unhealthy": [{
    ///     "cluster": "a", "endpoint": "10.0.0.8:50051", "reason": "no answer within 1s",
    ///     "since": "2026-01-31T12:06:00.000000Z"
    ///   }],
    ///   "queued": [{"cluster": "a", "calls": 0}]
    /// }
    /// ```
    ///
    /// `xds_config.value` is the message in use as it was received, in base64. Absent values are `null`. Fields keep
    /// their names and meanings; new ones may be added. Takes time linear in the number and size of the resources.
    pub fn status_json(&self) -> Value {
        to_json(&self.status(), &self.bootstrap().stated_node(), Clock::now())
    }
}

pub(super) fn to_json(status: &Status, node: &Node, clock: Clock) -> Value {
    let config = client_config(status, node, clock);
    json!({
        "node": of_node(node),
        "servers": status.servers.iter().map(of_server).collect::<Vec<_>>(),
        "generic_xds_configs": config.generic_xds_configs.iter().map(of_resource).collect::<Vec<_>>(),
        "ejected": status.ejected.iter().map(|ejected| of_ejected(ejected, clock)).collect::<Vec<_>>(),
        "unhealthy": status.unhealthy.iter().map(|found| of_unhealthy(found, clock)).collect::<Vec<_>>(),
        "queued": status.queued.iter().map(of_queued).collect::<Vec<_>>(),
    })
}

fn of_node(node: &Node) -> Value {
    let sent = node.to_proto();
    json!({
        "id": node.id,
        "cluster": node.cluster,
        "locality": {
            "region": node.locality.region,
            "zone": node.locality.zone,
            "sub_zone": node.locality.sub_zone,
        },
        "metadata": node.metadata,
        "user_agent_name": sent.user_agent_name,
        "user_agent_version": env!("CARGO_PKG_VERSION"),
        "client_features": sent.client_features,
    })
}

fn of_server(server: &ServerStatus) -> Value {
    let ServerStatus { uri, needed, connected, outage, failures, .. } = server;
    json!({
        "uri": &**uri,
        "needed": needed,
        "connected": connected,
        "outage": outage,
        "failures": failures,
    })
}

fn of_ejected(ejected: &EjectedEndpoint, clock: Clock) -> Value {
    json!({
        "cluster": &*ejected.cluster,
        "endpoint": ejected.addresses.first().to_string(),
        "detection_method": ejected.reason.method.name(),
        "reason": ejected.reason.to_string(),
        "since": to_text(&clock.timestamp(ejected.since)),
        "multiplier": ejected.multiplier,
    })
}

fn of_unhealthy(unhealthy: &UnhealthyEndpoint, clock: Clock) -> Value {
    json!({
        "cluster": &*unhealthy.cluster,
        "endpoint": unhealthy.addresses.first().to_string(),
        "reason": &*unhealthy.reason,
        "since": to_text(&clock.timestamp(unhealthy.since)),
    })
}

fn of_queued(queued: &QueuedCalls) -> Value {
    json!({"cluster": &*queued.cluster, "calls": queued.calls})
}

fn of_resource(resource: &GenericXdsConfig) -> Value {
    json!({
        "type_url": resource.type_url,
        "name": resource.name,
        "version_info": resource.version_info,
        "xds_config": resource.xds_config.as_ref().map(of_any),
        "last_updated": resource.last_updated.as_ref().map(to_text),
        "client_status": resource.client_status().as_str_name(),
        "error_state": resource.error_state.as_ref().map(of_error),
    })
}

fn of_any(Any { type_url, value }: &Any) -> Value {
    json!({ "@type": type_url, "value": STANDARD.encode(value) })
}

fn of_error(error: &UpdateFailureState) -> Value {
    let at: Option<&Timestamp> = error.last_update_attempt.as_ref();
    json!({
        "details": error.details,
        "version_info": error.version_info,
        "last_update_attempt": at.map(to_text),
    })
}
