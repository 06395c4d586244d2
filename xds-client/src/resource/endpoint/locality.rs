//! One locality: its identifier, its weight, and its endpoints or the collection that holds them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use mesh_core::config::{Endpoint, Locality, LocalityId, Name};
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{LedsClusterLocalityConfig, LocalityLbEndpoints};

use crate::protocol::is_collection;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::metadata::Metadata;
use crate::resource::{DecodeContext, fields};

use super::lb_endpoint::{Endpoints, PROXY};

/// A locality that has a weight.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) locality: Locality,
    /// The collection of its endpoints, if they are not in `locality`.
    pub(super) collection: Option<Name>,
}

/// `None` for a locality without weight, whatever its endpoints are (EDS-02).
pub(super) fn read(
    entry: &LocalityLbEndpoints,
    context: &DecodeContext,
    addresses: &mut HashSet<SocketAddr>,
) -> Checked<Option<Found>> {
    // EDS-03
    let id = entry.locality.as_ref().ok_or_else(|| Invalid::at("locality", "must be set"))?;
    let Some(weight) = entry.load_balancing_weight.and_then(|weight| NonZeroU32::new(weight.value)) else {
        return Ok(None);
    };
    let proxy = Metadata::read(entry.metadata.as_ref()).within("metadata")?.address(PROXY);
    let (endpoints, collection) = match &entry.lb_config {
        // EDS-15: lb_endpoints are not read then, valid or not.
        Some(LbConfig::LedsClusterLocalityConfig(_)) if proxy.is_some() => {
            return Err(Invalid::at(
                "metadata",
                "a proxy for the endpoints of a collection is not supported",
            ));
        }
        Some(LbConfig::LedsClusterLocalityConfig(leds)) => {
            (Vec::new(), Some(collection(leds, context).within("leds_cluster_locality_config")?))
        }
        _ => (endpoints(entry, proxy, context, addresses)?, None),
    };
    let id = LocalityId { region: id.region.clone(), zone: id.zone.clone(), sub_zone: id.sub_zone.clone() };
    Ok(Some(Found { locality: Locality::new(id, weight, endpoints), collection }))
}

fn endpoints(
    entry: &LocalityLbEndpoints,
    proxy: Option<SocketAddr>,
    context: &DecodeContext,
    addresses: &mut HashSet<SocketAddr>,
) -> Checked<Vec<Endpoint>> {
    let mut endpoints = Endpoints::new(context, addresses, entry.lb_endpoints.len()).through(proxy);
    for (index, lb_endpoint) in entry.lb_endpoints.iter().enumerate() {
        endpoints.add(lb_endpoint).within_element("lb_endpoints", index)?;
    }
    Ok(endpoints.used())
}

// EDS-15
fn collection(leds: &LedsClusterLocalityConfig, context: &DecodeContext) -> Checked<Name> {
    fields::same_server(leds.leds_config.as_ref()).within("leds_config")?;
    match leds.leds_collection_name.as_str() {
        "" => Err(Invalid::at("leds_collection_name", "must not be empty")),
        // TR-56
        name if is_collection(name) && !context.incremental => {
            let reason = format!("{name:?} is a glob collection, and those need incremental xDS");
            Err(Invalid::at("leds_collection_name", reason))
        }
        name if ends_in_glob(name) && !is_collection(name) => {
            let reason = format!("{name:?} is no glob collection: that needs an xdstp: name with a type");
            Err(Invalid::at("leds_collection_name", reason))
        }
        name => Ok(name.into()),
    }
}

/// The part after `?` or `#` of an `xdstp:` name is not part of the path.
fn ends_in_glob(name: &str) -> bool {
    let path = match name.starts_with("xdstp:") {
        true => name.split(['?', '#']).next().unwrap_or_default(),
        false => name,
    };
    path.ends_with("/*")
}
