//! One endpoint, or the endpoints of one locality.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use mesh_core::config::{Endpoint, EndpointAddresses, EndpointCheck, EndpointDetails, HealthStatus};
use xds_proto::envoy::config::core::v3::HealthStatus as ProtoHealth;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{self as proto, LbEndpoint};

use crate::resource::DecodeContext;
use crate::resource::fields::ip_and_port;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::metadata::Metadata;

/// Reads endpoints: collects those that take calls, and checks that addresses are unique.
#[derive(Debug)]
pub(super) struct Endpoints<'a> {
    context: &'a DecodeContext,
    /// Every address of the resource so far (EDS-09).
    addresses: &'a mut HashSet<SocketAddr>,
    used: Vec<Endpoint>,
    weight: u64,
    /// The details of endpoints that have none of their own.
    inherited: Option<Arc<EndpointDetails>>,
}

impl<'a> Endpoints<'a> {
    pub(super) fn new(
        context: &'a DecodeContext,
        addresses: &'a mut HashSet<SocketAddr>,
        capacity: usize,
    ) -> Self {
        addresses.reserve(capacity);
        Self { context, addresses, used: Vec::with_capacity(capacity), weight: 0, inherited: None }
    }

    /// With connections through this proxy to endpoints that name none.
    // LB-79
    pub(super) fn through(mut self, proxy: Option<SocketAddr>) -> Self {
        self.inherited = proxy.map(|proxy| {
            let mut details = EndpointDetails::default();
            details.proxy = Some(proxy);
            Arc::new(details)
        });
        self
    }

    /// Reads another endpoint.
    pub(super) fn add(&mut self, entry: &LbEndpoint) -> Checked<()> {
        // EDS-07
        let weight = entry.load_balancing_weight.map_or(1, |weight| weight.value);
        let weight =
            NonZeroU32::new(weight).ok_or_else(|| Invalid::at("load_balancing_weight", "must not be 0"))?;
        self.weight += u64::from(weight.get());
        if self.weight > u64::from(u32::MAX) {
            let reason = "the weights of this locality's endpoints add up to more than 4294967295";
            return Err(Invalid::at("load_balancing_weight", reason));
        }
        let mut endpoint = endpoint(entry, weight, self.context, self.addresses)?;
        if let (Some(endpoint), Some(inherited)) = (&mut endpoint, &self.inherited) {
            match &mut endpoint.details {
                None => endpoint.details = Some(inherited.clone()),
                Some(own) if own.proxy.is_none() => Arc::make_mut(own).proxy = inherited.proxy,
                Some(_) => {}
            }
        }
        self.used.extend(endpoint);
        Ok(())
    }

    /// The endpoints that take calls.
    pub(super) fn used(self) -> Vec<Endpoint> {
        self.used
    }
}

/// `None` for an endpoint that takes no calls; it is validated all the same (EDS-11).
fn endpoint(
    entry: &LbEndpoint,
    weight: NonZeroU32,
    context: &DecodeContext,
    addresses: &mut HashSet<SocketAddr>,
) -> Checked<Option<Endpoint>> {
    let Some(HostIdentifier::Endpoint(endpoint)) = &entry.host_identifier else {
        return Err(Invalid::at("endpoint", "must be set"));
    };
    let check = endpoint.health_check_config.as_ref().map(health_check).transpose();
    let check = check.within("health_check_config").within("endpoint")?;
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
        false => metadata.text("envoy.lb", "hash_key").filter(|key| !key.is_empty()),
    };
    let hostname = endpoint.hostname.as_str().into();
    let mut endpoint = Endpoint::at(own);
    endpoint.weight = weight;
    endpoint.health = health;
    endpoint.hostname = hostname;
    if let Some(hash_key) = hash_key {
        endpoint = endpoint.with_hash_key(hash_key);
    }
    if let Some(check) = check.filter(|check| *check != EndpointCheck::default()) {
        endpoint = endpoint.with_health_check(check);
    }
    if let Some(proxy) = metadata.address(PROXY) {
        endpoint = endpoint.with_proxy(proxy);
    }
    Ok(Some(endpoint))
}

/// The key of an endpoint's or a locality's proxy.
// LB-79
pub(super) const PROXY: &str = "envoy.http11_proxy_transport_socket.proxy_address";

/// How an endpoint's health is checked differently.
// LB-64
fn health_check(config: &proto::endpoint::HealthCheckConfig) -> Checked<EndpointCheck> {
    let port = u16::try_from(config.port_value)
        .map_err(|_| Invalid::at("port_value", format!("{} is above 65535", config.port_value)))?;
    let mut check = EndpointCheck::default();
    check.is_disabled = config.disable_active_health_check;
    check.hostname = (!config.hostname.is_empty()).then(|| config.hostname.as_str().into());
    check.port = (port != 0).then_some(port);
    if config.address.is_some() {
        let address = ip_and_port(config.address.as_ref()).within("address")?;
        check.address = Some(address.ip());
        // As in Envoy, the port of the address counts only where it has one.
        check.port = check.port.or_else(|| (address.port() != 0).then(|| address.port()));
    }
    Ok(check)
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

// EDS-09
fn distinct(address: Checked<SocketAddr>, known: &mut HashSet<SocketAddr>) -> Checked<SocketAddr> {
    let address = address?;
    match known.insert(address) {
        true => Ok(address),
        false => Err(Invalid::new(format!("{address} occurs twice in this resource"))),
    }
}
