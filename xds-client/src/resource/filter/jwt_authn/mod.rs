//! Tokens on servers (Envoy's `jwt_authn`).

mod provider;
mod requirement;

use std::sync::Arc;

use mesh_core::config::RouteMatch;
use mesh_core::filter::{ConfigValue, FilterConfig, JwtConfig, JwtOverride, JwtRule};
use mesh_core::policy::jwt::JwtRequirement;
use xds_proto::envoy::config::route::v3::RouteMatch as RouteMatchProto;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3 as proto;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::per_route_config::RequirementSpecifier;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::route::route_match;

use super::{FilterSides, HttpFilterType};
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication`, overridden by `PerRouteConfig`.
#[derive(Debug)]
pub(super) struct JwtAuthnType;

impl HttpFilterType for JwtAuthnType {
    fn type_name(&self) -> &str {
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    }

    fn sides(&self) -> FilterSides {
        FilterSides::Server
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        let message = payload.decode()?;
        Ok(Arc::new(payload.read(|context| read(&message, context))?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some("envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig")
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        let message: proto::PerRouteConfig = payload.decode()?;
        Ok(Arc::new(match message.requirement_specifier {
            Some(RequirementSpecifier::Disabled(true)) => JwtOverride::Disabled,
            Some(RequirementSpecifier::Disabled(false)) => {
                return Err(ExtensionError::at("disabled", "must be true where it is set"));
            }
            Some(RequirementSpecifier::RequirementName(name)) if !name.is_empty() => {
                JwtOverride::Requirement(name)
            }
            Some(RequirementSpecifier::RequirementName(_)) => {
                return Err(ExtensionError::at("requirement_name", "must not be empty"));
            }
            None => return Err(ExtensionError::new("expected disabled or requirement_name")),
        }))
    }
}

/// Reads the filter. What is not supported refuses it: a check that is left out would let calls pass.
// SEC-04
fn read(message: &proto::JwtAuthentication, context: &Decoding<'_>) -> Checked<JwtConfig> {
    if message.filter_state_rules.is_some() {
        return Err(Invalid::at("filter_state_rules", "is not supported"));
    }
    let mut config = JwtConfig::default();
    let mut names: Vec<_> = message.providers.keys().collect();
    names.sort();
    for name in names {
        let read = provider::read(&message.providers[name], context);
        config.providers.push((name.as_str().into(), read.within_key("providers", name)?));
    }
    let known = |name: &str| message.providers.contains_key(name);
    let mut named: Vec<_> = message.requirement_map.iter().collect();
    named.sort_by_key(|(name, _)| name.as_str());
    for (name, requirement) in named {
        let read = requirement::read(requirement, &known).within_key("requirement_map", name)?;
        config.named.push((name.clone(), read));
    }
    for (index, rule) in message.rules.iter().enumerate() {
        let read = self::rule(rule, &config.named, &known, context).within_element("rules", index)?;
        config.rules.push(read);
    }
    config.passes_preflight = message.bypass_cors_preflight;
    config.hides_reason = message.strip_failure_response;
    Ok(config)
}

fn rule(
    rule: &proto::RequirementRule,
    named: &[(String, JwtRequirement)],
    known: &impl Fn(&str) -> bool,
    context: &Decoding<'_>,
) -> Checked<JwtRule> {
    let route_match = rule.r#match.as_ref().ok_or_else(|| Invalid::at("match", "must be set"))?;
    let matches = calls(route_match, context).within("match")?;
    let requirement = match &rule.requirement_type {
        None => None,
        Some(RequirementType::Requires(requirement)) => {
            Some(requirement::read(requirement, known).within("requires")?)
        }
        Some(RequirementType::RequirementName(name)) => {
            let found = named.iter().find(|(known, _)| known == name);
            let missing = || Invalid::at("requirement_name", format!("{name:?} is not in requirement_map"));
            Some(found.ok_or_else(missing)?.1.clone())
        }
    };
    Ok(JwtRule::optional(matches, requirement))
}

/// Which calls a rule takes. What routes read without effect, or what no call meets, refuses the rule: it would take other calls than
/// meant.
fn calls(route_match: &RouteMatchProto, context: &Decoding<'_>) -> Checked<RouteMatch> {
    let fields = [
        ("query_parameters", !route_match.query_parameters.is_empty()),
        ("grpc", route_match.grpc.is_some()),
        ("runtime_fraction", route_match.runtime_fraction.is_some()),
        ("tls_context", route_match.tls_context.is_some()),
        ("dynamic_metadata", !route_match.dynamic_metadata.is_empty()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, is_set)| *is_set) {
        return Err(Invalid::at(field, "is not supported in rules for tokens"));
    }
    if let Some(index) = route_match.headers.iter().position(|header| header.name.starts_with(':')) {
        return Err(Invalid::at("name", "pseudo-headers are not supported")).within_element("headers", index);
    }
    let matches = route_match::read(route_match, context)?;
    matches.ok_or_else(|| Invalid::new("no call can match"))
}
