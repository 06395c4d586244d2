//! Tokens: which rules and providers are read, and which are refused.

use std::time::Duration;

use mesh_core::filter::{JwtConfig, JwtOverride};
use mesh_core::policy::jwt::{Audiences, JwtRequirement, KeySource, TokenLocation};
use mesh_core::testing::TokenIssuer;
use xds_proto::envoy::config::core::v3::data_source::Specifier;
use xds_proto::envoy::config::core::v3::{DataSource, HttpUri, RetryPolicy, RuntimeFractionalPercent};
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::route_match::{PathSpecifier, TlsContextMatchOptions};
use xds_proto::envoy::config::route::v3::{HeaderMatcher, RouteMatch};
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3 as proto;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::per_route_config::RequirementSpecifier;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use xds_proto::google::protobuf::{Duration as ProtoDuration, Empty};

use super::*;

fn requirement(requires: RequiresType) -> proto::JwtRequirement {
    proto::JwtRequirement { requires_type: Some(requires) }
}

fn provider() -> proto::JwtProvider {
    let keys = TokenIssuer::key_set([&TokenIssuer::new("one", 0)]);
    let source = DataSource { specifier: Some(Specifier::InlineString(keys)), ..DataSource::default() };
    proto::JwtProvider {
        issuer: "https://issuer.example".to_owned(),
        jwks_source_specifier: Some(JwksSourceSpecifier::LocalJwks(source)),
        ..proto::JwtProvider::default()
    }
}

fn remote(uri: &str) -> proto::RemoteJwks {
    let timeout = Some(ProtoDuration { seconds: 5, nanos: 0 });
    let http = HttpUri { uri: uri.to_owned(), timeout, ..HttpUri::default() };
    proto::RemoteJwks { http_uri: Some(http), ..proto::RemoteJwks::default() }
}

fn every_call() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..RouteMatch::default() }
}

/// A filter with one provider, which one rule requires.
fn filter(change: impl FnOnce(&mut proto::JwtAuthentication)) -> proto::JwtAuthentication {
    let requires = requirement(RequiresType::ProviderName("a".to_owned()));
    let rule = proto::RequirementRule {
        r#match: Some(every_call()),
        requirement_type: Some(RequirementType::Requires(requires)),
    };
    let mut filter = proto::JwtAuthentication {
        providers: [("a".to_owned(), provider())].into(),
        rules: vec![rule],
        ..proto::JwtAuthentication::default()
    };
    change(&mut filter);
    filter
}

fn with_provider(change: impl FnOnce(&mut proto::JwtProvider)) -> proto::JwtAuthentication {
    filter(|filter| change(filter.providers.get_mut("a").unwrap()))
}

fn with_remote(change: impl FnOnce(&mut proto::RemoteJwks)) -> proto::JwtAuthentication {
    with_provider(|provider| {
        let mut source = remote("https://issuer.example/keys");
        change(&mut source);
        provider.jwks_source_specifier = Some(JwksSourceSpecifier::RemoteJwks(source));
    })
}

fn with_requirement(requires: RequiresType) -> proto::JwtAuthentication {
    filter(|filter| {
        filter.rules[0].requirement_type = Some(RequirementType::Requires(requirement(requires)));
    })
}

fn with_match(change: impl FnOnce(&mut RouteMatch)) -> proto::JwtAuthentication {
    filter(|filter| change(filter.rules[0].r#match.as_mut().unwrap()))
}

fn decode(filter: &proto::JwtAuthentication) -> Result<JwtConfig, Invalid> {
    let filters = [http_filter("jwt", pack_any(filter.clone())), router("r")];
    let read = chain(&filters, Side::Server, &FilterRegistry::default())?;
    let config: &dyn ConfigValue = &*read[0].config;
    Ok(config.downcast_ref::<JwtConfig>().unwrap().clone())
}

fn refused(filter: &proto::JwtAuthentication) -> String {
    decode(filter).unwrap_err().field.replace("http_filters[0].typed_config.", "")
}

/// Proves: HF-43, HF-44.
#[test]
fn providers_and_their_defaults_are_read() {
    let config = decode(&filter(|_| {})).unwrap();
    let (name, read) = &config.providers[0];
    assert_eq!((&**name, read.issuer.as_deref()), ("a", Some("https://issuer.example")));
    assert_eq!((read.leeway, &*read.locations), (Duration::from_secs(60), &TokenLocation::defaults()[..]));
    assert_eq!((read.audiences.as_ref(), read.forward, read.require_expiration), (None, false, false));
    let config = decode(&with_remote(|_| {})).unwrap();
    let KeySource::Remote(keys) = &config.providers[0].1.keys else { panic!("keys are at a URL") };
    assert_eq!((keys.cache_duration.as_secs(), keys.first_retry.as_secs()), (600, 1));
    let config = decode(&with_provider(|provider| {
        provider.audiences = vec!["us".to_owned()];
        provider.clock_skew_seconds = 5;
        provider.from_cookies = vec!["session".to_owned()];
        provider.payload_in_metadata = "payload".to_owned();
        let claim_path =
            ["a.b", "c"].map(|key| proto::jwt_claim_to_header::PathSegment { key: key.to_owned() });
        let header_name = "X-Claim".to_owned();
        let claim =
            proto::JwtClaimToHeader { header_name, claim_path: claim_path.into(), ..Default::default() };
        provider.claim_to_headers = vec![claim];
    }));
    let read = &config.unwrap().providers[0].1;
    assert_eq!(read.audiences, Some(Audiences::new(["us"]).unwrap()));
    assert_eq!(read.locations, [TokenLocation::Cookie("session".to_owned())]);
    assert_eq!((read.leeway.as_secs(), read.payload_field.as_deref()), (5, Some("payload")));
    assert_eq!(read.claim_headers[0].path, ["a.b", "c"]);
}

#[test]
fn requirements_are_read() {
    let a = || RequiresType::ProviderName("a".to_owned());
    let any = proto::JwtRequirementOrList {
        requirements: vec![requirement(a()), requirement(RequiresType::AllowMissing(Empty {}))],
    };
    let config = decode(&with_requirement(RequiresType::RequiresAny(any))).unwrap();
    let expected = JwtRequirement::AnyOf(vec![
        JwtRequirement::Provider("a".to_owned(), None),
        JwtRequirement::AllowMissing,
    ]);
    assert_eq!(config.rules[0].requirement.as_ref(), Some(&expected));
    let per_route = |specifier| pack_any(proto::PerRouteConfig { requirement_specifier: specifier });
    let read = |specifier| one(&per_route(specifier), &FilterRegistry::default());
    let disabled = read(Some(RequirementSpecifier::Disabled(true))).unwrap();
    assert_eq!(disabled, Some(FilterOverride::config(JwtOverride::Disabled)));
    let named = read(Some(RequirementSpecifier::RequirementName("x".to_owned()))).unwrap();
    assert_eq!(named, Some(FilterOverride::config(JwtOverride::Requirement("x".to_owned()))));
    let empty = Some(RequirementSpecifier::RequirementName(String::new()));
    for specifier in [None, Some(RequirementSpecifier::Disabled(false)), empty] {
        assert!(read(specifier.clone()).is_err(), "{specifier:?}");
    }
}

/// What would check less than was meant is refused, and the filter is unknown to clients.
///
/// Proves: SEC-04.
#[test]
fn providers_that_cannot_be_kept_are_refused() {
    let provider = |change: fn(&mut proto::JwtProvider)| with_provider(change);
    let of_keys = |text: &str| {
        let source =
            DataSource { specifier: Some(Specifier::InlineString(text.into())), ..Default::default() };
        with_provider(|provider| {
            provider.jwks_source_specifier = Some(JwksSourceSpecifier::LocalJwks(source))
        })
    };
    let rows = [
        (provider(|it| it.jwks_source_specifier = None), "providers[\"a\"]"),
        (of_keys("{}"), "providers[\"a\"].local_jwks"),
        (of_keys(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), "providers[\"a\"].local_jwks"),
        (with_remote(|it| *it = remote("file:///keys")), "providers[\"a\"].remote_jwks.http_uri.uri"),
        (with_remote(|it| it.http_uri = None), "providers[\"a\"].remote_jwks.http_uri"),
        (
            with_remote(|it| it.http_uri.as_mut().unwrap().timeout = None),
            "providers[\"a\"].remote_jwks.http_uri.timeout",
        ),
        (
            with_remote(|it| it.cache_duration = Some(ProtoDuration::default())),
            "providers[\"a\"].remote_jwks.cache_duration",
        ),
        (
            with_remote(|it| it.retry_policy = Some(RetryPolicy::default())),
            "providers[\"a\"].remote_jwks.retry_policy",
        ),
        (provider(|it| it.audiences = vec![String::new()]), "providers[\"a\"].audiences"),
        (provider(|it| it.clear_route_cache = true), "providers[\"a\"].clear_route_cache"),
        (provider(|it| it.from_params = vec![String::new()]), "providers[\"a\"].from_params[0]"),
        (
            provider(|it| it.forward_payload_header = "a b".to_owned()),
            "providers[\"a\"].forward_payload_header",
        ),
    ];
    for (filter, field) in rows {
        assert_eq!(refused(&filter), field, "{filter:?}");
    }
    let filters = [http_filter("jwt", pack_any(filter(|_| {}))), router("r")];
    assert!(chain(&filters, Side::Client, &FilterRegistry::default()).is_err());
}

#[test]
fn rules_that_cannot_be_kept_are_refused() {
    let one = proto::JwtRequirementOrList {
        requirements: vec![requirement(RequiresType::ProviderName("a".to_owned()))],
    };
    let nobody = proto::ProviderWithAudiences { provider_name: "a".to_owned(), audiences: Vec::new() };
    let pseudo = HeaderMatcher {
        name: ":authority".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..HeaderMatcher::default()
    };
    let rows = [
        (with_requirement(RequiresType::ProviderName("b".to_owned())), "rules[0].requires.provider_name"),
        (with_requirement(RequiresType::RequiresAny(one)), "rules[0].requires.requires_any.requirements"),
        (
            with_requirement(RequiresType::ProviderAndAudiences(nobody)),
            "rules[0].requires.provider_and_audiences.audiences",
        ),
        (
            with_requirement(RequiresType::ExtractOnlyWithoutValidation(Default::default())),
            "rules[0].requires.extract_only_without_validation",
        ),
        (filter(|it| it.rules[0].r#match = None), "rules[0].match"),
        (
            filter(|it| {
                it.rules[0].requirement_type = Some(RequirementType::RequirementName("x".to_owned()))
            }),
            "rules[0].requirement_name",
        ),
        (with_match(|it| it.tls_context = Some(TlsContextMatchOptions {})), "rules[0].match.tls_context"),
        (
            with_match(|it| it.runtime_fraction = Some(RuntimeFractionalPercent::default())),
            "rules[0].match.runtime_fraction",
        ),
        (with_match(|it| it.headers = vec![pseudo.clone()]), "rules[0].match.headers[0].name"),
        (filter(|it| it.filter_state_rules = Some(Default::default())), "filter_state_rules"),
    ];
    for (filter, field) in rows {
        assert_eq!(refused(&filter), field, "{filter:?}");
    }
}
