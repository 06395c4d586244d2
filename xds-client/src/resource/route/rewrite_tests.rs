//! Rewrites of paths and authorities.

use http::HeaderName;
use mesh_core::config::{HostRewrite, PathRewrite, RegexRewrite, Rewrite, RouteAction};
use mesh_core::policy::matcher::CapturingRegex;
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HostRewriteSpecifier};
use xds_proto::envoy::config::route::v3::weighted_cluster::cluster_weight;
use xds_proto::envoy::config::route::v3::{RouteAction as ProtoAction, RouteConfiguration as Config};
use xds_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use super::action_tests::{action, forwarded};
use super::samples::{regex, simple, weight, weighted};
use super::*;
use crate::resource::testing::{Row, check, decode};

fn replacing(pattern: &str, substitution: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute { pattern: Some(regex(pattern)), substitution: substitution.into() }
}

const REWRITES: &[Row<Config>] = &[
    (
        "RT-60 two",
        |m| {
            action(m).prefix_rewrite = "/a".into();
            action(m).regex_rewrite = Some(replacing("a", "b"));
        },
        Err(("virtual_hosts[0].routes[0].route.regex_rewrite", "must not be set beside prefix_rewrite")),
    ),
    (
        "RT-60 policy",
        |m| action(m).path_rewrite_policy = Some(TypedExtensionConfig::default()),
        Err(("virtual_hosts[0].routes[0].route.path_rewrite_policy", "is not supported")),
    ),
    (
        "RT-60 format",
        |m| action(m).path_rewrite = "/%REQ(x)%".into(),
        Err(("virtual_hosts[0].routes[0].route.path_rewrite", "is not supported")),
    ),
    (
        "RT-61 no pattern",
        |m| action(m).regex_rewrite = Some(RegexMatchAndSubstitute::default()),
        Err(("virtual_hosts[0].routes[0].route.regex_rewrite.pattern", "must be set")),
    ),
    (
        "RT-61 no such group",
        |m| action(m).regex_rewrite = Some(replacing("(a)", "\\2")),
        Err(("virtual_hosts[0].routes[0].route.regex_rewrite.substitution", "the number of a group")),
    ),
    (
        "RT-62 no authority",
        |m| {
            let host = HostRewriteSpecifier::HostRewriteLiteral("a b".into());
            action(m).host_rewrite_specifier = Some(host);
        },
        Err(("virtual_hosts[0].routes[0].route.host_rewrite_literal", "not a valid authority")),
    ),
    (
        "RT-62 no header",
        |m| {
            let host = HostRewriteSpecifier::HostRewriteHeader("a b".into());
            action(m).host_rewrite_specifier = Some(host);
        },
        Err(("virtual_hosts[0].routes[0].route.host_rewrite_header", "")),
    ),
    (
        "RT-62 format",
        |m| {
            let host = HostRewriteSpecifier::HostRewrite("%REQ(x)%".into());
            action(m).host_rewrite_specifier = Some(host);
        },
        Err(("virtual_hosts[0].routes[0].route.host_rewrite", "is not supported")),
    ),
];

#[test]
fn rewrites_that_cannot_be_followed_are_refused() {
    check(&RouteConfigurationType, &simple(), REWRITES);
}

#[test]
fn paths_are_rewritten_by_prefix_or_expression() {
    let path = |change: fn(&mut ProtoAction)| forwarded(change).rewrite.path;
    assert_eq!(path(|_| {}), None);
    let prefix = path(|action| action.prefix_rewrite = "/new".into());
    assert_eq!(prefix, Some(PathRewrite::Prefix("/new".to_owned())));
    let expression = path(|action| action.regex_rewrite = Some(replacing("/(.*)", "\\1$")));
    let expected = RegexRewrite::new(CapturingRegex::new("/(.*)").unwrap(), "${1}$$");
    assert_eq!(expression, Some(PathRewrite::Regex(expected)));
}

fn rewrite_from(
    trusted_server: bool,
    change: impl FnOnce(&mut ProtoAction),
) -> (Rewrite, Option<HostRewrite>) {
    let mut config = simple();
    change(action(&mut config));
    let context = DecodeContext { trusted_server, ..Default::default() };
    let config = decode::<RouteConfiguration>(&RouteConfigurationType, &context, &config).unwrap();
    let RouteAction::Forward(forward) = &config.virtual_hosts[0].routes[0].action else {
        panic!("it forwards")
    };
    let of_cluster = match &forward.clusters {
        mesh_core::config::ClusterChoice::Weighted(entries) => entries[0].host.clone(),
        _ => None,
    };
    (forward.rewrite.clone(), of_cluster)
}

/// A server that is not trusted cannot send calls to another service than the application has named.
#[test]
fn authorities_are_rewritten_for_trusted_servers_only() {
    let literal = || HostRewrite::Literal("new.test".parse().unwrap());
    let name = HeaderName::from_static("x-host");
    let expression = RegexRewrite::new(CapturingRegex::new("/(.*)/").unwrap(), "${1}");
    let rows = [
        (HostRewriteSpecifier::HostRewriteLiteral("new.test".into()), Some(literal())),
        (HostRewriteSpecifier::HostRewriteLiteral(String::new()), None),
        (HostRewriteSpecifier::HostRewriteHeader("X-Host".into()), Some(HostRewrite::Header(name))),
        (
            HostRewriteSpecifier::HostRewritePathRegex(replacing("/(.*)/", "\\1")),
            Some(HostRewrite::Path(expression)),
        ),
    ];
    for (specifier, expected) in rows {
        for trusted in [true, false] {
            let specifier = Some(specifier.clone());
            let (rewrite, _) = rewrite_from(trusted, |action| {
                action.host_rewrite_specifier = specifier;
                action.append_x_forwarded_host = true;
            });
            assert_eq!(rewrite.host, expected.clone().filter(|_| trusted));
            assert!(rewrite.append_forwarded_host);
        }
    }
    for trusted in [true, false] {
        let (_, of_cluster) = rewrite_from(trusted, |action| {
            let mut cluster = weight("a", 1);
            let host = cluster_weight::HostRewriteSpecifier::HostRewriteLiteral("new.test".into());
            cluster.host_rewrite_specifier = Some(host);
            action.cluster_specifier = weighted(vec![cluster]);
        });
        assert_eq!(of_cluster, trusted.then(literal));
    }
    let cluster = ClusterSpecifier::Cluster("a".into());
    let (none, _) = rewrite_from(true, |action| action.cluster_specifier = Some(cluster));
    assert!(none.is_none());
}
