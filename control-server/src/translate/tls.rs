//! TLS contexts of clusters and of servers' listeners (A29), by certificate providers of the bootstrap.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::{Message as _, Name as _};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::core::v3::TransportSocket;
use xds_proto::envoy::config::core::v3::transport_socket::ConfigType;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::SystemRootCerts;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext, DownstreamTlsContext,
    UpstreamTlsContext,
};
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::google::protobuf::{Any, BoolValue};
use xds_proto::pack_any;

use crate::model::{EndpointTls, IDENTITY, PeerName};
use crate::resources::ResourceKind;

/// Of connections from clients: each needs a certificate.
pub(super) fn downstream() -> TransportSocket {
    let validation = CertificateValidationContext {
        ca_certificate_provider_instance: Some(instance(IDENTITY)),
        ..CertificateValidationContext::default()
    };
    let common = common(Some(IDENTITY), validation);
    let context = DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: Some(BoolValue { value: true }),
        ..DownstreamTlsContext::default()
    };
    socket(pack_any(context))
}

/// Of connections to endpoints.
pub(super) fn upstream(tls: &EndpointTls) -> TransportSocket {
    // TLS-07: the system's roots where no provider is named.
    #[expect(deprecated, reason = "the field that gRPC reads")]
    let validation = CertificateValidationContext {
        ca_certificate_provider_instance: tls.roots.as_deref().map(instance),
        system_root_certs: tls.roots.is_none().then_some(SystemRootCerts {}),
        match_subject_alt_names: tls.names.iter().map(matcher).collect(),
        ..CertificateValidationContext::default()
    };
    let context = UpstreamTlsContext {
        common_tls_context: Some(common(tls.identity.as_deref(), validation)),
        sni: tls.sni.clone(),
        ..UpstreamTlsContext::default()
    };
    socket(pack_any(context))
}

fn common(identity: Option<&str>, validation: CertificateValidationContext) -> CommonTlsContext {
    CommonTlsContext {
        tls_certificate_provider_instance: identity.map(instance),
        validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
        ..CommonTlsContext::default()
    }
}

fn instance(name: &str) -> CertificateProviderPluginInstance {
    CertificateProviderPluginInstance { instance_name: name.to_owned(), certificate_name: String::new() }
}

fn matcher(name: &PeerName) -> StringMatcher {
    let pattern = match name {
        PeerName::Exact(name) => MatchPattern::Exact(name.clone()),
        PeerName::Prefix(prefix) => MatchPattern::Prefix(prefix.clone()),
    };
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}

fn socket(context: Any) -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(ConfigType::TypedConfig(context)),
    }
}

/// The certificate providers that a resource names: clients have them in their bootstraps, or refuse the resource.
pub(super) fn instances(kind: ResourceKind, bytes: &Bytes) -> BTreeSet<String> {
    let sockets: Vec<TransportSocket> = match kind {
        ResourceKind::Cluster => Cluster::decode(bytes.clone())
            .ok()
            .and_then(|cluster| cluster.transport_socket)
            .into_iter()
            .collect(),
        ResourceKind::Listener => {
            let chains = Listener::decode(bytes.clone()).map(|listener| listener.filter_chains);
            chains.unwrap_or_default().into_iter().filter_map(|chain| chain.transport_socket).collect()
        }
        _ => Vec::new(),
    };
    sockets.iter().filter_map(context).flat_map(named).collect()
}

/// What a context of either side has in common.
fn context(socket: &TransportSocket) -> Option<CommonTlsContext> {
    let Some(ConfigType::TypedConfig(any)) = &socket.config_type else { return None };
    if any.type_url == UpstreamTlsContext::type_url() {
        return UpstreamTlsContext::decode(&*any.value).ok()?.common_tls_context;
    }
    DownstreamTlsContext::decode(&*any.value).ok()?.common_tls_context
}

fn named(common: CommonTlsContext) -> impl Iterator<Item = String> {
    let roots = match common.validation_context_type {
        Some(ValidationContextType::ValidationContext(validation)) => {
            validation.ca_certificate_provider_instance
        }
        _ => None,
    };
    let instances = common.tls_certificate_provider_instance.into_iter().chain(roots);
    instances.map(|instance| instance.instance_name)
}
