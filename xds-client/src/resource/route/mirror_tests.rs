//! Mirrors of requests.

use mesh_core::config::{Mirror, MirrorHost, RouteAction};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::common::mutation_rules::v3::HeaderMutation;
use xds_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use xds_proto::envoy::config::route::v3::RouteConfiguration as Config;
use xds_proto::envoy::config::route::v3::route_action::RequestMirrorPolicy;
use xds_proto::envoy::r#type::v3::FractionalPercent;

use super::action_tests::action;
use super::samples::simple;
use super::*;
use crate::resource::testing::{Row, check, decode};

fn to(cluster: &str) -> RequestMirrorPolicy {
    RequestMirrorPolicy { cluster: cluster.into(), ..Default::default() }
}

const MIRRORS: &[Row<Config>] = &[
    (
        "RT-65 no cluster",
        |m| action(m).request_mirror_policies = vec![to("a"), to("")],
        Err(("virtual_hosts[0].routes[0].route.request_mirror_policies[1].cluster", "must not be empty")),
    ),
    (
        "RT-65 by a header",
        |m| {
            let policy = RequestMirrorPolicy { cluster_header: "x".into(), ..Default::default() };
            m.virtual_hosts[0].request_mirror_policies = vec![policy];
        },
        Err(("virtual_hosts[0].request_mirror_policies[0].cluster_header", "is not supported")),
    ),
    (
        "RT-65 changes of headers",
        |m| {
            let request_headers_mutations = vec![HeaderMutation::default()];
            m.request_mirror_policies = vec![RequestMirrorPolicy { request_headers_mutations, ..to("a") }];
        },
        Err(("request_mirror_policies[0].request_headers_mutations", "is not supported")),
    ),
    (
        "RT-65 no fraction",
        |m| {
            let runtime_fraction = Some(RuntimeFractionalPercent::default());
            action(m).request_mirror_policies = vec![RequestMirrorPolicy { runtime_fraction, ..to("a") }];
        },
        Err((
            "virtual_hosts[0].routes[0].route.request_mirror_policies[0].runtime_fraction.default_value",
            "must be set",
        )),
    ),
];

#[test]
fn mirrors_that_cannot_be_followed_are_refused() {
    check(&RouteConfigurationType, &simple(), MIRRORS);
}

#[test]
fn most_specific_list_of_mirrors_that_is_not_empty_counts() {
    let mirrors = |change: fn(&mut Config)| {
        let mut config = simple();
        change(&mut config);
        let context = DecodeContext::default();
        let config = decode::<RouteConfiguration>(&RouteConfigurationType, &context, &config).unwrap();
        match &config.virtual_hosts[0].routes[0].action {
            RouteAction::Forward(forward) => forward.mirrors.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(mirrors(|_| {}), []);
    assert_eq!(mirrors(|m| m.request_mirror_policies = vec![to("a")]), [Mirror::to("a")]);
    let of_host = mirrors(|m| {
        m.request_mirror_policies = vec![to("a")];
        m.virtual_hosts[0].request_mirror_policies = vec![to("b"), to("c")];
    });
    assert_eq!(of_host, [Mirror::to("b"), Mirror::to("c")]);
    let of_route = mirrors(|m| {
        m.virtual_hosts[0].request_mirror_policies = vec![to("b")];
        let default_value = Some(FractionalPercent { numerator: 5, denominator: 0 });
        let runtime_fraction = Some(RuntimeFractionalPercent { default_value, ..Default::default() });
        let same = RequestMirrorPolicy { disable_shadow_host_suffix_append: true, ..to("d") };
        let named = RequestMirrorPolicy { host_rewrite_literal: "new.test".into(), ..to("e") };
        action(m).request_mirror_policies =
            vec![RequestMirrorPolicy { runtime_fraction, ..to("c") }, same, named];
    });
    let expected = [
        Mirror::to("c").with_fraction(Fraction::per_million(50_000)),
        Mirror::to("d").with_host(MirrorHost::Same),
        Mirror::to("e").with_host(MirrorHost::Literal("new.test".parse().unwrap())),
    ];
    assert_eq!(of_route, expected);
}
