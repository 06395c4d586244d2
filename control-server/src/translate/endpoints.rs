//! Endpoints.

use std::collections::BTreeMap;

use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, HealthStatus, Locality, SocketAddress};
use xds_proto::envoy::config::endpoint::v3::Endpoint as ProtoEndpoint;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};
use xds_proto::google::protobuf::UInt32Value;

use crate::model::{self, Endpoint};

/// Endpoints by locality; a locality weighs as much as its endpoints together. All have the same priority.
pub(super) fn translate(cluster: &str, endpoints: &[Endpoint]) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<&model::Locality, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        localities.entry(&endpoint.locality).or_default().push(endpoint);
    }
    let totals = localities.values().map(|members| total(members));
    let sum: u64 = totals.sum();
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: localities.iter().map(|(id, members)| locality(id, members, scale(sum))).collect(),
        ..ClusterLoadAssignment::default()
    }
}

fn total(members: &[&Endpoint]) -> u64 {
    members.iter().map(|endpoint| u64::from(endpoint.weight)).sum()
}

/// The divisor that makes all weights together fit (EDS-06, EDS-07).
fn scale(sum: u64) -> u64 {
    sum.div_ceil(u64::from(u32::MAX)).max(1)
}

fn locality(id: &model::Locality, members: &[&Endpoint], scale: u64) -> LocalityLbEndpoints {
    let weight = |weight: u64| u32::try_from((weight / scale).max(1)).unwrap_or(u32::MAX);
    let lb_endpoints = members
        .iter()
        .map(|endpoint| lb_endpoint(&endpoint.ip.to_string(), endpoint.port, weight(endpoint.weight.into())))
        .collect();
    LocalityLbEndpoints {
        locality: Some(Locality {
            region: id.region.clone(),
            zone: id.zone.clone(),
            sub_zone: id.sub_zone.clone(),
        }),
        lb_endpoints,
        load_balancing_weight: Some(UInt32Value { value: weight(total(members)) }),
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
