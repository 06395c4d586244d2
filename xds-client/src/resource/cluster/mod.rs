//! Clusters: where endpoints come from, how calls are spread over them and limited (gRFC A27, A32, A37, A50, A52).

mod connection;
#[cfg(test)]
mod connection_tests;
mod discovery;
mod health_check;
#[cfg(test)]
mod health_check_tests;
mod lb_policy;
mod outlier_detection;
#[cfg(test)]
mod outlier_detection_tests;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::{CallLimits, ClusterSettings, HealthStatus, MaxRequests, Name, ReportedMetric};
use mesh_core::policy::retry::RetryBudget;
use xds_proto::envoy::config::cluster::v3 as proto;
use xds_proto::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget as ProtoRetryBudget;
use xds_proto::envoy::config::core::v3::{HealthStatus as ProtoHealth, RoutingPriority};

use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::metadata::Metadata;
use super::transport_socket;
use super::{AnyResource, DecodeContext, DecodeError, Decoding, ResourceType, fields};

pub use lb_policy::{LbPolicyRegistry, LbPolicyType};

pub use discovery::ClusterDiscovery;

/// `envoy.config.cluster.v3.Cluster`, decoded to [`Cluster`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterType;

/// A validated `envoy.config.cluster.v3.Cluster`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cluster {
    /// How calls are spread and limited.
    pub settings: Arc<ClusterSettings>,
    /// Where its endpoints come from.
    pub discovery: ClusterDiscovery,
}

impl ResourceType for ClusterType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    }

    fn is_full_state(&self) -> bool {
        true
    }

    fn peek_name(&self, bytes: &Bytes) -> Option<Name> {
        message::peek_name(bytes)
    }

    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        decode_message(self.type_url(), name, bytes, |message: proto::Cluster| {
            read(&message, &Decoding::new(context))
        })
    }
}

impl Named for proto::Cluster {
    fn name(&self) -> &str {
        &self.name
    }
}

fn read(cluster: &proto::Cluster, context: &Decoding<'_>) -> Checked<Cluster> {
    let discovery = discovery::read(cluster)?;
    // CDS-15
    if !cluster.transport_socket_matches.is_empty() {
        return Err(Invalid::at("transport_socket_matches", "must be empty"));
    }
    if cluster.transport_socket_matcher.is_some() {
        return Err(Invalid::at("transport_socket_matcher", "is not supported"));
    }
    let upstream = transport_socket::upstream(cluster.transport_socket.as_ref(), context)?;
    // CDS-10
    cluster.lrs_server.as_ref().map_or(Ok(()), fields::is_self).within("lrs_server")?;
    let metadata = Metadata::read(cluster.metadata.as_ref()).within("metadata")?;
    // CDS-18
    let label = |key| Name::from(metadata.text("com.google.csm.telemetry_labels", key).unwrap_or("unknown"));
    let (locality_policy, lb_policy) = lb_policy::read(cluster, context)?;
    let outlier_detection = cluster.outlier_detection.as_ref().map(outlier_detection::read).transpose();
    let name = Name::from(cluster.name.as_str());
    let mut settings = ClusterSettings::new(name);
    if let Some(service_name) = discovery::service_name(cluster) {
        settings.service_name = service_name.into();
    }
    settings.lb_policy = lb_policy;
    settings.locality_policy = locality_policy;
    let limits = |priority| thresholds(cluster, priority).within("circuit_breakers");
    settings.limits = limits(RoutingPriority::Default)?;
    settings.high_priority_limits = limits(RoutingPriority::High)?;
    settings.connection = connection::read(cluster)?;
    // TLS-18
    settings.tls = upstream.tls;
    settings.connection.through_proxies = upstream.through_proxies;
    settings.override_host_status = override_host_status(cluster).into();
    settings.health_check = health_check::read(cluster, context)?.map(Arc::new);
    settings.outlier_detection = outlier_detection.within("outlier_detection")?;
    settings.telemetry_labels = Some((label("service_name"), label("service_namespace")));
    // TR-47: the same message from another server is another cluster
    settings.load_reporting = cluster.lrs_server.as_ref().map(|_| context.server.clone());
    settings.reported_metrics = reported_metrics(&cluster.lrs_report_endpoint_metrics);
    Ok(Cluster { settings: Arc::new(settings), discovery })
}

/// CDS-16: other statuses than these three are ignored; an empty list means no sessions.
fn override_host_status(cluster: &proto::Cluster) -> Vec<HealthStatus> {
    let set = cluster.common_lb_config.as_ref().and_then(|config| config.override_host_status.as_ref());
    let Some(set) = set else { return vec![HealthStatus::Unknown, HealthStatus::Healthy] };
    let known = [
        (ProtoHealth::Unknown, HealthStatus::Unknown),
        (ProtoHealth::Healthy, HealthStatus::Healthy),
        (ProtoHealth::Draining, HealthStatus::Draining),
    ];
    let listed = known.into_iter().filter(|(proto, _)| set.statuses.contains(&(*proto as i32)));
    listed.map(|(_, health)| health).collect()
}

/// CDS-11, LB-27: how much there may be at once for calls of this priority, by the first entry for it.
fn thresholds(cluster: &proto::Cluster, priority: RoutingPriority) -> Checked<CallLimits> {
    let thresholds = cluster.circuit_breakers.iter().flat_map(|breakers| &breakers.thresholds);
    let mut own = thresholds.enumerate().filter(|(_, entry)| entry.priority == priority as i32);
    let mut limits = CallLimits::default();
    let Some((index, entry)) = own.next() else { return Ok(limits) };
    if let Some(limit) = entry.max_requests {
        limits.max_requests = MaxRequests(limit.value);
    }
    // gRPC knows neither of the two, and lets calls wait without a limit unless it is configured
    limits.max_pending = entry.max_pending_requests.map(|limit| limit.value);
    limits.max_connections = entry.max_connections.map(|limit| limit.value);
    let budget = entry.retry_budget.as_ref().map(retry_budget).transpose();
    let budget = budget.within("retry_budget").within_element("thresholds", index)?;
    // LB-28: the budget overrides `max_retries`
    limits.retry_budget = budget.or_else(|| entry.max_retries.map(|limit| RetryBudget::at_most(limit.value)));
    limits.track_remaining = entry.track_remaining;
    Ok(limits)
}

/// LB-28: 20 %, and at least 3, unless the fields say otherwise. A part of a percent is rounded up.
fn retry_budget(budget: &ProtoRetryBudget) -> Checked<RetryBudget> {
    let default = RetryBudget::default();
    let percent = match &budget.budget_percent {
        None => default.percent,
        Some(percent) if (0.0..=100.0).contains(&percent.value) => {
            (0..=100).find(|whole| f64::from(*whole) >= percent.value).unwrap_or(100)
        }
        Some(_) => return Err(Invalid::at("budget_percent", "must be 0 to 100")),
    };
    let minimum = budget.min_retry_concurrency.map_or(default.minimum, |minimum| minimum.value);
    Ok(RetryBudget::new(percent, minimum))
}

/// CDS-19: unknown names are ignored, all named metrics make single ones needless, none is listed twice.
fn reported_metrics(names: &[String]) -> Arc<[ReportedMetric]> {
    let all_named = names.iter().any(|name| name == "named_metrics.*");
    let metric = |name: &str| match name {
        "cpu_utilization" => Some(ReportedMetric::CpuUtilization),
        "mem_utilization" => Some(ReportedMetric::MemUtilization),
        "application_utilization" => Some(ReportedMetric::ApplicationUtilization),
        "named_metrics.*" => Some(ReportedMetric::AllNamed),
        name if all_named && name.starts_with("named_metrics.") => None,
        name => match name.strip_prefix("named_metrics.") {
            None | Some("") => None,
            Some(key) => Some(ReportedMetric::Named(key.into())),
        },
    };
    let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    distinct.into_iter().filter_map(metric).collect()
}
