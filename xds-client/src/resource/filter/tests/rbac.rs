//! Authorization: which rules are read, which are refused, and where the filter may stand.

use crate::resource::{ExtensionError, ExtensionPayload};
use std::net::IpAddr;

use mesh_core::filter::{Audit, AuditCondition, AuditLogger, RbacConfig, RbacOverride, StdoutAuditLogger};
use mesh_core::policy::matcher::{HeaderRule, StringMatcher, StringPattern};
use mesh_core::policy::rbac::{
    IpRange, Permission, Principal, RbacAction, RbacPolicy, RbacRules, RequestHeaderMatcher,
};
use xds_proto::envoy::config::core::v3::{CidrRange, TypedExtensionConfig};
use xds_proto::envoy::config::rbac::v3 as proto;
use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::rbac::v3::principal::{Authenticated, Identifier, Set as IdSet};
use xds_proto::envoy::config::rbac::v3::rbac::{Action, AuditLoggingOptions, audit_logging_options};
use xds_proto::envoy::config::route::v3::HeaderMatcher;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::extensions::filters::http::rbac::v3::{Rbac, RbacPerRoute};
use xds_proto::envoy::extensions::rbac::audit_loggers::stream::v3::StdoutAuditLog;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{
    MetadataMatcher, PathMatcher, StringMatcher as Text, path_matcher,
};
use xds_proto::envoy::r#type::v3::Int32Range;
use xds_proto::google::protobuf::UInt32Value;

use super::*;
use crate::resource::filter::{AuditLoggerType, RbacFilter};

fn text(text: &str) -> Text {
    Text { match_pattern: Some(MatchPattern::Exact(text.into())), ignore_case: false }
}

fn exact(text: &str) -> StringMatcher {
    StringMatcher { pattern: StringPattern::Exact(text.into()), ignore_case: false }
}

fn permission(rule: Rule) -> proto::Permission {
    proto::Permission { rule: Some(rule) }
}

fn principal(identifier: Identifier) -> proto::Principal {
    proto::Principal { identifier: Some(identifier) }
}

fn header(name: &str) -> HeaderMatcher {
    let header_match_specifier = Some(HeaderMatchSpecifier::StringMatch(text("x")));
    HeaderMatcher { name: name.into(), header_match_specifier, ..Default::default() }
}

fn url_path(path: &str) -> Rule {
    Rule::UrlPath(PathMatcher { rule: Some(path_matcher::Rule::Path(text(path))) })
}

fn authenticated(name: &str) -> Identifier {
    Identifier::Authenticated(Authenticated { principal_name: Some(text(name)) })
}

fn range(address: &str, length: Option<u32>) -> CidrRange {
    CidrRange { address_prefix: address.into(), prefix_len: length.map(|value| UInt32Value { value }) }
}

fn policy(rule: Rule, identifier: Identifier) -> proto::Policy {
    proto::Policy {
        permissions: vec![permission(rule)],
        principals: vec![principal(identifier)],
        ..Default::default()
    }
}

fn rules(policy: proto::Policy) -> proto::Rbac {
    proto::Rbac { action: Action::Deny.into(), policies: [("p".into(), policy)].into(), ..Default::default() }
}

fn filter(rules: proto::Rbac) -> Any {
    pack_any(Rbac { rules: Some(rules), ..Default::default() })
}

/// What a server makes of a filter.
fn server(any: Any) -> Result<FilterInstance, Invalid> {
    let filters = [http_filter("f", any), router("r")];
    let kept = chain(&filters, Side::Server, &FilterRegistry::default())?;
    Ok(kept.into_iter().next().expect("it is not optional"))
}

#[track_caller]
fn reads(rule: Rule, identifier: Identifier, permission: Permission, principal: Principal) {
    let found = server(filter(rules(policy(rule, identifier)))).unwrap();
    let expected = RbacRules::new(RbacAction::Deny, [RbacPolicy::new("p", [permission], [principal])]);
    assert_eq!(found, FilterInstance::new("f", RbacConfig::new(expected)));
}

#[test]
#[expect(deprecated, reason = "control planes still send the old rules")]
fn rules_are_read_into_their_meaning() {
    let ip = |address: &str, length| IpRange::new(address.parse::<IpAddr>().unwrap(), length).unwrap();
    let any = || Identifier::Any(true);
    let named = |name| Principal::Authenticated(Some(exact(name)));
    reads(Rule::Any(true), any(), Permission::Any, Principal::Any);
    reads(url_path("/a"), authenticated("b"), Permission::UrlPath(exact("/a")), named("b"));
    let of_x = RequestHeaderMatcher::new("x-a", HeaderRule::Value(exact("x"))).unwrap();
    let headers = (Permission::Header(of_x.clone()), Principal::Header(of_x));
    reads(Rule::Header(header("X-A")), Identifier::Header(header("x-a")), headers.0, headers.1);
    let port = Permission::DestinationPort(80..81);
    reads(
        Rule::DestinationPort(80),
        Identifier::Authenticated(Authenticated::default()),
        port,
        Principal::Authenticated(None),
    );
    let ports = Rule::DestinationPortRange(Int32Range { start: 80, end: 90 });
    let ten = || range("10.0.0.0", Some(8));
    let remote = || Principal::RemoteIp(ip("10.0.0.0", Some(8)));
    reads(ports, Identifier::SourceIp(ten()), Permission::DestinationPort(80..90), remote());
    let local = || Permission::DestinationIp(ip("10.0.0.1", None));
    // B6
    reads(Rule::DestinationIp(range("10.0.0.1", None)), Identifier::RemoteIp(ten()), local(), remote());
    let mapped = Identifier::DirectRemoteIp(range("::ffff:192.0.2.1", Some(120)));
    let mapped_range = Principal::RemoteIp(ip("192.0.2.0", Some(24)));
    reads(
        Rule::RequestedServerName(text("")),
        mapped,
        Permission::RequestedServerName(exact("")),
        mapped_range,
    );
    let not = Identifier::NotId(Box::new(principal(authenticated("a"))));
    let both = Identifier::OrIds(IdSet { ids: vec![principal(not), principal(any())] });
    let expected = Principal::AnyOf(vec![Principal::Not(Box::new(named("a"))), Principal::Any]);
    reads(Rule::Any(true), both, Permission::Any, expected);
}

/// Case B10.
/// Proves: HF-18.
#[test]
fn rules_that_cannot_be_evaluated_are_refused_wherever_they_are() {
    let nested = |rule: Rule| Rule::NotRule(Box::new(permission(rule)));
    let in_set = |rule: Rule| {
        let rules = vec![permission(Rule::Any(true)), permission(nested(rule))];
        Rule::OrRules(proto::permission::Set { rules })
    };
    for name in [":scheme", ":Scheme", "grpc-timeout", "Grpc-Status", ":unknown", "", "a b"] {
        for rule in [
            Rule::Header(header(name)),
            nested(Rule::Header(header(name))),
            in_set(Rule::Header(header(name))),
        ] {
            let error = server(filter(rules(policy(rule, Identifier::Any(true))))).unwrap_err();
            assert!(error.field.ends_with("header.name"), "{name}: {}", error.field);
        }
        let id = Identifier::AndIds(IdSet { ids: vec![principal(Identifier::Header(header(name)))] });
        assert!(server(filter(rules(policy(Rule::Any(true), id)))).is_err(), "{name}");
    }
    let any = || policy(Rule::Any(true), Identifier::Any(true));
    let with = |rule| policy(rule, Identifier::Any(true));
    let of = |identifier| policy(Rule::Any(true), identifier);
    let extension = TypedExtensionConfig::default;
    let empty_metadata = MetadataMatcher { filter: "f".into(), ..Default::default() };
    let sourced = proto::SourcedMetadata { metadata_source: 1, ..Default::default() };
    let rows = [
        ("condition", proto::Policy { condition: Some(Default::default()), ..any() }),
        ("checked_condition", proto::Policy { checked_condition: Some(Default::default()), ..any() }),
        ("cel_config", proto::Policy { cel_config: Some(Default::default()), ..any() }),
        ("permissions", proto::Policy { permissions: vec![], ..any() }),
        ("principals", proto::Policy { principals: vec![], ..any() }),
        ("permissions[0]", proto::Policy { permissions: vec![proto::Permission::default()], ..any() }),
        ("principals[0]", proto::Policy { principals: vec![proto::Principal::default()], ..any() }),
        ("permissions[0].matcher", with(Rule::Matcher(extension()))),
        ("permissions[0].uri_template", with(Rule::UriTemplate(extension()))),
        ("permissions[0].any", with(Rule::Any(false))),
        ("permissions[0].and_rules.rules", with(Rule::AndRules(Default::default()))),
        ("permissions[0].url_path.path", with(Rule::UrlPath(PathMatcher::default()))),
        ("permissions[0].destination_port", with(Rule::DestinationPort(65_536))),
        ("permissions[0].destination_ip.address_prefix", with(Rule::DestinationIp(range("x", None)))),
        ("permissions[0].destination_ip.prefix_len", with(Rule::DestinationIp(range("10.0.0.0", Some(33))))),
        ("permissions[0].destination_ip.prefix_len", with(Rule::DestinationIp(range("10.0.0.0", Some(288))))),
        ("permissions[0].sourced_metadata.metadata_source", with(Rule::SourcedMetadata(sourced))),
        ("principals[0].metadata.path", of(metadata(empty_metadata))),
        ("principals[0].filter_state", of(Identifier::FilterState(Default::default()))),
        ("principals[0].custom", of(Identifier::Custom(extension()))),
        ("principals[0].or_ids.ids", of(Identifier::OrIds(IdSet::default()))),
    ];
    for (field, policy) in rows {
        let error = server(filter(rules(policy.clone()))).unwrap_err();
        assert_eq!(error.field, format!("http_filters[0].typed_config.rules.policies[\"p\"].{field}"));
        // HF-17: rules that only log are ignored as if they were absent
        let log = proto::Rbac { action: Action::Log.into(), ..rules(policy) };
        assert!(server(filter(log)).is_ok(), "{field}");
    }
    let unknown = proto::Rbac { action: 3, ..rules(any()) };
    assert_eq!(server(filter(unknown)).unwrap_err().field, "http_filters[0].typed_config.rules.action");
    let trees = Rbac { matcher: Some(Default::default()), ..Default::default() };
    assert!(server(pack_any(trees)).is_err());
    let shadow = Rbac { shadow_matcher: Some(Default::default()), ..Default::default() };
    assert!(server(pack_any(shadow)).is_err());
}

#[expect(deprecated, reason = "control planes still send the old rules")]
fn metadata(matcher: MetadataMatcher) -> Identifier {
    Identifier::Metadata(matcher)
}

/// LDS-07, LDS-10.
#[test]
fn clients_do_not_know_the_filter_and_routes_replace_it_whole() {
    let any = || filter(rules(policy(Rule::Any(true), Identifier::Any(true))));
    let client = |optional| {
        let filter = ProtoFilter { is_optional: optional, ..http_filter("f", any()) };
        chain(&[filter, router("r")], Side::Client, &FilterRegistry::default())
    };
    assert!(client(false).is_err());
    assert_eq!(client(true), Ok(vec![]));
    assert!(server(pack_any(RbacPerRoute::default())).is_err());
    assert_eq!(said(&pack_any(RbacPerRoute::default())), Some(FilterOverride::config(RbacOverride(None))));
    let replaced = said(&pack_any(RbacPerRoute { rbac: Some(Rbac::default()) }));
    assert_eq!(replaced, Some(FilterOverride::config(RbacOverride(Some(RbacConfig::default())))));
    let broken = Rbac { matcher: Some(Default::default()), ..Default::default() };
    assert!(one(&pack_any(RbacPerRoute { rbac: Some(broken) }), &FilterRegistry::default()).is_err());
}

/// A kind of audit logger of a user.
#[derive(Debug)]
struct Own;

impl AuditLoggerType for Own {
    fn type_name(&self) -> &str {
        "example.Own"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn AuditLogger>, ExtensionError> {
        match payload.message() {
            Some([]) => Ok(Arc::new(StdoutAuditLogger::new())),
            _ => Err(ExtensionError::new("has no settings")),
        }
    }
}

/// Case B11.
/// Proves: HF-23.
#[test]
fn audit_loggers_are_known_or_optional() {
    let logger = |any: Any, is_optional| audit_logging_options::AuditLoggerConfig {
        audit_logger: Some(TypedExtensionConfig { name: "l".into(), typed_config: Some(any) }),
        is_optional,
    };
    let audited = |condition, logger_configs| proto::Rbac {
        audit_logging_options: Some(AuditLoggingOptions { audit_condition: condition, logger_configs }),
        ..rules(policy(Rule::Any(true), Identifier::Any(true)))
    };
    let stdout = || pack_any(StdoutAuditLog {});
    let own = |bytes: &[u8]| any("example.Own", bytes);
    let registry = FilterRegistry::default().with(RbacFilter::default().with_audit_logger(Own));
    let read = |registry: &FilterRegistry, rules| {
        chain(&[http_filter("f", filter(rules)), router("r")], Side::Server, registry)
    };
    let bare = || {
        let policy = RbacPolicy::new("p", [Permission::Any], [Principal::Any]);
        RbacConfig::new(RbacRules::new(RbacAction::Deny, [policy]))
    };
    let told = |condition, count| {
        let loggers = vec![Arc::new(StdoutAuditLogger::new()) as Arc<dyn AuditLogger>; count];
        bare().with_audit(Audit::new(condition, loggers))
    };
    let default = FilterRegistry::default();
    let rows = [
        ("unknown", &default, 1, vec![logger(own(&[]), false)], None),
        ("unknown for no decision", &default, 0, vec![logger(own(&[]), false)], None),
        ("unknown and optional", &default, 1, vec![logger(own(&[]), true)], Some(bare())),
        ("stdout", &default, 1, vec![logger(stdout(), false)], Some(told(AuditCondition::OnDeny, 1))),
        ("never", &default, 0, vec![logger(stdout(), false)], Some(bare())),
        ("bad condition", &default, 4, vec![logger(stdout(), false)], None),
        ("of a user", &registry, 2, vec![logger(own(&[]), false)], Some(told(AuditCondition::OnAllow, 1))),
        ("broken, though optional", &registry, 3, vec![logger(own(b"x"), true)], None),
        (
            "two",
            &registry,
            3,
            vec![logger(own(&[]), false), logger(stdout(), true)],
            Some(told(AuditCondition::OnDenyAndAllow, 2)),
        ),
    ];
    for (row, registry, condition, loggers, expected) in rows {
        let found = read(registry, audited(condition, loggers)).ok();
        assert_eq!(found, expected.map(|config| vec![FilterInstance::new("f", config)]), "{row}");
    }
}

/// Rules that log and name audit loggers are read: their policies say which calls are told about. Invalid ones refuse the listener.
#[test]
fn rules_that_log_are_read_for_their_audit() {
    let audited = |policy| {
        let logger = audit_logging_options::AuditLoggerConfig {
            audit_logger: Some(TypedExtensionConfig {
                name: "l".into(),
                typed_config: Some(pack_any(StdoutAuditLog {})),
            }),
            is_optional: false,
        };
        let options = AuditLoggingOptions { audit_condition: 2, logger_configs: vec![logger] };
        filter(proto::Rbac {
            action: Action::Log.into(),
            audit_logging_options: Some(options),
            ..rules(policy)
        })
    };
    let audit = Audit::new(AuditCondition::OnAllow, [Arc::new(StdoutAuditLogger::new()) as _]);
    let policy_p = RbacPolicy::new("p", [Permission::Any], [Principal::Any]);
    let expected = RbacConfig::new(RbacRules::new(RbacAction::Log, [policy_p])).with_audit(audit);
    let read = server(audited(policy(Rule::Any(true), Identifier::Any(true))));
    assert_eq!(read, Ok(FilterInstance::new("f", expected)));
    assert!(server(audited(policy(Rule::Any(false), Identifier::Any(true)))).is_err());
}

#[test]
fn prefix_of_shadow_rules_is_that_of_their_metadata() {
    let shadow = |prefix: &str| {
        pack_any(Rbac {
            shadow_rules: Some(rules(policy(Rule::Any(true), Identifier::Any(true)))),
            shadow_rules_stat_prefix: prefix.to_owned(),
            ..Rbac::default()
        })
    };
    let deny = RbacPolicy::new("p", [Permission::Any], [Principal::Any]);
    let config = || RbacConfig::default().with_shadow_rules(RbacRules::new(RbacAction::Deny, [deny.clone()]));
    let prefixed = FilterInstance::new("f", config().with_shadow_metadata("x_"));
    assert_eq!(server(shadow("x_")), Ok(prefixed));
    assert_eq!(server(shadow("")), Ok(FilterInstance::new("f", config())));
}
