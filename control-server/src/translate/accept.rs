//! Whether clients accept a resource.

use bytes::Bytes;
use xds_client::resource::{
    CertificateProviders, ClusterType, DecodeContext, EndpointsType, ListenerType, ResourceType,
    RouteConfigurationType, decode,
};
use xds_proto::google::protobuf::Any;

use crate::resources::ResourceKind;

use super::tls::instances;

/// Why our own client would refuse a resource (CS-15).
pub(super) fn refusal(kind: ResourceKind, bytes: &Bytes) -> Option<String> {
    let resource_type: &dyn ResourceType = match kind {
        ResourceKind::Cluster => &ClusterType,
        ResourceKind::Endpoints => &EndpointsType,
        // Accepted as a part of the endpoints.
        ResourceKind::LbEndpoint => return None,
        ResourceKind::Listener => &ListenerType,
        ResourceKind::Route => &RouteConfigurationType,
    };
    let any = Any { type_url: resource_type.type_url().to_owned(), value: bytes.to_vec() };
    let mut context = DecodeContext::default();
    context.certificate_providers = CertificateProviders::named(instances(kind, bytes));
    decode(resource_type, &context, any).err().map(|error| error.to_string())
}
