//! Endpoints as resources of their own (LEDS, gRFC A95).
//!
//! | what | its name |
//! | --- | --- |
//! | a locality's endpoints | `xdstp:///envoy.config.endpoint.v3.LbEndpoint/CLUSTER/PRIORITY.REGION%2FZONE%2FSUBZONE/*` |
//! | one of them | the same with `IP:PORT` in the place of `*` |

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{ApiVersion, ConfigSource, SelfConfigSource};
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, LbEndpoint, LedsClusterLocalityConfig, LocalityLbEndpoints,
};

use super::MadeCollection;

/// Replaces the endpoints of an assignment by references to collections.
pub(super) fn take(assignment: &mut ClusterLoadAssignment) -> Vec<MadeCollection> {
    let cluster = encode(&assignment.cluster_name);
    assignment.endpoints.iter_mut().map(|locality| take_locality(&cluster, locality)).collect()
}

fn take_locality(cluster: &str, locality: &mut LocalityLbEndpoints) -> MadeCollection {
    let id = locality.locality.clone().unwrap_or_default();
    let key = format!("{}.{}/{}/{}", locality.priority, id.region, id.zone, id.sub_zone);
    let folder = format!("xdstp:///envoy.config.endpoint.v3.LbEndpoint/{cluster}/{}", encode(&key));
    let endpoints = std::mem::take(&mut locality.lb_endpoints);
    let members = endpoints.iter().map(|endpoint| member(&folder, endpoint)).collect();
    let name = format!("{folder}/*");
    locality.lb_config = Some(LbConfig::LedsClusterLocalityConfig(LedsClusterLocalityConfig {
        leds_config: Some(ConfigSource {
            resource_api_version: ApiVersion::V3.into(),
            config_source_specifier: Some(ConfigSourceSpecifier::Self_(SelfConfigSource::default())),
            ..ConfigSource::default()
        }),
        leds_collection_name: name.clone(),
    }));
    MadeCollection { name, members }
}

fn member(folder: &str, endpoint: &LbEndpoint) -> (String, Bytes) {
    let address = match &endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => {
            endpoint.address.as_ref().and_then(|address| address.address.as_ref())
        }
        _ => None,
    };
    let place = match address {
        Some(AddressKind::SocketAddress(socket)) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => format!("{}:{port}", socket.address),
            _ => socket.address.clone(),
        },
        _ => String::new(),
    };
    (format!("{folder}/{}", encode(&place)), endpoint.encode_to_vec().into())
}

/// One segment of a path (RFC 3986, 3.3): characters that need no escape are not escaped, because there must be
/// one spelling only.
fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, &ESCAPED).to_string()
}

const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
