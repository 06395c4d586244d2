//! Actions, clusters, limits, retries and hashes.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::retry_policy::RetryBackOff;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    Cookie, FilterState, Header, PolicySpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HashPolicy as ProtoHash, HostRewriteSpecifier, MaxStreamDuration,
};
use envoy_types::pb::envoy::config::route::v3::{
    ClusterSpecifierPlugin, DirectResponseAction, FilterAction, NonForwardingAction, RedirectAction,
    RetryPolicy as ProtoRetry, RouteAction as ProtoAction, RouteConfiguration as Config,
    WeightedCluster as ProtoWeighted,
};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use envoy_types::pb::google::protobuf::{BoolValue, Duration as ProtoDuration};
use mesh_core::config::{
    ClusterChoice, Forward, HashPolicy, RetryBackoff, RetryPolicy, RetryableCodes, RouteAction,
};

use super::samples::{forward, regex, simple, weight, weighted};
use super::*;
use crate::bootstrap::FeatureGuards;
use crate::resource::testing::{OK, Row, check, decode, millis, seconds, u32_value};

fn action(config: &mut Config) -> &mut ProtoAction {
    forward(&mut config.virtual_hosts[0].routes[0])
}

fn decoded_by(context: &DecodeContext, config: &Config) -> Option<RouteAction> {
    let config = decode::<RouteConfiguration>(&RouteConfigurationType, context, config).unwrap();
    config.virtual_hosts[0].routes.first().map(|route| route.action.clone())
}

/// The action after a change of the only route's; `None`: the route was skipped.
fn decoded(change: impl FnOnce(&mut ProtoAction)) -> Option<RouteAction> {
    let mut config = simple();
    change(action(&mut config));
    decoded_by(&DecodeContext::default(), &config)
}

fn forwarded(change: impl FnOnce(&mut ProtoAction)) -> Forward {
    match decoded(change) {
        Some(RouteAction::Forward(forward)) => forward,
        other => panic!("{other:?}"),
    }
}

#[expect(deprecated, reason = "total_weight may still be sent, and is ignored")]
const CLUSTERS: &[Row<Config>] = &[
    (
        "RDS-10 empty name",
        |m| action(m).cluster_specifier = Some(ClusterSpecifier::Cluster(String::new())),
        Err(("virtual_hosts[0].routes[0].route.cluster", "must not be empty")),
    ),
    (
        "RDS-11 none",
        |m| action(m).cluster_specifier = weighted(vec![]),
        Err(("virtual_hosts[0].routes[0].route.weighted_clusters", "the total weight is 0")),
    ),
    (
        "RDS-11 sum 0",
        |m| action(m).cluster_specifier = weighted(vec![weight("a", 0), weight("b", 0)]),
        Err(("virtual_hosts[0].routes[0].route.weighted_clusters", "the total weight is 0")),
    ),
    (
        "RDS-11 sum at the limit",
        |m| {
            action(m).cluster_specifier = weighted(vec![weight("a", u32::MAX - 1), weight("b", 1)]);
        },
        OK,
    ),
    (
        "RDS-11 sum above the limit",
        |m| {
            action(m).cluster_specifier = weighted(vec![weight("a", u32::MAX), weight("b", 1)]);
        },
        Err(("virtual_hosts[0].routes[0].route.weighted_clusters", "exceeds 4294967295")),
    ),
    (
        "RDS-11 no name",
        |m| action(m).cluster_specifier = weighted(vec![weight("a", 1), weight("", 1)]),
        Err(("virtual_hosts[0].routes[0].route.weighted_clusters.clusters[1].name", "must not be empty")),
    ),
    (
        "RDS-11 no name and no weight",
        |m| action(m).cluster_specifier = weighted(vec![weight("a", 1), weight("", 0)]),
        OK,
    ),
    (
        "RDS-11 total_weight",
        |m| {
            let clusters = vec![weight("a", 1)];
            let total_weight = u32_value(77);
            let choice = ProtoWeighted { clusters, total_weight, ..Default::default() };
            action(m).cluster_specifier = Some(ClusterSpecifier::WeightedClusters(choice));
        },
        OK,
    ),
];

/// Proves: RDS-10, RDS-11.
#[test]
fn clusters() {
    check(&RouteConfigurationType, &simple(), CLUSTERS);
    assert_eq!(forwarded(|_| {}).clusters, ClusterChoice::One("greeter".into()));
    let entries = vec![weight("a", 1), weight("b", 0), weight("c", 3)];
    let choice = forwarded(|action| action.cluster_specifier = weighted(entries)).clusters;
    let ClusterChoice::Weighted(entries) = choice else { panic!("{choice:?}") };
    let pairs: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.weight)).collect();
    assert_eq!(pairs, [("a", 1), ("c", 3)]);
    let inline = ClusterSpecifier::InlineClusterSpecifierPlugin(ClusterSpecifierPlugin::default());
    for specifier in [None, Some(ClusterSpecifier::ClusterHeader("x".into())), Some(inline)] {
        assert_eq!(decoded(|action| action.cluster_specifier = specifier.clone()), None, "{specifier:?}");
    }
}

/// Proves: RDS-13.
#[test]
fn other_actions_fail_only_what_matches_them() {
    let rows = [
        (Some(Action::NonForwardingAction(NonForwardingAction {})), "non_forwarding_action"),
        (Some(Action::Redirect(RedirectAction::default())), "redirect"),
        (Some(Action::DirectResponse(DirectResponseAction::default())), "direct_response"),
        (Some(Action::FilterAction(FilterAction::default())), "filter_action"),
        (None, "no action"),
    ];
    for (action, expected) in rows {
        let mut config = simple();
        config.virtual_hosts[0].routes[0].action = action;
        let found = decoded_by(&DecodeContext::default(), &config);
        assert_eq!(found, Some(RouteAction::Unsupported(expected)));
    }
}

const LIMITS: &[Row<Config>] = &[
    (
        "RDS-14 negative",
        |m| {
            let limits = MaxStreamDuration { max_stream_duration: seconds(-1), ..Default::default() };
            action(m).max_stream_duration = Some(limits);
        },
        Err(("virtual_hosts[0].routes[0].route.max_stream_duration.max_stream_duration", "-1 s")),
    ),
    (
        "RDS-14 too long",
        |m| {
            let limits =
                MaxStreamDuration { grpc_timeout_header_max: seconds(315_576_000_001), ..Default::default() };
            action(m).max_stream_duration = Some(limits);
        },
        Err((
            "virtual_hosts[0].routes[0].route.max_stream_duration.grpc_timeout_header_max",
            "315576000001 s",
        )),
    ),
    (
        "RDS-14 negative nanoseconds",
        |m| {
            let duration = Some(ProtoDuration { seconds: 1, nanos: -1 });
            let limits = MaxStreamDuration { max_stream_duration: duration, ..Default::default() };
            action(m).max_stream_duration = Some(limits);
        },
        Err(("virtual_hosts[0].routes[0].route.max_stream_duration.max_stream_duration", "-1 ns")),
    ),
    (
        "RDS-14 too many nanoseconds",
        |m| {
            let duration = Some(ProtoDuration { seconds: 1, nanos: 1_000_000_000 });
            let limits = MaxStreamDuration { max_stream_duration: duration, ..Default::default() };
            action(m).max_stream_duration = Some(limits);
        },
        Err(("virtual_hosts[0].routes[0].route.max_stream_duration.max_stream_duration", "1000000000 ns")),
    ),
];

/// Proves: RDS-14.
#[test]
fn stream_limits() {
    let limits = |max, header_max, offset| {
        Some(MaxStreamDuration {
            max_stream_duration: max,
            grpc_timeout_header_max: header_max,
            grpc_timeout_header_offset: offset,
        })
    };
    let read = |max: Option<ProtoDuration>, header_max: Option<ProtoDuration>| {
        let forward = forwarded(|action| {
            action.max_stream_duration = limits(max, header_max, seconds(-1));
            action.timeout = seconds(-1);
        });
        (forward.max_stream_duration, forward.grpc_timeout_header_max)
    };
    assert_eq!(read(None, None), (None, None));
    assert_eq!(read(seconds(0), seconds(0)), (Some(Duration::ZERO), Some(Duration::ZERO)));
    assert_eq!(read(seconds(3), None), (Some(Duration::from_secs(3)), None));
    let longest = ProtoDuration { seconds: 315_576_000_000, nanos: 999_999_999 };
    assert_eq!(read(None, Some(longest)).1, Some(Duration::new(315_576_000_000, 999_999_999)));
    check(&RouteConfigurationType, &simple(), LIMITS);
}

fn backoff(base: Option<ProtoDuration>, max: Option<ProtoDuration>) -> Option<ProtoRetry> {
    let retry_back_off = Some(RetryBackOff { base_interval: base, max_interval: max });
    Some(ProtoRetry { retry_on: "internal".into(), retry_back_off, ..Default::default() })
}

const RETRY_POLICIES: &[Row<Config>] = &[
    (
        "RDS-15 no retries",
        |m| {
            action(m).retry_policy = Some(ProtoRetry { num_retries: u32_value(0), ..Default::default() });
        },
        Err(("virtual_hosts[0].routes[0].route.retry_policy.num_retries", "must be at least 1")),
    ),
    (
        "RDS-15 no base",
        |m| action(m).retry_policy = backoff(None, seconds(1)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "must be set")),
    ),
    (
        "RDS-15 base 0",
        |m| action(m).retry_policy = backoff(seconds(0), None),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "more than 0")),
    ),
    (
        "RDS-15 base negative",
        |m| action(m).retry_policy = backoff(seconds(-1), None),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "-1 s")),
    ),
    (
        "RDS-15 max 0",
        |m| action(m).retry_policy = backoff(seconds(1), seconds(0)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval", "more than 0")),
    ),
    (
        "RDS-15 max below base",
        |m| action(m).retry_policy = backoff(millis(10), millis(9)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval", "less than base")),
    ),
    (
        "RDS-15 of a virtual host",
        |m| m.virtual_hosts[0].retry_policy = backoff(None, None),
        Err(("virtual_hosts[0].retry_policy.retry_back_off.base_interval", "must be set")),
    ),
];

/// Proves: RDS-15.
#[test]
fn retry_policies_of_hosts_and_routes() {
    let read = |policy: ProtoRetry| {
        let mut config = simple();
        config.virtual_hosts[0].retry_policy = Some(policy.clone());
        action(&mut config).retry_policy = Some(policy);
        let config =
            decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), &config)
                .unwrap();
        let host = &config.virtual_hosts[0];
        let RouteAction::Forward(forward) = &host.routes[0].action else { panic!("it forwards") };
        assert_eq!(host.retry, forward.retry);
        RetryPolicy::clone(forward.retry.as_ref().unwrap())
    };
    assert_eq!(forwarded(|_| {}).retry, None);
    let default = read(ProtoRetry::default());
    assert_eq!((default.max_attempts.get(), default.backoff), (2, RetryBackoff::default()));
    let many = |retries| {
        read(ProtoRetry { num_retries: u32_value(retries), ..Default::default() }).max_attempts.get()
    };
    assert_eq!((many(1), many(4), many(u32::MAX)), (2, 5, u32::MAX));
    let rows = [
        (millis(10), None, 10, 100),
        (millis(10), millis(10), 10, 10),
        (millis(10), seconds(1), 10, 1000),
        (Some(ProtoDuration { seconds: 0, nanos: 5 }), None, 1, 1),
        (Some(ProtoDuration { seconds: 0, nanos: 5 }), millis(2), 1, 2),
        (
            Some(ProtoDuration { seconds: 0, nanos: 500_000 }),
            Some(ProtoDuration { seconds: 0, nanos: 600_000 }),
            1,
            1,
        ),
    ];
    for (base, max, initial, longest) in rows {
        let expected =
            RetryBackoff { initial: Duration::from_millis(initial), max: Duration::from_millis(longest) };
        assert_eq!(read(backoff(base, max).unwrap()).backoff, expected, "{base:?} {max:?}");
    }
    let mut longest = read(backoff(seconds(315_576_000_000), None).unwrap()).backoff;
    longest.max = Duration::ZERO;
    assert_eq!(longest.initial, Duration::from_secs(315_576_000_000));
    check(&RouteConfigurationType, &simple(), RETRY_POLICIES);
}

/// Proves: RDS-16.
#[test]
fn retry_conditions_are_grpc_statuses() {
    let all = [
        RetryableCodes::CANCELLED,
        RetryableCodes::DEADLINE_EXCEEDED,
        RetryableCodes::INTERNAL,
        RetryableCodes::RESOURCE_EXHAUSTED,
        RetryableCodes::UNAVAILABLE,
    ];
    let rows = [
        ("cancelled,deadline-exceeded,internal,resource-exhausted,unavailable", all.to_vec()),
        (" Unavailable , 5xx,,CANCELLED\t", vec![RetryableCodes::CANCELLED, RetryableCodes::UNAVAILABLE]),
        ("5xx,gateway-error", vec![]),
        ("", vec![]),
        ("unavailable-ish", vec![]),
    ];
    for (text, codes) in rows {
        let policy = ProtoRetry { retry_on: text.into(), ..Default::default() };
        let policy = forwarded(|action| action.retry_policy = Some(policy)).retry.unwrap();
        let expected = codes.into_iter().fold(RetryableCodes::none(), RetryableCodes::with);
        assert_eq!(policy.retry_on, expected, "{text:?}");
    }
}

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

/// Proves: RDS-18, BS-20.
#[test]
fn host_rewrite_needs_a_trusted_server() {
    let mut asking = simple();
    action(&mut asking).host_rewrite_specifier =
        Some(HostRewriteSpecifier::AutoHostRewrite(BoolValue { value: true }));
    let mut not_asking = simple();
    action(&mut not_asking).host_rewrite_specifier =
        Some(HostRewriteSpecifier::AutoHostRewrite(BoolValue { value: false }));
    let mut literal = simple();
    action(&mut literal).host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral("x".into()));
    let rows = [
        ("trusted", &asking, true, true, true),
        ("not trusted", &asking, false, true, false),
        ("switched off", &asking, true, false, false),
        ("not asked for", &not_asking, true, true, false),
        ("literal", &literal, true, true, false),
    ];
    for (row, config, trusted_server, authority_rewrite, expected) in rows {
        let guards = FeatureGuards { authority_rewrite, ..Default::default() };
        let context = DecodeContext { trusted_server, guards, ..Default::default() };
        match decoded_by(&context, config) {
            Some(RouteAction::Forward(forward)) => assert_eq!(forward.auto_host_rewrite, expected, "{row}"),
            other => panic!("{row}: {other:?}"),
        }
    }
}
