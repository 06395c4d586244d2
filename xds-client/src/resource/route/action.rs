//! What happens to a matched request.

use std::time::Duration;

use mesh_core::config::{ClusterChoice, Forward, RouteAction, RoutingPriority, WeightedCluster};
use xds_proto::envoy::config::core::v3 as proto_core;
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;

use crate::resource::headers::HeaderFields;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{fields, filter};

use super::{Scope, hash_policy, mirror, retry, rewrite};

/// `None`: the route is skipped.
pub(super) fn read(action: Option<&Action>, scope: &Scope<'_>) -> Checked<Option<RouteAction>> {
    // RDS-13: other actions fail the calls that match them, and no other calls.
    let unsupported = |what| Ok(Some(RouteAction::Unsupported(what)));
    match action {
        Some(Action::Route(action)) => Ok(forward(action, scope).within("route")?.map(RouteAction::Forward)),
        Some(Action::NonForwardingAction(_)) => Ok(Some(RouteAction::NonForwarding)),
        Some(Action::Redirect(_)) => unsupported("redirect"),
        Some(Action::DirectResponse(_)) => unsupported("direct_response"),
        Some(Action::FilterAction(_)) => unsupported("filter_action"),
        None => unsupported("no action"),
    }
}

fn forward(action: &proto::RouteAction, scope: &Scope<'_>) -> Checked<Option<Forward>> {
    // Before the specifier, without which the route is skipped: gRPC validates these first.
    let hash_policies = hash_policy::read(&action.hash_policy, scope.context)?;
    let Some(clusters) = clusters(action.cluster_specifier.as_ref(), scope)? else { return Ok(None) };
    // RDS-14: grpc_timeout_header_offset and the action's own timeout are for HTTP.
    let limits = action.max_stream_duration.as_ref();
    let limit = |of: fn(&Limits) -> Option<&ProtoDuration>, field: &str| -> Checked<Option<Duration>> {
        fields::optional_duration(limits.and_then(of), field).within("max_stream_duration")
    };
    let mut forward = Forward::new(clusters);
    forward.max_stream_duration = limit(|limits| limits.max_stream_duration.as_ref(), "max_stream_duration")?;
    forward.grpc_timeout_header_max =
        limit(|limits| limits.grpc_timeout_header_max.as_ref(), "grpc_timeout_header_max")?;
    let own = retry::policy(action.retry_policy.as_ref(), scope)?;
    forward.retry = retry::hedged(action, own, scope)?;
    forward.hash_policies = hash_policies;
    // RDS-18, SEC-03
    forward.auto_host_rewrite = scope.host_rewrite && rewrite::is_endpoints_host(action);
    forward.rewrite = rewrite::read(action, scope)?;
    // LB-28
    if action.priority == proto_core::RoutingPriority::High as i32 {
        forward.priority = RoutingPriority::High;
    }
    let of_host = scope.host.map_or(&[][..], |host| &host.request_mirror_policies);
    forward.mirrors = mirror::read([&action.request_mirror_policies, of_host, scope.mirrors])?;
    Ok(Some(forward))
}

type Limits = proto::route_action::MaxStreamDuration;
type ProtoDuration = xds_proto::google::protobuf::Duration;

/// RDS-10: `None` for specifiers that are unset or unknown.
fn clusters(specifier: Option<&ClusterSpecifier>, scope: &Scope<'_>) -> Checked<Option<ClusterChoice>> {
    match specifier {
        Some(ClusterSpecifier::Cluster(name)) if name.is_empty() => {
            Err(Invalid::at("cluster", "must not be empty"))
        }
        Some(ClusterSpecifier::Cluster(name)) => Ok(Some(ClusterChoice::One(name.as_str().into()))),
        Some(ClusterSpecifier::WeightedClusters(clusters)) => {
            weighted(clusters, scope).within("weighted_clusters").map(Some)
        }
        // RDS-12: a declared plugin is unknown.
        Some(ClusterSpecifier::ClusterSpecifierPlugin(name)) => {
            scope.plugins.check(name).within("cluster_specifier_plugin").map(|()| None)
        }
        Some(ClusterSpecifier::ClusterHeader(_) | ClusterSpecifier::InlineClusterSpecifierPlugin(_))
        | None => Ok(None),
    }
}

/// RDS-11: entries without weight are skipped, with all their fields; `total_weight` is not read.
fn weighted(clusters: &proto::WeightedCluster, scope: &Scope<'_>) -> Checked<ClusterChoice> {
    let mut entries = Vec::with_capacity(clusters.clusters.len());
    for (index, cluster) in clusters.clusters.iter().enumerate() {
        let weight = cluster.weight.map_or(0, |weight| weight.value);
        if weight == 0 {
            continue;
        }
        entries.push(weighted_cluster(cluster, weight, scope).within_element("clusters", index)?);
    }
    Ok(ClusterChoice::weighted(entries)?)
}

fn weighted_cluster(
    cluster: &proto::weighted_cluster::ClusterWeight,
    weight: u32,
    scope: &Scope<'_>,
) -> Checked<WeightedCluster> {
    if cluster.name.is_empty() {
        return Err(Invalid::at("name", "must not be empty"));
    }
    let headers = HeaderFields {
        request_add: &cluster.request_headers_to_add,
        request_remove: &cluster.request_headers_to_remove,
        response_add: &cluster.response_headers_to_add,
        response_remove: &cluster.response_headers_to_remove,
    };
    let mut read = WeightedCluster::new(cluster.name.as_str(), weight);
    read.filters = filter::overrides(&cluster.typed_per_filter_config, scope.context)?;
    read.headers = headers.read()?;
    read.host = rewrite::of_weighted_cluster(cluster, scope)?;
    Ok(read)
}
