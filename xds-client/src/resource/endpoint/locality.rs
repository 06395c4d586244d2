//! One locality and its endpoints.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use envoy_types::pb::envoy::config::core::v3::HealthStatus as ProtoHealth;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{self as proto, LbEndpoint, LocalityLbEndpoints};
use mesh_core::config::{Endpoint, EndpointAddresses, HealthStatus, Locality, LocalityId, Name};

use crate::resource::DecodeContext;
use crate::resource::address::ip_and_port;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::metadata::Metadata;

/// `None` for a locality without weight, whatever its endpoints are (EDS-02).
pub(super) fn read(
    entry: &LocalityLbEndpoints,
    context: &DecodeContext,
    addresses: &mut HashSet<SocketAddr>,
) -> Checked<Option<Locality>> {
    // EDS-03
    let id = entry.locality.as_ref().ok_or_else(|| Invalid::at("locality", "must be set"))?;
    let Some(weight) = entry.load_balancing_weight.and_then(|weight| NonZeroU32::new(weight.value)) else {
        return Ok(None);
    };
    Metadata::read(entry.metadata.as_ref()).within("metadata")?;
    addresses.reserve(entry.lb_endpoints.len());
    let mut endpoints = Vec::with_capacity(entry.lb_endpoints.len());
    let mut total: u64 = 0;
    for (index, lb_endpoint) in entry.lb_endpoints.iter().enumerate() {
        let mut read = || {
            let weight = endpoint_weight(lb_endpoint)?;
            total += u64::from(weight.get());
            if total > u64::from(u32::MAX) {
                let reason = "the weights of this locality's endpoints add up to more than 4294967295";
                return Err(Invalid::at("load_balancing_weight", reason));
            }
            endpoint(lb_endpoint, weight, context, addresses)
        };
        endpoints.extend(read().within_element("lb_endpoints", index)?);
    }
    let id = LocalityId { region: id.region.clone(), zone: id.zone.clone(), sub_zone: id.sub_zone.clone() };
    Ok(Some(Locality { id, weight, endpoints }))
}

/// EDS-07
fn endpoint_weight(endpoint: &LbEndpoint) -> Checked<NonZeroU32> {
    let weight = endpoint.load_balancing_weight.map_or(1, |weight| weight.value);
    NonZeroU32::new(weight).ok_or_else(|| Invalid::at("load_balancing_weight", "must not be 0"))
}

/// `None` for an endpoint that is not to be used; it is validated all the same (EDS-11).
fn endpoint(
    entry: &LbEndpoint,
    weight: NonZeroU32,
    context: &DecodeContext,
    addresses: &mut HashSet<SocketAddr>,
) -> Checked<Option<Endpoint>> {
    let Some(HostIdentifier::Endpoint(endpoint)) = &entry.host_identifier else {
        return Err(Invalid::at("endpoint", "must be set"));
    };
    let own = endpoint_addresses(endpoint, addresses).within("endpoint")?;
    let metadata = Metadata::read(entry.metadata.as_ref()).within("metadata")?;
    let health = match ProtoHealth::try_from(entry.health_status) {
        Ok(ProtoHealth::Unknown) => HealthStatus::Unknown,
        Ok(ProtoHealth::Healthy) => HealthStatus::Healthy,
        Ok(ProtoHealth::Draining) => HealthStatus::Draining,
        Ok(ProtoHealth::Unhealthy | ProtoHealth::Timeout | ProtoHealth::Degraded) | Err(_) => {
            return Ok(None);
        }
    };
    // EDS-14
    let hash_key = match context.guards.endpoint_hash_key_backward_compat {
        true => None,
        false => metadata.text("envoy.lb", "hash_key").filter(|key| !key.is_empty()).map(Name::from),
    };
    let hostname = endpoint.hostname.as_str().into();
    Ok(Some(Endpoint { addresses: own, weight, health, hostname, hash_key }))
}

/// EDS-08, EDS-10: the first address and the further ones by the same rules.
fn endpoint_addresses(
    endpoint: &proto::Endpoint,
    known: &mut HashSet<SocketAddr>,
) -> Checked<EndpointAddresses> {
    let first = distinct(ip_and_port(endpoint.address.as_ref()), known).within("address")?;
    if endpoint.additional_addresses.is_empty() {
        return Ok(EndpointAddresses::from(first));
    }
    let mut further = Vec::with_capacity(endpoint.additional_addresses.len());
    for (index, additional) in endpoint.additional_addresses.iter().enumerate() {
        let address = distinct(ip_and_port(additional.address.as_ref()), known);
        further.push(address.within("address").within_element("additional_addresses", index)?);
    }
    Ok(EndpointAddresses::new(first, further))
}

/// EDS-09
fn distinct(address: Checked<SocketAddr>, known: &mut HashSet<SocketAddr>) -> Checked<SocketAddr> {
    let address = address?;
    match known.insert(address) {
        true => Ok(address),
        false => Err(Invalid::new(format!("{address} occurs twice in this resource"))),
    }
}
