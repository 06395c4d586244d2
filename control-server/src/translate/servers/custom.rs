//! Policies with the action CUSTOM: a service outside of the mesh decides about the calls that they match.
//!
//! As Istio does it, two filters for each service: one of shadow rules tells whether a policy matches, and one of external
//! authorization asks about calls of which that has been told. A service that is not known, and a server that cannot ask, make the
//! policies refuse what they match.

use std::time::Duration;

use bytes::Bytes;
use prost::{Message as _, Name as _};
use xds_proto::envoy::config::core::v3::GrpcService;
use xds_proto::envoy::config::core::v3::grpc_service::{GoogleGrpc, TargetSpecifier};
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::listener::v3::filter::ConfigType as NetworkFilter;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use xds_proto::envoy::extensions::filters::http::rbac::v3::Rbac;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use xds_proto::envoy::r#type::matcher::v3::metadata_matcher::PathSegment;
use xds_proto::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::value_matcher::MatchPattern as ValuePattern;
use xds_proto::envoy::r#type::matcher::v3::{MetadataMatcher, StringMatcher, ValueMatcher};
use xds_proto::envoy::r#type::v3::HttpStatus;
use xds_proto::pack_any;

use super::filters::filter;
use super::listener::Server;
use super::logic::{Effect, Proven};
use super::rules::{self, Authorization};
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::mesh_policy::{ExtAuthzGrpc, ExtensionProvider};
use crate::model::ServerPolicies;
use crate::state::ClientFamily;
use crate::translate::route::duration;

/// The service that decides about the calls that a policy matches; `None`: none does, or the server cannot ask it.
pub(super) fn provider<'p>(
    policy: &AuthorizationPolicy,
    policies: &'p ServerPolicies,
    server: Server<'_>,
) -> Option<&'p ExtensionProvider> {
    if policy.action != Action::Custom || server.family != ClientFamily::MeshTonic {
        return None;
    }
    let name = &policy.provider.as_ref()?.name;
    let provider = policies.providers.iter().find(|provider| provider.name == *name)?;
    // A server refuses a listener that names a service it may not ask, and would go on with the policies before.
    let target = provider.envoy_ext_authz_grpc.target();
    server.may_ask.is_none_or(|allowed| allowed.contains(&target)).then_some(provider)
}

/// The filters by which a server asks about the calls that these policies match.
pub(super) fn translate(
    custom: &[Authorization<'_>],
    policies: &ServerPolicies,
    server: Server<'_>,
    proven: Proven,
) -> Vec<HttpFilter> {
    let mut filters = Vec::new();
    for provider in &*policies.providers {
        let own = custom.iter().copied().filter(|(_, policy)| {
            self::provider(policy, policies, server).is_some_and(|one| one.name == provider.name)
        });
        // What cannot be checked counts as a match: the service decides then.
        let rules = rules::translate(own, Effect::Deny, &policies.trust_domain, proven);
        if rules.policies.is_empty() {
            continue;
        }
        let name = &provider.name;
        let prefix = format!("custom_{name}_");
        let told = told(&prefix);
        let matched = Rbac { shadow_rules: Some(rules), shadow_rules_stat_prefix: prefix, ..Rbac::default() };
        filters.push(filter(&format!("envoy.filters.http.rbac.custom.{name}"), pack_any(matched)));
        let asked = ask(&provider.envoy_ext_authz_grpc, told);
        filters.push(filter(&format!("envoy.filters.http.ext_authz.{name}"), pack_any(asked)));
    }
    filters
}

fn ask(service: &ExtAuthzGrpc, told: MetadataMatcher) -> ExtAuthz {
    let google = GoogleGrpc { target_uri: service.target() };
    let grpc_service = GrpcService {
        target_specifier: Some(TargetSpecifier::GoogleGrpc(google)),
        timeout: Some(duration(service.timeout.map_or(TIMEOUT, |timeout| timeout.0))),
        ..GrpcService::default()
    };
    ExtAuthz {
        services: Some(Services::GrpcService(grpc_service)),
        failure_mode_allow: service.fail_open,
        status_on_error: service.status_on_error.map(|code| HttpStatus { code: code.into() }),
        filter_enabled_metadata: Some(told),
        ..ExtAuthz::default()
    }
}

/// Of calls that the shadow rules with this prefix match.
fn told(prefix: &str) -> MetadataMatcher {
    let denied = StringMatcher {
        match_pattern: Some(MatchPattern::Exact("denied".to_owned())),
        ..StringMatcher::default()
    };
    let field = PathSegment { segment: Some(Segment::Key(format!("{prefix}shadow_engine_result"))) };
    MetadataMatcher {
        filter: "envoy.filters.http.rbac".to_owned(),
        path: vec![field],
        value: Some(ValueMatcher { match_pattern: Some(ValuePattern::StringMatch(denied)) }),
        invert: false,
    }
}

/// The services that a listener has its server ask: servers have them in their bootstraps, or refuse the listener.
pub(in crate::translate) fn asked_services(listener: &Bytes) -> Vec<String> {
    let chains =
        Listener::decode(listener.clone()).map(|listener| listener.filter_chains).unwrap_or_default();
    let managers =
        chains.iter().flat_map(|chain| &chain.filters).filter_map(|filter| match &filter.config_type {
            Some(NetworkFilter::TypedConfig(any)) => HttpConnectionManager::decode(&*any.value).ok(),
            _ => None,
        });
    let filters = managers.flat_map(|manager| manager.http_filters);
    let asked = filters.filter_map(|filter| match filter.config_type {
        Some(ConfigType::TypedConfig(any)) if any.type_url == ExtAuthz::type_url() => {
            ExtAuthz::decode(&*any.value).ok()
        }
        _ => None,
    });
    let targets = asked.filter_map(|asked| match asked.services {
        Some(Services::GrpcService(service)) => match service.target_specifier {
            Some(TargetSpecifier::GoogleGrpc(google)) => Some(google.target_uri),
            _ => None,
        },
        _ => None,
    });
    targets.collect()
}

/// Istio's.
const TIMEOUT: Duration = Duration::from_millis(600);
