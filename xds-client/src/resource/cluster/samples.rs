//! Valid messages for the tables to change.

use serde_json::json;
use xds_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use xds_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType, EdsClusterConfig,
};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, LoadBalancingPolicy, OutlierDetection,
};
use xds_proto::envoy::config::core::v3::{ConfigSource, TypedExtensionConfig};
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use xds_proto::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::google::protobuf::Any;

use crate::resource::endpoint::samples::{endpoint, locality};
use crate::resource::testing::{ads, from_self, metadata, pack_any, seconds, u32_value};

/// A cluster type by the enum.
pub(in crate::resource) fn discovery(kind: DiscoveryType) -> Option<ClusterDiscoveryType> {
    Some(ClusterDiscoveryType::Type(kind as i32))
}

/// Endpoints from EDS, everything else by default.
pub(in crate::resource) fn eds() -> Cluster {
    eds_from(ads())
}

/// Endpoints from EDS of this source.
pub(in crate::resource) fn eds_from(eds_config: Option<ConfigSource>) -> Cluster {
    Cluster {
        name: "greeter".into(),
        cluster_discovery_type: discovery(DiscoveryType::Eds),
        eds_cluster_config: Some(EdsClusterConfig { eds_config, ..Default::default() }),
        ..Default::default()
    }
}

/// One DNS name.
pub(in crate::resource) fn logical_dns() -> Cluster {
    let endpoints = vec![locality("", 0, 1, vec![endpoint("greeter.example", 443)])];
    Cluster {
        name: "dns".into(),
        cluster_discovery_type: discovery(DiscoveryType::LogicalDns),
        load_assignment: Some(ClusterLoadAssignment { endpoints, ..Default::default() }),
        ..Default::default()
    }
}

/// An aggregate with this configuration.
pub(in crate::resource) fn aggregate_of(typed_config: Option<Any>) -> Cluster {
    let custom = CustomClusterType { name: "whatever".into(), typed_config };
    Cluster {
        name: "aggregate".into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(custom)),
        ..Default::default()
    }
}

/// An aggregate of these clusters.
pub(in crate::resource) fn aggregate(clusters: &[&str]) -> Cluster {
    let clusters = clusters.iter().map(|&name| name.to_owned()).collect();
    aggregate_of(Some(pack_any(ClusterConfig { clusters })))
}

/// A list of policies.
pub(in crate::resource) fn policies(configs: Vec<Any>) -> Option<LoadBalancingPolicy> {
    let policy = |config| {
        let typed_config = Some(config);
        Policy { typed_extension_config: Some(TypedExtensionConfig { typed_config, ..Default::default() }) }
    };
    Some(LoadBalancingPolicy { policies: configs.into_iter().map(policy).collect() })
}

/// Locality weights around these policies.
pub(in crate::resource) fn wrr_locality(configs: Vec<Any>) -> Any {
    pack_any(WrrLocality { endpoint_picking_policy: policies(configs) })
}

/// A cluster with a value in every field that is read.
pub(in crate::resource) fn everything() -> Cluster {
    let thresholds = vec![Thresholds { max_requests: u32_value(7), ..Default::default() }];
    let labels = json!({"service_name": "s", "service_namespace": "n"});
    Cluster {
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: from_self(),
            service_name: "service".into(),
        }),
        load_balancing_policy: policies(vec![wrr_locality(vec![pack_any(RoundRobin::default())])]),
        circuit_breakers: Some(CircuitBreakers { thresholds, ..Default::default() }),
        outlier_detection: Some(OutlierDetection { interval: seconds(3), ..Default::default() }),
        lrs_server: from_self(),
        lrs_report_endpoint_metrics: vec!["cpu_utilization".into(), "named_metrics.q".into()],
        metadata: metadata("com.google.csm.telemetry_labels", labels),
        ..eds()
    }
}
