//! Decisions about listeners that are written out.

use xds_proto::envoy::config::core::v3::TransportSocket;
use xds_proto::envoy::config::listener::v3::Filter;
use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::rbac::v3::principal::{Authenticated, Identifier};
use xds_proto::envoy::config::rbac::v3::{Permission, Policy, Principal};
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::pack_any;

use super::*;

fn http(config: Any) -> HttpFilter {
    HttpFilter { config_type: Some(ConfigType::TypedConfig(config)), ..HttpFilter::default() }
}

fn with_filters(http_filters: Vec<HttpFilter>) -> Listener {
    let manager = HttpConnectionManager { http_filters, ..HttpConnectionManager::default() };
    let filter =
        Filter { config_type: Some(NetworkFilter::TypedConfig(pack_any(manager))), ..Filter::default() };
    let chain = FilterChain {
        filters: vec![filter],
        transport_socket: Some(TransportSocket::default()),
        ..FilterChain::default()
    };
    Listener { filter_chains: vec![chain], ..Listener::default() }
}

fn rules(action: rbac::Action, policies: &[(&str, Identifier)]) -> Rules {
    let policy = |identifier: &Identifier| Policy {
        permissions: vec![Permission { rule: Some(Rule::Any(true)) }],
        principals: vec![Principal { identifier: Some(identifier.clone()) }],
        ..Policy::default()
    };
    Rules {
        action: action.into(),
        policies: policies.iter().map(|(name, one)| ((*name).to_owned(), policy(one))).collect(),
        ..Rules::default()
    }
}

fn is(name: &str) -> Identifier {
    let exact = Some(MatchPattern::Exact(name.to_owned()));
    let principal_name = Some(StringMatcher { match_pattern: exact, ..StringMatcher::default() });
    Identifier::Authenticated(Authenticated { principal_name })
}

/// A listener with mutual TLS that denies one caller, by the rule `deny`.
pub(crate) fn listener(denied: &str) -> Listener {
    let rules = rules(rbac::Action::Deny, &[("deny", is(denied))]);
    with_filters(vec![http(pack_any(Rbac { rules: Some(rules), ..Rbac::default() }))])
}

/// Case B5 of the identity cases.
#[test]
fn rules_without_policies_deny_or_allow_by_their_action() {
    let call = Call { principal: Some("spiffe://a/b".to_owned()), ..Call::default() };
    let rows = [
        (None, Verdict::Allowed),
        (Some(rules(rbac::Action::Allow, &[])), Verdict::Denied),
        (Some(rules(rbac::Action::Deny, &[])), Verdict::Allowed),
    ];
    for (rules, expected) in rows {
        let filter = http(pack_any(Rbac { rules: rules.clone(), ..Rbac::default() }));
        assert_eq!(decide(&with_filters(vec![filter]), &call).verdict, expected, "{rules:?}");
    }
}

#[test]
fn first_rule_by_name_decides_and_trials_only_tell() {
    let call = Call { principal: Some("spiffe://a/b".to_owned()), ..Call::default() };
    let allow = rules(rbac::Action::Allow, &[("b", is("spiffe://a/b")), ("a", is("spiffe://a/b"))]);
    let shadow = rules(rbac::Action::Deny, &[("trial", is("spiffe://a/b"))]);
    let filter = Rbac { rules: Some(allow), shadow_rules: Some(shadow), ..Rbac::default() };
    let found = decide(&with_filters(vec![http(pack_any(filter))]), &call);
    let expected = Decision {
        verdict: Verdict::Allowed,
        reason: "a".to_owned(),
        trial: Some("denied: trial".to_owned()),
    };
    assert_eq!(found, expected);
}
