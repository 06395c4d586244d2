//! Whether clients accept a resource.

use std::sync::Arc;

use bytes::Bytes;
use xds_client::bootstrap::{AllowedGrpcService, ChannelCredentials};
use xds_client::resource::{
    CertificateProviders, ClusterType, DecodeContext, EndpointsType, ListenerType, ResourceType,
    RouteConfigurationType, decode,
};
use xds_proto::google::protobuf::Any;

use crate::resources::ResourceKind;

use super::servers::asked_services;
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
    if kind == ResourceKind::Listener {
        let allowed = || AllowedGrpcService::new(ChannelCredentials::Insecure);
        let services = asked_services(bytes).into_iter().map(|target| (target, allowed()));
        context.allowed_grpc_services = Arc::new(services.collect());
    }
    decode(resource_type, &context, any).err().map(|error| error.to_string())
}
