//! TLS to endpoints (A29, A82, A101).

use prost::Message;
use xds_proto::envoy::config::core::v3::TransportSocket;
use xds_proto::envoy::config::core::v3::transport_socket::ConfigType;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext, UpstreamTlsContext,
};

use super::{Verdict, expect, string, type_name};

pub(crate) fn upstream(socket: &TransportSocket) -> Verdict {
    let Some(ConfigType::TypedConfig(any)) = &socket.config_type else {
        return Err("transport socket without configuration");
    };
    let is_tls = type_name(any) == "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    expect(is_tls, "transport socket that is not TLS")?;
    let Ok(context) = UpstreamTlsContext::decode(&*any.value) else { return Err("TLS context") };
    expect(context.sni.len() <= 255, "long SNI")?;
    let Some(common) = &context.common_tls_context else { return Err("TLS context without common part") };
    own(common)?;
    match &common.validation_context_type {
        Some(ValidationContextType::ValidationContext(peer)) => validation(peer),
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            expect(combined.validation_context_sds_secret_config.is_none(), "SDS")?;
            combined.default_validation_context.as_ref().map_or(Err("no validation context"), validation)
        }
        _ => Err("no validation context"),
    }
}

fn own(common: &CommonTlsContext) -> Verdict {
    expect(common.tls_params.is_none(), "TLS parameters")?;
    expect(common.custom_handshaker.is_none(), "custom handshaker")?;
    match &common.tls_certificate_provider_instance {
        Some(instance) => known(instance),
        None => {
            expect(common.tls_certificates.is_empty(), "certificates in the resource")?;
            expect(common.tls_certificate_sds_secret_configs.is_empty(), "SDS")
        }
    }
}

fn validation(peer: &CertificateValidationContext) -> Verdict {
    match &peer.ca_certificate_provider_instance {
        Some(instance) => known(instance)?,
        None => expect(peer.system_root_certs.is_some(), "no roots")?,
    }
    expect(peer.verify_certificate_spki.is_empty(), "pinned keys")?;
    expect(peer.verify_certificate_hash.is_empty(), "pinned certificates")?;
    let timestamp = peer.require_signed_certificate_timestamp.is_some_and(|require| require.value);
    expect(!timestamp, "certificate timestamps")?;
    expect(peer.crl.is_none(), "CRL in the resource")?;
    expect(peer.custom_validator_config.is_none(), "custom validator")?;
    #[expect(deprecated, reason = "the field that gRPC reads")]
    let names = &peer.match_subject_alt_names;
    names.iter().try_for_each(string)
}

/// The two that the test's bootstrap has.
fn known(instance: &CertificateProviderPluginInstance) -> Verdict {
    expect(matches!(&*instance.instance_name, "roots" | "identity"), "unknown certificate provider")
}
