//! The parts of a request's hash.

use mesh_core::config::HashPolicy;
use xds_proto::envoy::config::route::v3::RouteConfiguration as Config;
use xds_proto::envoy::config::route::v3::route_action::HashPolicy as ProtoHash;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::{
    Cookie, FilterState, Header, PolicySpecifier,
};
use xds_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use super::action_tests::{action, forwarded};
use super::samples::{regex, simple};
use super::*;
use crate::resource::testing::{Row, check};

fn hash(specifier: PolicySpecifier) -> Vec<ProtoHash> {
    vec![ProtoHash { terminal: true, policy_specifier: Some(specifier) }]
}

fn hash_header(name: &str, rewrite: Option<(&str, &str)>) -> Vec<ProtoHash> {
    let regex_rewrite = rewrite.map(|(pattern, substitution)| RegexMatchAndSubstitute {
        pattern: Some(regex(pattern)),
        substitution: substitution.into(),
    });
    hash(PolicySpecifier::Header(Header { header_name: name.into(), regex_rewrite }))
}

const HASH_POLICIES: &[Row<Config>] = &[
    (
        "RDS-17 bad regex",
        |m| action(m).hash_policy = hash_header("x", Some(("(", ""))),
        Err((
            "virtual_hosts[0].routes[0].route.hash_policy[0].header.regex_rewrite.pattern.regex",
            "regular",
        )),
    ),
    (
        "RDS-17 no pattern",
        |m| {
            let regex_rewrite = Some(RegexMatchAndSubstitute::default());
            action(m).hash_policy =
                hash(PolicySpecifier::Header(Header { header_name: "x".into(), regex_rewrite }));
        },
        Err(("virtual_hosts[0].routes[0].route.hash_policy[0].header.regex_rewrite.pattern", "must be set")),
    ),
    (
        "RDS-17 no such group",
        |m| action(m).hash_policy = hash_header("x", Some(("(a)", r"\2"))),
        Err((
            "virtual_hosts[0].routes[0].route.hash_policy[0].header.regex_rewrite.substitution",
            "of a group",
        )),
    ),
    (
        "RDS-17 bad escape",
        |m| action(m).hash_policy = hash_header("x", Some(("a", r"\"))),
        Err((
            "virtual_hosts[0].routes[0].route.hash_policy[0].header.regex_rewrite.substitution",
            "of a group",
        )),
    ),
    (
        "RDS-17 bad name",
        |m| action(m).hash_policy = hash_header("a b", None),
        Err(("virtual_hosts[0].routes[0].route.hash_policy[0].header.header_name", "not a header's name")),
    ),
];

/// Proves: RDS-17.
#[test]
fn hash_policies() {
    let read = |policies: Vec<ProtoHash>| forwarded(|action| action.hash_policy = policies).hash_policies;
    let state = |key: &str| hash(PolicySpecifier::FilterState(FilterState { key: key.into() }));
    assert_eq!(read(state("io.grpc.channel_id")), [HashPolicy::ChannelId { terminal: true }]);
    let skipped = [
        state("other"),
        hash(PolicySpecifier::Cookie(Cookie { name: "c".into(), ..Default::default() })),
        vec![ProtoHash::default()],
        hash_header(":path", None),
    ];
    for policies in skipped {
        assert_eq!(read(policies.clone()), [], "{policies:?}");
    }
    let plain = &read(hash_header("X-User", None))[0];
    assert!(matches!(plain, HashPolicy::Header { name, rewrite: None, terminal: true } if name == "x-user"));
    let rows = [
        ("(a)(b)", r"\2\1", "xabx", "xbax"),
        ("a", "$1", "a-a", "$1-$1"),
        ("a", r"\\", "a", r"\"),
        ("a(.)", r"<\1>\0", "ab", "<b>ab"),
        ("^/v[0-9]+", "", "/v12/x", "/x"),
    ];
    for (pattern, substitution, value, expected) in rows {
        let policies = read(hash_header("x", Some((pattern, substitution))));
        let HashPolicy::Header { rewrite: Some((regex, text)), .. } = &policies[0] else {
            panic!("{policies:?}")
        };
        assert_eq!(regex.replace_all(value, text.as_str()), expected, "{pattern} {substitution}");
    }
    check(&RouteConfigurationType, &simple(), HASH_POLICIES);
}
