//! Endpoints (gRFC A27, A52, A61).

use std::collections::{BTreeMap, BTreeSet};

use xds_proto::envoy::config::core::v3::Address;
use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};

use super::{Verdict, expect, metadata};

pub(crate) fn verdict(assignment: &ClusterLoadAssignment) -> Verdict {
    expect(!assignment.cluster_name.is_empty(), "empty name")?;
    for drop in assignment.policy.iter().flat_map(|policy| &policy.drop_overloads) {
        let denominator = drop.drop_percentage.map_or(0, |percentage| percentage.denominator);
        expect((0..=2).contains(&denominator), "denominator of a drop")?;
    }
    let mut priorities: BTreeMap<u32, (u64, BTreeSet<[&str; 3]>)> = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for entry in &assignment.endpoints {
        let id = entry.locality.as_ref().ok_or("locality without a name")?;
        let weight = entry.load_balancing_weight.map_or(0, |weight| weight.value);
        if weight == 0 {
            continue;
        }
        let (weights, known) = priorities.entry(entry.priority).or_default();
        *weights += u64::from(weight);
        expect(*weights <= u64::from(u32::MAX), "weights of localities")?;
        expect(known.insert([&id.region, &id.zone, &id.sub_zone]), "locality twice")?;
        endpoints(entry, &mut addresses)?;
        metadata(entry.metadata.as_ref())?;
    }
    expect((0..).zip(priorities.keys()).all(|(expected, found)| expected == *found), "gap of priorities")
}

fn endpoints(entry: &LocalityLbEndpoints, known: &mut BTreeSet<(String, u32)>) -> Verdict {
    // gRFC A95, which grpc-go does not implement: these take the place of the list.
    if matches!(entry.lb_config, Some(LbConfig::LedsClusterLocalityConfig(_))) {
        return Ok(());
    }
    let mut weights = 0;
    for endpoint in &entry.lb_endpoints {
        let weight = endpoint.load_balancing_weight.map_or(1, |weight| weight.value);
        expect(weight > 0, "weight of an endpoint")?;
        weights += u64::from(weight);
        expect(weights <= u64::from(u32::MAX), "weights of endpoints")?;
        for address in addresses(endpoint) {
            expect(known.insert(address), "address twice")?;
        }
        metadata(endpoint.metadata.as_ref())?;
    }
    Ok(())
}

fn addresses(endpoint: &LbEndpoint) -> Vec<(String, u32)> {
    let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else { return Vec::new() };
    let further = endpoint.additional_addresses.iter().map(|additional| additional.address.as_ref());
    std::iter::once(endpoint.address.as_ref()).chain(further).map(address).collect()
}

fn address(address: Option<&Address>) -> (String, u32) {
    let Some(Kind::SocketAddress(socket)) = address.and_then(|address| address.address.as_ref()) else {
        return (String::new(), 0);
    };
    match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => (socket.address.clone(), port),
        _ => (socket.address.clone(), 0),
    }
}
