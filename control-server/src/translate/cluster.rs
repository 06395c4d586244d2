//! Clusters.

use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget;
use xds_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
use xds_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::{ApiVersion, ConfigSource, RoutingPriority, SelfConfigSource};
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::UInt32Value;

use super::endpoints::lb_endpoint;
use super::envoy;
use super::listener::ads;
use super::route::duration;
use super::{LoadReporting, connection, health_check, lb_policy, outlier, tls};
use crate::model::{self, Budget, Discovery, Policy};
use crate::state::ClientFamily;

/// A cluster for the clients of a family.
pub(super) fn translate(
    cluster: &model::Cluster,
    load_reporting: LoadReporting,
    family: ClientFamily,
) -> Cluster {
    let outlier = cluster.policy.outlier.as_ref();
    let connections = &cluster.policy.connections;
    let mut made = Cluster {
        name: cluster.name.clone(),
        circuit_breakers: Some(circuit_breakers(&cluster.policy)),
        connect_timeout: connections.connect_timeout.map(duration),
        outlier_detection: outlier.map(outlier::outlier_detection),
        common_lb_config: outlier.map(outlier::panic_threshold),
        upstream_connection_options: connections.tcp_keepalive.map(connection::tcp_keepalive),
        typed_extension_protocol_options: envoy::http2(outlier.and_then(outlier::error_matcher), connections),
        transport_socket: cluster.tls.as_ref().map(tls::upstream),
        ..Cluster::default()
    };
    if load_reporting == LoadReporting::On {
        // CDS-10: to this server, over the connection of the cluster.
        made.lrs_server = Some(this_server());
        made.lrs_report_endpoint_metrics = REPORTED_METRICS.map(str::to_owned).to_vec();
    }
    if family != ClientFamily::Envoy {
        made.upstream_config = connection::upstream_config(connections);
    }
    // gRPC's own clients would ignore them.
    if family != ClientFamily::Grpc
        && let Some(check) = &cluster.policy.health_check
    {
        made.health_checks = vec![health_check::health_check(check)];
        made.common_lb_config.get_or_insert_with(|| outlier::panic_below(0));
    }
    discover(cluster, &mut made);
    lb_policy::balance(&cluster.policy, &mut made);
    made
}

/// The name of a cluster's endpoints. Clients show it when a call fails because there are none, so it says why.
///
/// With TLS they have a name of their own. A client without the certificates refuses such a cluster and keeps the one that it has: the
/// endpoints of that one, under the other name, are gone, and no call goes out in plaintext.
pub(super) fn endpoints_name(cluster: &model::Cluster) -> String {
    match &cluster.discovery {
        Discovery::Unavailable(reason) if !cluster.name.contains(reason) => {
            format!("{}: {reason}", cluster.name)
        }
        _ if cluster.tls.is_some() => cluster.name.clone() + SECURED,
        _ => cluster.name.clone(),
    }
}

/// Whether these are the endpoints of a cluster with TLS.
pub(crate) fn is_secured(endpoints: &str, cluster: &str) -> bool {
    endpoints.strip_suffix(SECURED) == Some(cluster)
}

const SECURED: &str = "|tls";

fn discover(of: &model::Cluster, cluster: &mut Cluster) {
    let service_name = endpoints_name(of);
    let discovery_type = match &of.discovery {
        Discovery::Endpoints(_) | Discovery::Unavailable(_) => {
            cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config: Some(ads()), service_name });
            DiscoveryType::Eds
        }
        // CDS-04: one locality, one endpoint, a name.
        Discovery::LogicalDns { host, port } => {
            let endpoints = LocalityLbEndpoints {
                lb_endpoints: vec![lb_endpoint(host, *port, 1)],
                ..LocalityLbEndpoints::default()
            };
            cluster.load_assignment = Some(ClusterLoadAssignment {
                cluster_name: cluster.name.clone(),
                endpoints: vec![endpoints],
                ..ClusterLoadAssignment::default()
            });
            DiscoveryType::LogicalDns
        }
    };
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(discovery_type.into()));
}

/// Always explicit: clients would use 1024 otherwise (CDS-11), and Istio's kinds mean no limit.
fn circuit_breakers(policy: &Policy) -> CircuitBreakers {
    let limits = &policy.limits;
    let number = |number: Option<u32>| number.map(|value| UInt32Value { value });
    let budget = |budget: Budget| RetryBudget {
        budget_percent: Some(Percent { value: budget.percent }),
        min_retry_concurrency: number(Some(budget.min_concurrency)),
    };
    let thresholds = Thresholds {
        priority: RoutingPriority::Default.into(),
        // gRPC for Java of some years takes a larger limit for a negative number and refuses every call.
        max_requests: number(Some(limits.max_requests.min(i32::MAX.unsigned_abs()))),
        max_connections: number(policy.connections.max),
        max_pending_requests: number(limits.max_pending),
        max_retries: number(limits.max_retries),
        retry_budget: limits.retry_budget.map(budget),
        ..Thresholds::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}

fn this_server() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Self_(SelfConfigSource::default())),
        ..ConfigSource::default()
    }
}

/// Endpoints' own metrics that clients report (TR-71).
const REPORTED_METRICS: [&str; 4] =
    ["cpu_utilization", "mem_utilization", "application_utilization", "named_metrics.*"];
