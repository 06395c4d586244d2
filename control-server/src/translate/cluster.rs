//! Clusters.

use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy, RingHashLbConfig,
};
use xds_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::{ApiVersion, ConfigSource, RoutingPriority, SelfConfigSource};
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use xds_proto::google::protobuf::{UInt32Value, UInt64Value};

use super::endpoints::lb_endpoint;
use super::envoy;
use super::listener::ads;
use super::route::duration;
use super::{LoadReporting, lb_policy, outlier, tls};
use crate::model::{self, Discovery, LoadBalancing};

pub(super) fn translate(cluster: &model::Cluster, load_reporting: LoadReporting) -> Cluster {
    let outlier = cluster.policy.outlier.as_ref();
    let mut made = Cluster {
        name: cluster.name.clone(),
        circuit_breakers: Some(circuit_breakers(cluster.policy.max_requests, cluster.policy.connections.max)),
        connect_timeout: cluster.policy.connections.connect_timeout.map(duration),
        outlier_detection: outlier.map(outlier::outlier_detection),
        common_lb_config: outlier.map(outlier::panic_threshold),
        typed_extension_protocol_options: envoy::http2(
            outlier.and_then(outlier::error_matcher),
            &cluster.policy.connections,
        ),
        transport_socket: cluster.tls.as_ref().map(tls::upstream),
        ..Cluster::default()
    };
    if load_reporting == LoadReporting::On {
        // CDS-10: to this server, over the connection of the cluster.
        made.lrs_server = Some(this_server());
        made.lrs_report_endpoint_metrics = REPORTED_METRICS.map(str::to_owned).to_vec();
    }
    discover(cluster, &mut made);
    balance(&cluster.policy.load_balancing, &mut made);
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

fn balance(load_balancing: &LoadBalancing, cluster: &mut Cluster) {
    let policy = match load_balancing {
        LoadBalancing::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancing::LeastRequest => {
            cluster.load_balancing_policy = Some(lb_policy::least_request());
            // gRPC for Go before 1.73 refuses a cluster for the old field's least request, whatever the list offers;
            // clients older than the list read the old field alone.
            LbPolicy::RoundRobin
        }
        LoadBalancing::RingHash { min_size, .. } => {
            cluster.lb_config = Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
                minimum_ring_size: Some(UInt64Value { value: *min_size }),
                ..RingHashLbConfig::default()
            }));
            LbPolicy::RingHash
        }
    };
    cluster.lb_policy = policy.into();
}

/// Always explicit: clients would use 1024 otherwise (CDS-11), and Istio's kinds mean no limit.
fn circuit_breakers(max_requests: u32, max_connections: Option<u32>) -> CircuitBreakers {
    let thresholds = Thresholds {
        priority: RoutingPriority::Default.into(),
        // gRPC for Java of some years takes a larger limit for a negative number and refuses every call.
        max_requests: Some(UInt32Value { value: max_requests.min(i32::MAX.unsigned_abs()) }),
        max_connections: max_connections.map(|value| UInt32Value { value }),
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
