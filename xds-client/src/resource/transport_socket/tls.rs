//! TLS contexts: fields that gRPC reads, and fields that it refuses because ignoring them would weaken security (A29).

use mesh_core::certificate::CertificateSource;
use mesh_core::config::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls};
use mesh_core::policy::matcher::StringMatcher;
use proto::common_tls_context::ValidationContextType;
use proto::downstream_tls_context::OcspStaplePolicy;
use proto::{CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext};
use xds_proto::envoy::extensions::transport_sockets::tls::v3 as proto;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher;

use super::Side;

/// The TLS context of connections to endpoints.
pub(super) fn upstream(tls: &proto::UpstreamTlsContext, context: &Decoding<'_>) -> Checked<ClientTls> {
    let (common, identity) = common(tls.common_tls_context.as_ref(), context)?;
    // TLS-04
    let validation = validation(common, Side::Client, context).within(COMMON)?.ok_or_else(|| {
        let reason = "expected validation_context or combined_validation_context";
        Invalid::at(COMMON, reason)
    })?;
    // TLS-22
    if tls.sni.len() > 255 {
        let reason = format!("must be at most 255 bytes, found {}", tls.sni.len());
        return Err(Invalid::at("sni", reason));
    }
    let mut client = ClientTls::new(validation);
    client.identity = identity;
    // TLS-22, TLS-23
    client.sni.from_hostname = tls.auto_host_sni;
    client.sni.name = (!tls.sni.is_empty()).then(|| tls.sni.as_str().into());
    client.sni.is_validated = tls.auto_sni_san_validation;
    Ok(client)
}

/// The TLS context of connections from clients.
pub(super) fn downstream(tls: &proto::DownstreamTlsContext, context: &Decoding<'_>) -> Checked<ServerTls> {
    let (common, identity) = common(tls.common_tls_context.as_ref(), context)?;
    // TLS-06
    let identity = identity
        .ok_or_else(|| Invalid::at("tls_certificate_provider_instance", "must be set"))
        .within(COMMON)?;
    let validation = validation(common, Side::Server, context).within(COMMON)?;
    // TLS-12
    if tls.require_sni.is_some_and(|require| require.value) {
        return Err(Invalid::at("require_sni", "must be false"));
    }
    if tls.ocsp_staple_policy != OcspStaplePolicy::LenientStapling as i32 {
        return Err(Invalid::at("ocsp_staple_policy", "must be LENIENT_STAPLING"));
    }
    let is_required = tls.require_client_certificate.is_some_and(|require| require.value);
    // TLS-14
    let clients = match validation {
        Some(validation) if is_required => ClientCertificates::Required(validation),
        Some(validation) => ClientCertificates::Optional(validation),
        None if is_required => {
            let reason = "needs a validation context to check the certificate with";
            return Err(Invalid::at("require_client_certificate", reason));
        }
        None => ClientCertificates::NotRequested,
    };
    Ok(ServerTls::new(identity, clients))
}

/// The fields of both sides, except for validation, and this side's own certificate.
fn common<'a>(
    common: Option<&'a CommonTlsContext>,
    context: &Decoding<'_>,
) -> Checked<(&'a CommonTlsContext, Option<CertificateSource>)> {
    // TLS-03
    let common = common.ok_or_else(|| Invalid::at(COMMON, "must be set"))?;
    let identity = || {
        // TLS-09
        absent(common.tls_params.is_none(), "tls_params")?;
        absent(common.custom_handshaker.is_none(), "custom_handshaker")?;
        // TLS-06
        if let Some(instance) = &common.tls_certificate_provider_instance {
            return known(instance, context).within("tls_certificate_provider_instance").map(Some);
        }
        // TLS-10
        absent(common.tls_certificates.is_empty(), "tls_certificates")?;
        absent(common.tls_certificate_sds_secret_configs.is_empty(), "tls_certificate_sds_secret_configs")?;
        Ok(None)
    };
    identity().within(COMMON).map(|identity| (common, identity))
}

/// How the peer's certificate is checked; `None`: not at all.
// TLS-04
fn validation(
    common: &CommonTlsContext,
    side: Side,
    context: &Decoding<'_>,
) -> Checked<Option<PeerValidation>> {
    const SDS: &str = "validation_context_sds_secret_config";
    let (validation, field) = match &common.validation_context_type {
        Some(ValidationContextType::ValidationContext(validation)) => (validation, "validation_context"),
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            // TLS-10
            absent(combined.validation_context_sds_secret_config.is_none(), SDS)
                .within("combined_validation_context")?;
            match &combined.default_validation_context {
                Some(validation) => (validation, "combined_validation_context.default_validation_context"),
                None => return Ok(None),
            }
        }
        // TLS-10
        Some(ValidationContextType::ValidationContextSdsSecretConfig(_)) => {
            return absent(false, SDS).map(|()| None);
        }
        // Deprecated, and read only by other implementations (TLS-08).
        Some(_) | None => return Ok(None),
    };
    validation_context(validation, side, context).within(field).map(Some)
}

fn validation_context(
    validation: &CertificateValidationContext,
    side: Side,
    context: &Decoding<'_>,
) -> Checked<PeerValidation> {
    const CA: &str = "ca_certificate_provider_instance";
    // TLS-05, TLS-07
    let roots = match (&validation.ca_certificate_provider_instance, side) {
        (Some(instance), _) => RootSource::Provider(known(instance, context).within(CA)?),
        (None, Side::Client) if validation.system_root_certs.is_some() => RootSource::System,
        (None, Side::Client) => return Err(Invalid::at(CA, "must be set, unless system_root_certs is")),
        (None, Side::Server) => return Err(Invalid::at(CA, "must be set")),
    };
    // TLS-11
    absent(validation.verify_certificate_spki.is_empty(), "verify_certificate_spki")?;
    absent(validation.verify_certificate_hash.is_empty(), "verify_certificate_hash")?;
    let timestamp = validation.require_signed_certificate_timestamp.is_some_and(|require| require.value);
    absent(!timestamp, "require_signed_certificate_timestamp")?;
    absent(validation.crl.is_none(), "crl")?;
    absent(validation.custom_validator_config.is_none(), "custom_validator_config")?;
    Ok(PeerValidation::new(roots).with_names(names(validation, side, context)?))
}

/// The names that the peer's certificate must have.
fn names(
    validation: &CertificateValidationContext,
    side: Side,
    context: &Decoding<'_>,
) -> Checked<Vec<StringMatcher>> {
    const FIELD: &str = "match_subject_alt_names";
    #[expect(deprecated, reason = "the field that gRPC reads")]
    let matchers = &validation.match_subject_alt_names;
    // TLS-12
    absent(side == Side::Client || matchers.is_empty(), FIELD)?;
    let read = |(index, each)| matcher::string(each, context).within_element(FIELD, index);
    matchers.iter().enumerate().map(read).collect()
}

/// TLS-05, TLS-06: an instance of the bootstrap.
fn known(instance: &CertificateProviderPluginInstance, context: &Decoding<'_>) -> Checked<CertificateSource> {
    let name = instance.instance_name.as_str();
    context.certificate_providers.find(name).cloned().ok_or_else(|| {
        let reason = format!("{name:?} is not one of the bootstrap's certificate_providers");
        Invalid::at("instance_name", reason)
    })
}

fn absent(is_absent: bool, field: &str) -> Checked<()> {
    match is_absent {
        true => Ok(()),
        false => Err(Invalid::at(field, "is not supported")),
    }
}

const COMMON: &str = "common_tls_context";
