//! The members of endpoint collections, from the endpoints that other clients get inline.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};

use super::EncodedResource;

/// One locality of an encoded assignment.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// A `ClusterLoadAssignment`.
    pub(crate) resource: Arc<EncodedResource>,
    /// The position of the locality in it.
    pub(crate) locality: usize,
}

impl PartialEq for Assignment {
    fn eq(&self, other: &Self) -> bool {
        self.locality == other.locality && self.resource.version == other.resource.version
    }
}

/// The members of the collection `glob`; none if the assignment has no such locality.
pub(super) fn of_locality(glob: &str, source: &Assignment) -> Vec<Arc<EncodedResource>> {
    let Ok(assignment) = ClusterLoadAssignment::decode(source.resource.bytes.clone()) else {
        return Vec::new();
    };
    let Some(locality) = assignment.endpoints.get(source.locality) else { return Vec::new() };
    let folder = glob.strip_suffix("/*").unwrap_or(glob);
    locality.lb_endpoints.iter().map(|endpoint| member(folder, endpoint)).collect()
}

fn member(folder: &str, endpoint: &LbEndpoint) -> Arc<EncodedResource> {
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
    let name = format!("{folder}/{}", path_segment(&place));
    Arc::new(EncodedResource::new(name.into(), endpoint.encode_to_vec().into()))
}

/// One segment of a path (RFC 3986, 3.3): characters that need no escape are not escaped, because there must be
/// one spelling only.
pub(crate) fn path_segment(segment: &str) -> String {
    utf8_percent_encode(segment, &ESCAPED).to_string()
}

const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
