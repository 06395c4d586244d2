//! Valid messages for the tables to change.

use xds_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::retry_policy::RetryBackOff;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::{Header, PolicySpecifier};
use xds_proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HashPolicy, MaxStreamDuration};
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher, RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
    WeightedCluster,
};
use xds_proto::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher};
use xds_proto::envoy::r#type::v3::FractionalPercent;

use crate::resource::testing::{millis, seconds, u32_value};

/// An expression.
pub(in crate::resource) fn regex(text: &str) -> RegexMatcher {
    RegexMatcher { regex: text.into(), ..Default::default() }
}

/// A cluster with a weight.
pub(in crate::resource) fn weight(name: &str, weight: u32) -> ClusterWeight {
    ClusterWeight { name: name.into(), weight: u32_value(weight), ..Default::default() }
}

/// A choice by weight.
pub(in crate::resource) fn weighted(clusters: Vec<ClusterWeight>) -> Option<ClusterSpecifier> {
    Some(ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..Default::default() }))
}

/// Everything under `prefix` to a cluster.
pub(in crate::resource) fn route(prefix: &str, cluster: &str) -> Route {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
        ..Default::default()
    };
    Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(prefix.into())),
            ..Default::default()
        }),
        action: Some(Action::Route(action)),
        ..Default::default()
    }
}

/// The action inside a route.
pub(in crate::resource) fn forward(route: &mut Route) -> &mut RouteAction {
    match &mut route.action {
        Some(Action::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

/// One virtual host with one route.
pub(in crate::resource) fn simple() -> RouteConfiguration {
    RouteConfiguration {
        name: "routes".into(),
        virtual_hosts: vec![VirtualHost {
            name: "all".into(),
            domains: vec!["*".into()],
            routes: vec![route("", "greeter")],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A route with a value in every field that is read.
pub(in crate::resource) fn full() -> RouteConfiguration {
    let mut config = simple();
    let host = &mut config.virtual_hosts[0];
    let mut route = route("/a", "greeter");
    let matches = route.r#match.as_mut().expect("a sample route has a match");
    matches.headers = vec![HeaderMatcher {
        name: "x-user".into(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    }];
    matches.runtime_fraction = Some(RuntimeFractionalPercent {
        default_value: Some(FractionalPercent { numerator: 50, denominator: 0 }),
        ..Default::default()
    });
    let retry = RetryPolicy {
        retry_on: "unavailable".into(),
        retry_back_off: Some(RetryBackOff { base_interval: millis(10), max_interval: seconds(1) }),
        ..Default::default()
    };
    let action = forward(&mut route);
    action.cluster_specifier = weighted(vec![weight("v1", 9), weight("v2", 1)]);
    action.retry_policy = Some(retry.clone());
    action.max_stream_duration =
        Some(MaxStreamDuration { max_stream_duration: seconds(5), ..Default::default() });
    action.hash_policy = vec![HashPolicy {
        policy_specifier: Some(PolicySpecifier::Header(Header {
            header_name: "x-user".into(),
            regex_rewrite: Some(RegexMatchAndSubstitute {
                pattern: Some(regex("(.)(.)")),
                substitution: "\\2".into(),
            }),
        })),
        ..Default::default()
    }];
    host.routes.insert(0, route);
    host.retry_policy = Some(retry);
    config
}
