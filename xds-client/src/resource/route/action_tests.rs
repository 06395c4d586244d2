//! Actions, clusters, limits and host rewriting.

use std::time::Duration;

use mesh_core::config::{ClusterChoice, Forward, RouteAction, RoutingPriority};
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
};
use xds_proto::envoy::config::route::v3::{
    ClusterSpecifierPlugin, DirectResponseAction, FilterAction, NonForwardingAction, RedirectAction,
    RouteAction as ProtoAction, RouteConfiguration as Config, WeightedCluster as ProtoWeighted,
};
use xds_proto::google::protobuf::{BoolValue, Duration as ProtoDuration};

use super::samples::{forward, simple, weight, weighted};
use super::*;
use crate::bootstrap::FeatureGuards;
use crate::resource::testing::{OK, Row, check, decode, seconds, u32_value};

pub(super) fn action(config: &mut Config) -> &mut ProtoAction {
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

pub(super) fn forwarded(change: impl FnOnce(&mut ProtoAction)) -> Forward {
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
    let mut config = simple();
    config.virtual_hosts[0].routes[0].action = Some(Action::NonForwardingAction(NonForwardingAction {}));
    assert_eq!(decoded_by(&DecodeContext::default(), &config), Some(RouteAction::NonForwarding));
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

/// What the runtime makes of the flag is in `mesh-tonic/tests/mesh/rewrites.rs`.
///
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

/// Proves: LB-28.
#[test]
fn priority_decides_which_limits_hold() {
    for (priority, expected) in [(0, RoutingPriority::Default), (1, RoutingPriority::High)] {
        assert_eq!(forwarded(|action| action.priority = priority).priority, expected);
    }
}
