//! Valid messages for the tables to change.

use xds_proto::envoy::config::core::v3::{ConfigSource, Locality};
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LedsClusterLocalityConfig, LocalityLbEndpoints,
    endpoint::AdditionalAddress,
};

use crate::resource::testing::{address, u32_value};

/// An endpoint at this address.
pub(in crate::resource) fn endpoint(host: &str, port: u32) -> LbEndpoint {
    let endpoint = Endpoint { address: address(host, port), ..Default::default() };
    LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..Default::default() }
}

/// The endpoint inside an entry.
pub(in crate::resource) fn inner(endpoint: &mut LbEndpoint) -> &mut Endpoint {
    match &mut endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint,
        other => panic!("{other:?}"),
    }
}

/// A further address.
pub(in crate::resource) fn additional(host: &str, port: u32) -> AdditionalAddress {
    AdditionalAddress { address: address(host, port) }
}

/// A locality in region `region`.
pub(in crate::resource) fn locality(
    region: &str,
    priority: u32,
    weight: u32,
    lb_endpoints: Vec<LbEndpoint>,
) -> LocalityLbEndpoints {
    LocalityLbEndpoints {
        locality: Some(Locality { region: region.into(), ..Default::default() }),
        priority,
        load_balancing_weight: u32_value(weight),
        lb_endpoints,
        ..Default::default()
    }
}

/// Two endpoints in priority 0, one in priority 1.
pub(in crate::resource) fn two_priorities() -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster_name: "greeter".into(),
        endpoints: vec![
            locality("eu", 0, 3, vec![endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 80)]),
            locality("us", 1, 1, vec![endpoint("2001:db8::1", 80)]),
        ],
        ..Default::default()
    }
}

/// The same with the first locality's endpoints in a collection of this source.
pub(in crate::resource) fn leds_from(leds_config: Option<ConfigSource>) -> ClusterLoadAssignment {
    let leds = LedsClusterLocalityConfig { leds_config, leds_collection_name: "eu".into() };
    let mut assignment = two_priorities();
    assignment.endpoints[0].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds));
    assignment
}
