//! Validation of tokens, as Envoy's `jwt_authn` has it.

use std::time::Duration;

use xds_proto::envoy::config::core::v3::data_source::Specifier;
use xds_proto::envoy::config::core::v3::http_uri::HttpUpstreamType;
use xds_proto::envoy::config::core::v3::{DataSource, HttpUri};
use xds_proto::envoy::config::route::v3::RouteMatch;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::{
    JwksSourceSpecifier, NormalizePayload,
};
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, JwtClaimToHeader, JwtHeader, JwtProvider, JwtRequirement, JwtRequirementOrList,
    RemoteJwks, RequirementRule,
};

use xds_proto::google::protobuf::Empty;

use crate::kinds::ObjectId;
use crate::kinds::request_authentication::{JwtRule, RequestAuthentication};
use crate::translate::route::duration;

/// The filter's name, which rules about claims name.
pub(super) const FILTER: &str = "envoy.filters.http.jwt_authn";

/// Where the filter leaves the claims.
pub(super) const PAYLOAD: &str = "payload";

/// The filter for all policies of a server; `None`: none of them has rules. A token must be one that a rule accepts, and a request
/// may have none.
pub(super) fn translate<'p>(
    policies: impl IntoIterator<Item = (&'p ObjectId, &'p RequestAuthentication)>,
) -> Option<JwtAuthentication> {
    let mut filter = JwtAuthentication::default();
    let mut requirements = Vec::new();
    for (id, policy) in policies {
        for (index, rule) in policy.jwt_rules.iter().enumerate() {
            let name = format!("ns[{}]-policy[{}]-rule[{index}]", id.namespace, id.name);
            requirements.push(requirement(RequiresType::ProviderName(name.clone())));
            filter.providers.insert(name, provider(rule));
        }
    }
    if requirements.is_empty() {
        return None;
    }
    // J1 of the identity cases: missing means that there is no token at all.
    requirements.push(requirement(RequiresType::AllowMissing(Empty {})));
    let any = RequiresType::RequiresAny(JwtRequirementOrList { requirements });
    let every_path =
        RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..RouteMatch::default() };
    filter.rules.push(RequirementRule {
        r#match: Some(every_path),
        requirement_type: Some(RequirementType::Requires(requirement(any))),
    });
    Some(filter)
}

const fn requirement(requires: RequiresType) -> JwtRequirement {
    JwtRequirement { requires_type: Some(requires) }
}

fn provider(rule: &JwtRule) -> JwtProvider {
    let header =
        |(name, prefix): (&String, &String)| JwtHeader { name: name.clone(), value_prefix: prefix.clone() };
    let claim_to_header = |one: &crate::kinds::request_authentication::ClaimToHeader| JwtClaimToHeader {
        header_name: one.header.clone(),
        claim_name: one.claim.clone(),
        ..JwtClaimToHeader::default()
    };
    JwtProvider {
        issuer: rule.issuer.clone(),
        audiences: rule.audiences.clone(),
        jwks_source_specifier: keys(rule),
        forward: rule.forward_original_token,
        from_headers: rule.from_headers.iter().map(|one| header((&one.name, &one.prefix))).collect(),
        from_params: rule.from_params.clone(),
        from_cookies: rule.from_cookies.clone(),
        forward_payload_header: rule.output_payload_to_header.clone().unwrap_or_default(),
        payload_in_metadata: PAYLOAD.to_owned(),
        normalize_payload_in_metadata: Some(NormalizePayload { space_delimited_claims: split(rule) }),
        claim_to_headers: rule.output_claim_to_headers.iter().map(claim_to_header).collect(),
        ..JwtProvider::default()
    }
}

/// Claims that are lists with spaces between their elements: those of Istio, and those of the rule.
fn split(rule: &JwtRule) -> Vec<String> {
    let known = ["permission", "scope"].map(str::to_owned);
    let own = rule.space_delimited_claims.iter().filter(|one| !known.contains(one)).cloned();
    known.iter().cloned().chain(own).collect()
}

fn keys(rule: &JwtRule) -> Option<JwksSourceSpecifier> {
    if let Some(keys) = &rule.jwks {
        let inline =
            DataSource { specifier: Some(Specifier::InlineString(keys.clone())), ..DataSource::default() };
        return Some(JwksSourceSpecifier::LocalJwks(inline));
    }
    let uri = rule.jwks_uri.clone()?;
    let timeout = rule.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0);
    let http_uri = HttpUri {
        // Servers fetch the keys themselves; the field must have a value.
        http_upstream_type: Some(HttpUpstreamType::Cluster("jwks".to_owned())),
        timeout: Some(duration(timeout)),
        uri,
    };
    Some(JwksSourceSpecifier::RemoteJwks(RemoteJwks { http_uri: Some(http_uri), ..RemoteJwks::default() }))
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
