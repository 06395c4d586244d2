//! External authorization (gRFC A92).

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use mesh_core::config::Name;
use mesh_core::filter::{
    ConfigValue, ExtAuthzConfig, ExtAuthzOverride, FilterConfig, MutationRules, OnFailure,
};
use mesh_core::policy::matcher::{StringMatcher, StringPattern};
use xds_proto::envoy::config::common::mutation_rules::v3::HeaderMutationRules;
use xds_proto::envoy::config::core::v3::grpc_service::TargetSpecifier;
use xds_proto::envoy::config::core::v3::{GrpcService, HeaderValueOption};
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::{ExtAuthz, ExtAuthzPerRoute};
use xds_proto::envoy::r#type::matcher::v3::{ListStringMatcher, RegexMatcher};

use crate::bootstrap::ServerConfig;
use crate::resource::fields::{duration, fraction};
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{Decoding, headers, matcher};
use crate::transport::GrpcAuthorization;

use super::{FilterSides, HttpFilterType};
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.ext_authz.v3.ExtAuthz`, overridden by `ExtAuthzPerRoute`.
#[derive(Debug)]
pub(super) struct ExtAuthzType;

impl HttpFilterType for ExtAuthzType {
    fn type_name(&self) -> &str {
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
    }

    fn sides(&self) -> FilterSides {
        FilterSides::Both
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        let message = payload.decode()?;
        Ok(Arc::new(payload.read(|context| read(&message, context))?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some("envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute")
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        Ok(Arc::new(read_override(&payload.decode()?)?))
    }
}

/// What the service would decide with, and does not get here, refuses the listener.
fn read(message: &ExtAuthz, context: &Decoding<'_>) -> Checked<ExtAuthzConfig> {
    let refused = |field, reason| Err(Invalid::at(field, reason));
    if message.with_request_body.is_some() {
        return refused("with_request_body", "is not supported");
    }
    if message.include_peer_certificate {
        return refused("include_peer_certificate", "is not supported");
    }
    // HF-30
    let service = match &message.services {
        Some(Services::GrpcService(service)) => service,
        Some(Services::HttpService(_)) => {
            return refused("http_service", "is not supported; expected grpc_service");
        }
        None => return refused("grpc_service", "must be set"),
    };
    let rules = rules(message.decoder_header_mutation_rules.as_ref(), context)
        .within("decoder_header_mutation_rules")?;
    let authorization = authorization(service, context).within("grpc_service")?;
    let authorization = match rules.disallow_is_error && !rules.disallow_all {
        true => authorization.failing_on_invalid_change(),
        false => authorization,
    };
    let mut config = ExtAuthzConfig::new(authorization);
    config.mutation_rules = rules;
    if let Some(timeout) = &service.timeout {
        config.timeout = duration(timeout).within("timeout").within("grpc_service")?;
        if config.timeout.is_zero() {
            return refused("grpc_service.timeout", "must not be zero");
        }
    }
    // HF-31
    config.on_failure = match (message.failure_mode_allow, message.failure_mode_allow_header_add) {
        (false, _) => OnFailure::Deny,
        (true, false) => OnFailure::Allow,
        (true, true) => OnFailure::AllowAndMark,
    };
    if let Some(status) = message.status_on_error {
        config.status_on_error = refusal(status.code).within("status_on_error")?;
    }
    if let Some(enabled) = &message.filter_enabled {
        let missing = || Invalid::at("filter_enabled.default_value", "must be set");
        config.enabled = fraction(enabled.default_value.as_ref().ok_or_else(missing)?)
            .within("default_value")
            .within("filter_enabled")?;
    }
    let only = message.filter_enabled_metadata.as_ref().map(|only| matcher::metadata(only, context));
    config.only = only.transpose().within("filter_enabled_metadata")?;
    if let Some(deny) = &message.deny_at_disable {
        let missing = || Invalid::at("deny_at_disable.default_value", "must be set");
        config.deny_at_disable = deny.default_value.as_ref().ok_or_else(missing)?.value;
    }
    // HF-32
    let allowed = message.allowed_headers.as_ref();
    config.allowed_headers = allowed.map(|list| matchers(list, "allowed_headers", context)).transpose()?;
    let disallowed = message.disallowed_headers.as_ref();
    let disallowed = disallowed.map(|list| matchers(list, "disallowed_headers", context)).transpose()?;
    config.disallowed_headers = disallowed.unwrap_or_default();
    Ok(config)
}

/// A refusal that looked like success would be none.
fn refusal(code: i32) -> Checked<StatusCode> {
    let code = u16::try_from(code).ok().filter(|code| (300..600).contains(code));
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| Invalid::at("code", "expected a status of 300 to 599"))
}

/// SEC-02: a control plane names only services that the bootstrap allows; the bootstrap holds the credentials.
fn authorization(service: &GrpcService, context: &Decoding<'_>) -> Checked<GrpcAuthorization> {
    let target = match &service.target_specifier {
        Some(TargetSpecifier::GoogleGrpc(google)) => &google.target_uri,
        Some(TargetSpecifier::EnvoyGrpc(_)) => {
            return Err(Invalid::at("envoy_grpc", "is not supported; expected google_grpc"));
        }
        None => return Err(Invalid::new("expected google_grpc")),
    };
    let known = context.allowed_grpc_services.get(target);
    let known = known.ok_or_else(|| {
        let reason = format!("{target:?} is not among allowed_grpc_services of the bootstrap");
        Invalid::at("google_grpc.target_uri", reason)
    })?;
    let server = ServerConfig::new(target, known.channel_credentials().clone())
        .with_call_credentials(known.call_credentials().to_vec());
    let mut metadata = HeaderMap::new();
    for (index, header) in service.initial_metadata.iter().enumerate() {
        let option = HeaderValueOption { header: Some(header.clone()), ..HeaderValueOption::default() };
        let (name, value) = headers::value_of(&option).within_element("initial_metadata", index)?;
        if name.as_str().starts_with("grpc-") || name == http::header::HOST {
            let reason = format!("{:?} is not for metadata", name.as_str());
            return Err(Invalid::new(reason)).within_element("initial_metadata", index);
        }
        metadata.append(name, value);
    }
    Ok(GrpcAuthorization::new(server, metadata))
}

// HF-36
fn rules(rules: Option<&HeaderMutationRules>, context: &Decoding<'_>) -> Checked<MutationRules> {
    let mut read = MutationRules::default();
    let Some(rules) = rules else { return Ok(read) };
    let expression = |matcher: &Option<RegexMatcher>, field| -> Checked<Option<StringMatcher>> {
        let regex = matcher.as_ref().map(|matcher| matcher::regex(matcher, context)).transpose();
        let regex = regex.within(field)?;
        Ok(regex.map(|regex| StringMatcher { pattern: StringPattern::Regex(regex), ignore_case: false }))
    };
    read.disallow_all = rules.disallow_all.is_some_and(|all| all.value);
    read.disallow_is_error = rules.disallow_is_error.is_some_and(|error| error.value);
    read.allowed = expression(&rules.allow_expression, "allow_expression")?;
    read.disallowed = expression(&rules.disallow_expression, "disallow_expression")?;
    Ok(read)
}

fn matchers(list: &ListStringMatcher, field: &str, context: &Decoding<'_>) -> Checked<Vec<StringMatcher>> {
    let read = |(index, one)| matcher::string(one, context).within_element("patterns", index).within(field);
    list.patterns.iter().enumerate().map(read).collect()
}

fn read_override(message: &ExtAuthzPerRoute) -> Checked<ExtAuthzOverride> {
    let settings = match &message.r#override {
        Some(Override::Disabled(true)) => return Ok(ExtAuthzOverride::Disabled),
        Some(Override::Disabled(false)) => return Err(Invalid::at("disabled", "must be true")),
        Some(Override::CheckSettings(settings)) => settings,
        None => return Err(Invalid::new("expected disabled or check_settings")),
    };
    if settings.with_request_body.is_some() {
        return Err(Invalid::at("check_settings.with_request_body", "is not supported"));
    }
    if settings.service_override.is_some() {
        return Err(Invalid::at("check_settings", "another service for a route is not supported"));
    }
    let extensions = settings.context_extensions.iter();
    let extensions = extensions.map(|(key, value)| (Name::from(key.as_str()), Name::from(value.as_str())));
    Ok(ExtAuthzOverride::ContextExtensions(extensions.collect()))
}
