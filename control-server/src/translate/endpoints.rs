//! Endpoints.

use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, HealthStatus, Locality, SocketAddress};
use xds_proto::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};
use xds_proto::google::protobuf::UInt32Value;

use super::locality::{Group, placements};
use crate::model::{Endpoint, LocalityPolicy};
use crate::resources::ScopeSelector;

/// The endpoints that the clients of each place get, in the order in which the places are tried; the last one is everybody
/// else's.
pub(super) fn translate(
    cluster: &str,
    endpoints: &[Endpoint],
    policy: &LocalityPolicy,
) -> Vec<(ScopeSelector, ClusterLoadAssignment)> {
    let assignment = |groups: Vec<Group<'_>>| {
        let sum: u64 = groups.iter().map(|group| group.weight.max(total(group))).sum();
        ClusterLoadAssignment {
            cluster_name: cluster.to_owned(),
            endpoints: groups.iter().map(|group| locality(group, scale(sum))).collect(),
            ..ClusterLoadAssignment::default()
        }
    };
    placements(endpoints, policy).into_iter().map(|(place, groups)| (place, assignment(groups))).collect()
}

fn total(group: &Group<'_>) -> u64 {
    group.members.iter().map(|endpoint| u64::from(endpoint.weight)).sum()
}

/// The divisor that makes all weights together fit (EDS-06, EDS-07).
fn scale(sum: u64) -> u64 {
    sum.div_ceil(u64::from(u32::MAX)).max(1)
}

fn locality(group: &Group<'_>, scale: u64) -> LocalityLbEndpoints {
    let weight = |weight: u64| u32::try_from((weight / scale).max(1)).unwrap_or(u32::MAX);
    let members = group.members.iter();
    let lb_endpoints = members
        .map(|endpoint| lb_endpoint(&endpoint.ip.to_string(), endpoint.port, weight(endpoint.weight.into())))
        .collect();
    LocalityLbEndpoints {
        locality: Some(Locality {
            region: group.locality.region.clone(),
            zone: group.locality.zone.clone(),
            sub_zone: group.locality.sub_zone.clone(),
        }),
        lb_endpoints,
        load_balancing_weight: Some(UInt32Value { value: weight(group.weight) }),
        priority: group.priority,
        ..LocalityLbEndpoints::default()
    }
}

pub(super) fn lb_endpoint(address: &str, port: u32, weight: u32) -> LbEndpoint {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    let address = Address { address: Some(AddressKind::SocketAddress(socket)) };
    LbEndpoint {
        health_status: HealthStatus::Healthy.into(),
        load_balancing_weight: Some(UInt32Value { value: weight }),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint {
            address: Some(address),
            ..ProtoEndpoint::default()
        })),
        ..LbEndpoint::default()
    }
}
