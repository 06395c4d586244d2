//! Clusters (gRFC A27, A37, A42, A48, A50, A52).

use prost::Message;
use xds_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbConfig, LbPolicy,
};
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy, OutlierDetection};
use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use xds_proto::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use xds_proto::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::google::protobuf::{Any, Duration, UInt32Value};

use super::{Verdict, ads_or_self, expect, metadata, tls, type_name};

pub(crate) fn verdict(cluster: &Cluster) -> Verdict {
    expect(!cluster.name.is_empty(), "empty name")?;
    // CDS-06: where there is a policy, the old field says nothing; grpc-go looks at both.
    match &cluster.load_balancing_policy {
        Some(policy) => new_policy(policy, 0)?,
        None => old_policy(cluster)?,
    }
    expect(cluster.transport_socket_matches.is_empty(), "transport socket matches")?;
    cluster.transport_socket.as_ref().map_or(Ok(()), tls::upstream)?;
    outlier_detection(cluster.outlier_detection.as_ref())?;
    metadata(cluster.metadata.as_ref())?;
    if let Some(server) = &cluster.lrs_server {
        let is_self = matches!(server.config_source_specifier, Some(ConfigSourceSpecifier::Self_(_)));
        expect(is_self, "lrs_server that is not self")?;
    }
    discovery(cluster)
}

fn old_policy(cluster: &Cluster) -> Verdict {
    match LbPolicy::try_from(cluster.lb_policy) {
        Ok(LbPolicy::RoundRobin) => Ok(()),
        Ok(LbPolicy::RingHash) => match &cluster.lb_config {
            Some(LbConfig::RingHashLbConfig(ring)) => {
                expect(ring.hash_function == 0, "hash function")?;
                let sizes = [ring.minimum_ring_size, ring.maximum_ring_size];
                expect(sizes.into_iter().flatten().all(|size| size.value <= 8_388_608), "ring size")
            }
            _ => Ok(()),
        },
        Ok(LbPolicy::LeastRequest) => match &cluster.lb_config {
            Some(LbConfig::LeastRequestLbConfig(choice)) => {
                expect(choice.choice_count.is_none_or(|count| count.value >= 2), "choice count")
            }
            _ => Ok(()),
        },
        _ => Err("load balancing policy"),
    }
}

fn new_policy(policy: &LoadBalancingPolicy, depth: usize) -> Verdict {
    expect(depth < 16, "depth of policies")?;
    for entry in &policy.policies {
        let config = entry.typed_extension_config.as_ref().and_then(|config| config.typed_config.as_ref());
        if let Some(verdict) = config.and_then(|config| known_policy(config, depth)) {
            return verdict;
        }
    }
    Err("no supported policy")
}

/// `None`: not known to every client, or a struct, which has tables of its own.
fn known_policy(config: &Any, depth: usize) -> Option<Verdict> {
    let name = type_name(config).strip_prefix("envoy.extensions.load_balancing_policies.")?;
    Some(match name {
        "round_robin.v3.RoundRobin" | "pick_first.v3.PickFirst" => Ok(()),
        "ring_hash.v3.RingHash" => {
            RingHash::decode(&*config.value).map_err(|_| "ring hash").and_then(|ring| {
                let sizes = [ring.minimum_ring_size, ring.maximum_ring_size];
                expect(ring.hash_function == 1, "hash function")?;
                expect(sizes.into_iter().flatten().all(|size| size.value <= 8_388_608), "ring size")
            })
        }
        "least_request.v3.LeastRequest" => {
            let read = LeastRequest::decode(&*config.value).map_err(|_| "least request");
            read.and_then(|read| {
                expect(read.choice_count.is_none_or(|count| count.value >= 2), "choice count")
            })
        }
        "wrr_locality.v3.WrrLocality" => {
            let read = WrrLocality::decode(&*config.value).map_err(|_| "wrr locality");
            read.and_then(|read| new_policy(&read.endpoint_picking_policy.unwrap_or_default(), depth + 1))
        }
        _ => return None,
    })
}

fn outlier_detection(detection: Option<&OutlierDetection>) -> Verdict {
    let Some(detection) = detection else { return Ok(()) };
    let durations = [&detection.interval, &detection.base_ejection_time, &detection.max_ejection_time];
    expect(durations.into_iter().flatten().all(is_valid), "duration of outlier detection")?;
    let percentages = [
        detection.max_ejection_percent,
        detection.enforcing_success_rate,
        detection.failure_percentage_threshold,
        detection.enforcing_failure_percentage,
    ];
    let is_share = |share: UInt32Value| share.value <= 100;
    expect(percentages.into_iter().flatten().all(is_share), "percentage of outlier detection")
}

fn is_valid(duration: &Duration) -> bool {
    (0..=315_576_000_000).contains(&duration.seconds) && (0..=999_999_999).contains(&duration.nanos)
}

fn discovery(cluster: &Cluster) -> Verdict {
    match &cluster.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(kind)) if *kind == DiscoveryType::Eds as i32 => {
            let eds = cluster.eds_cluster_config.as_ref();
            expect(ads_or_self(eds.and_then(|eds| eds.eds_config.as_ref())), "source of endpoints")?;
            let is_named = eds.is_some_and(|eds| !eds.service_name.is_empty());
            expect(is_named || !cluster.name.starts_with("xdstp:"), "service name of an xdstp cluster")
        }
        Some(ClusterDiscoveryType::Type(kind)) if *kind == DiscoveryType::LogicalDns as i32 => {
            logical_dns(cluster)
        }
        Some(ClusterDiscoveryType::ClusterType(custom)) => {
            let any = custom.typed_config.as_ref().ok_or("cluster type")?;
            expect(type_name(any) == "envoy.extensions.clusters.aggregate.v3.ClusterConfig", "cluster type")?;
            let aggregate = ClusterConfig::decode(&*any.value).map_err(|_| "aggregate cluster")?;
            expect(!aggregate.clusters.is_empty(), "aggregate of nothing")
        }
        _ => Err("cluster type"),
    }
}

fn logical_dns(cluster: &Cluster) -> Verdict {
    let localities = cluster.load_assignment.as_ref().map_or(&[][..], |assignment| &assignment.endpoints);
    let [locality] = localities else { return Err("localities of logical DNS") };
    let [endpoint] = &*locality.lb_endpoints else { return Err("endpoints of logical DNS") };
    let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else {
        return Err("endpoint of logical DNS");
    };
    let address = endpoint.address.as_ref().and_then(|address| address.address.as_ref());
    let Some(Kind::SocketAddress(socket)) = address else { return Err("address of logical DNS") };
    expect(socket.resolver_name.is_empty() && !socket.address.is_empty(), "host of logical DNS")?;
    let has_port = matches!(socket.port_specifier, Some(PortSpecifier::PortValue(port)) if port != 0);
    expect(has_port, "port of logical DNS")
}
