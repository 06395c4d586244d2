//! TLS contexts: fields that gRPC reads, and fields that it refuses because ignoring them would weaken security (A29).

use proto::common_tls_context::ValidationContextType;
use proto::downstream_tls_context::OcspStaplePolicy;
use proto::{CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext};
use xds_proto::envoy::extensions::transport_sockets::tls::v3 as proto;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher;

use super::Side;

/// Checks the TLS context of connections to endpoints.
pub(super) fn upstream(tls: &proto::UpstreamTlsContext, context: &Decoding<'_>) -> Checked<()> {
    let common = common(tls.common_tls_context.as_ref(), context)?;
    // TLS-04
    let validation = validation(common, Side::Client, context).within(COMMON)?;
    if validation == Validation::None {
        let reason = "expected validation_context or combined_validation_context";
        return Err(Invalid::at(COMMON, reason));
    }
    // TLS-22
    match tls.sni.len() {
        0..=255 => Ok(()),
        length => Err(Invalid::at("sni", format!("must be at most 255 bytes, found {length}"))),
    }
}

/// Checks the TLS context of connections from clients.
pub(super) fn downstream(tls: &proto::DownstreamTlsContext, context: &Decoding<'_>) -> Checked<()> {
    let common = common(tls.common_tls_context.as_ref(), context)?;
    // TLS-06
    if common.tls_certificate_provider_instance.is_none() {
        return Err(Invalid::at("tls_certificate_provider_instance", "must be set")).within(COMMON);
    }
    let validation = validation(common, Side::Server, context).within(COMMON)?;
    // TLS-12
    if tls.require_sni.is_some_and(|require| require.value) {
        return Err(Invalid::at("require_sni", "must be false"));
    }
    if tls.ocsp_staple_policy != OcspStaplePolicy::LenientStapling as i32 {
        return Err(Invalid::at("ocsp_staple_policy", "must be LENIENT_STAPLING"));
    }
    match tls.require_client_certificate {
        Some(require) if require.value && validation == Validation::None => {
            let reason = "needs a validation context to check the certificate with";
            Err(Invalid::at("require_client_certificate", reason))
        }
        _ => Ok(()),
    }
}

/// Checks the fields of both sides, except for validation.
fn common<'a>(common: Option<&'a CommonTlsContext>, context: &Decoding<'_>) -> Checked<&'a CommonTlsContext> {
    // TLS-03
    let common = common.ok_or_else(|| Invalid::at(COMMON, "must be set"))?;
    let identity = || {
        // TLS-09
        absent(common.tls_params.is_none(), "tls_params")?;
        absent(common.custom_handshaker.is_none(), "custom_handshaker")?;
        // TLS-06
        if let Some(instance) = &common.tls_certificate_provider_instance {
            return known(instance, context).within("tls_certificate_provider_instance");
        }
        // TLS-10
        absent(common.tls_certificates.is_empty(), "tls_certificates")?;
        absent(common.tls_certificate_sds_secret_configs.is_empty(), "tls_certificate_sds_secret_configs")
    };
    identity().within(COMMON).map(|()| common)
}

/// How the peer's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validation {
    /// Not at all.
    None,
    Valid,
}

// TLS-04
fn validation(common: &CommonTlsContext, side: Side, context: &Decoding<'_>) -> Checked<Validation> {
    const SDS: &str = "validation_context_sds_secret_config";
    let (validation, field) = match &common.validation_context_type {
        Some(ValidationContextType::ValidationContext(validation)) => (validation, "validation_context"),
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            // TLS-10
            absent(combined.validation_context_sds_secret_config.is_none(), SDS)
                .within("combined_validation_context")?;
            match &combined.default_validation_context {
                Some(validation) => (validation, "combined_validation_context.default_validation_context"),
                None => return Ok(Validation::None),
            }
        }
        // TLS-10
        Some(ValidationContextType::ValidationContextSdsSecretConfig(_)) => {
            return absent(false, SDS).map(|()| Validation::None);
        }
        // Deprecated, and read only by other implementations (TLS-08).
        Some(_) | None => return Ok(Validation::None),
    };
    validation_context(validation, side, context).within(field).map(|()| Validation::Valid)
}

fn validation_context(
    validation: &CertificateValidationContext,
    side: Side,
    context: &Decoding<'_>,
) -> Checked<()> {
    // TLS-05, TLS-07
    match (&validation.ca_certificate_provider_instance, side) {
        (Some(instance), _) => known(instance, context).within("ca_certificate_provider_instance")?,
        (None, Side::Client) if validation.system_root_certs.is_some() => {}
        (None, Side::Client) => {
            let reason = "must be set, unless system_root_certs is";
            return Err(Invalid::at("ca_certificate_provider_instance", reason));
        }
        (None, Side::Server) => return Err(Invalid::at("ca_certificate_provider_instance", "must be set")),
    }
    // TLS-11
    absent(validation.verify_certificate_spki.is_empty(), "verify_certificate_spki")?;
    absent(validation.verify_certificate_hash.is_empty(), "verify_certificate_hash")?;
    let timestamp = validation.require_signed_certificate_timestamp.is_some_and(|require| require.value);
    absent(!timestamp, "require_signed_certificate_timestamp")?;
    absent(validation.crl.is_none(), "crl")?;
    absent(validation.custom_validator_config.is_none(), "custom_validator_config")?;
    names(validation, side, context)
}

/// The names that the peer's certificate must have.
fn names(validation: &CertificateValidationContext, side: Side, context: &Decoding<'_>) -> Checked<()> {
    const FIELD: &str = "match_subject_alt_names";
    #[expect(deprecated, reason = "the field that gRPC reads")]
    let matchers = &validation.match_subject_alt_names;
    // TLS-12
    absent(side == Side::Client || matchers.is_empty(), FIELD)?;
    for (index, matcher) in matchers.iter().enumerate() {
        matcher::string(matcher, context).within_element(FIELD, index)?;
    }
    Ok(())
}

/// TLS-05, TLS-06: an instance of the bootstrap.
fn known(instance: &CertificateProviderPluginInstance, context: &Decoding<'_>) -> Checked<()> {
    let name = instance.instance_name.as_str();
    match context.certificate_providers.iter().any(|known| &**known == name) {
        true => Ok(()),
        false => {
            let reason = format!("{name:?} is not one of the bootstrap's certificate_providers");
            Err(Invalid::at("instance_name", reason))
        }
    }
}

fn absent(is_absent: bool, field: &str) -> Checked<()> {
    match is_absent {
        true => Ok(()),
        false => Err(Invalid::at(field, "is not supported")),
    }
}

const COMMON: &str = "common_tls_context";
