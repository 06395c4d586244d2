//! Virtual hosts, plugins and overrides of filters.

use mesh_core::config::{ClusterChoice, FilterOverride, FilterOverrides, Forward, RouteAction};
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use xds_proto::envoy::config::route::v3::{
    ClusterSpecifierPlugin, FilterConfig, RouteConfiguration as Config,
};
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::google::protobuf::Any;

use super::samples::{forward, full, route, simple, weight, weighted};
use super::*;
use crate::resource::testing::{OK, Row, broken_any, check, decode, pack_any, unknown_any};

fn decoded(config: &Config) -> Arc<RouteConfiguration> {
    decode(&RouteConfigurationType, &DecodeContext::default(), config).unwrap()
}

const DOMAINS: &[Row<Config>] = &[
    ("good", |_| {}, OK),
    ("no virtual host", |m| m.virtual_hosts.clear(), OK),
    (
        "RDS-01 the second is bad",
        |m| {
            let mut second = m.virtual_hosts[0].clone();
            second.routes[0].r#match = None;
            m.virtual_hosts.push(second);
        },
        Err(("virtual_hosts[1].routes[0].match", "must be set")),
    ),
    ("RDS-02 exact", |m| m.virtual_hosts[0].domains = vec!["a.b:80".into()], OK),
    (
        "RDS-02 suffix and prefix",
        |m| m.virtual_hosts[0].domains = vec!["*.b".into(), "a.*".into(), "*".into()],
        OK,
    ),
    (
        "RDS-02 empty",
        |m| m.virtual_hosts[0].domains.push(String::new()),
        Err(("virtual_hosts[0].domains[1]", "domain \"\" is not")),
    ),
    (
        "RDS-02 in the middle",
        |m| m.virtual_hosts[0].domains.push("a*b".into()),
        Err(("virtual_hosts[0].domains[1]", "domain \"a*b\" is not")),
    ),
    (
        "RDS-02 at both ends",
        |m| m.virtual_hosts[0].domains.push("*a*".into()),
        Err(("virtual_hosts[0].domains[1]", "domain \"*a*\" is not")),
    ),
    (
        "RDS-02 twice",
        |m| m.virtual_hosts[0].domains.push("**".into()),
        Err(("virtual_hosts[0].domains[1]", "domain \"**\" is not")),
    ),
];

/// Proves: RDS-01, RDS-02.
#[test]
fn every_virtual_host_is_validated() {
    check(&RouteConfigurationType, &simple(), DOMAINS);
    let host = &decoded(&full()).virtual_hosts[0];
    assert_eq!((host.name.as_str(), &host.domains[..]), ("all", &[DomainPattern::Any][..]));
    assert_eq!(host.routes.len(), 2);
    assert!(host.retry.is_some());
}

fn plugin(name: &str, is_optional: bool) -> ClusterSpecifierPlugin {
    let extension = TypedExtensionConfig { name: name.into(), typed_config: Some(unknown_any()) };
    ClusterSpecifierPlugin { extension: Some(extension), is_optional }
}

/// Proves: RDS-12.
#[test]
fn plugins_are_declared_and_unknown_ones_optional() {
    let by_plugin = |m: &mut Config, name: &str| {
        let mut extra = route("/p", "x");
        forward(&mut extra).cluster_specifier = Some(ClusterSpecifier::ClusterSpecifierPlugin(name.into()));
        m.virtual_hosts[0].routes.insert(0, extra);
    };
    let mut skipped = simple();
    skipped.cluster_specifier_plugins = vec![plugin("p", true), plugin("unused", true)];
    by_plugin(&mut skipped, "p");
    assert_eq!(*decoded(&skipped), *decoded(&simple()));
    let mut undeclared = skipped;
    by_plugin(&mut undeclared, "q");
    let refused = |config: &Config| {
        let result = decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), config);
        let error = result.unwrap_err();
        (error.field, error.reason)
    };
    let (field, reason) = refused(&undeclared);
    assert_eq!(field, "virtual_hosts[0].routes[0].route.cluster_specifier_plugin");
    assert_eq!(reason, "\"q\" is not one of cluster_specifier_plugins");
    let mut needed = simple();
    needed.cluster_specifier_plugins = vec![plugin("unused", false)];
    let (field, reason) = refused(&needed);
    assert_eq!(field, "cluster_specifier_plugins[0].extension.typed_config");
    assert!(reason.contains("\"example.Unknown\" is not supported"), "{reason}");
    needed.cluster_specifier_plugins = vec![ClusterSpecifierPlugin::default()];
    assert_eq!(refused(&needed).0, "cluster_specifier_plugins[0].extension");
}

fn wrapped(config: Option<Any>, is_optional: bool, disabled: bool) -> Any {
    pack_any(FilterConfig { config, is_optional, disabled })
}

/// Proves: RDS-19.
#[test]
fn overrides_of_filters_are_validated_wherever_they_stand() {
    const TYPE: &str = "type \"example.Unknown\" is not supported, and it is not optional";
    type Row<'a> = (&'a str, Any, Option<(&'a str, &'a str)>);
    let rows: Vec<Row<'_>> = vec![
        ("unknown", unknown_any(), Some(("", TYPE))),
        ("wrapped", wrapped(Some(unknown_any()), false, false), Some((".config", TYPE))),
        ("optional", wrapped(Some(unknown_any()), true, false), None),
        ("wrong kind", pack_any(Router::default()), Some(("", "Router\" is not for overrides"))),
        (
            "wrong kind, optional",
            wrapped(Some(pack_any(Router::default())), true, false),
            Some((".config", "Router\" is not for overrides")),
        ),
        ("broken wrapper", broken_any::<FilterConfig>(), Some(("", "FilterConfig: "))),
        ("empty wrapper", wrapped(None, false, false), Some((".config", "must be set"))),
        ("empty optional wrapper", wrapped(None, true, false), None),
        ("RDS-20 disabled", wrapped(None, false, true), None),
    ];
    for (row, any, expected) in rows {
        let any = || [("some filter".to_owned(), any.clone())].into();
        let mut host = simple();
        host.virtual_hosts[0].typed_per_filter_config = any();
        let mut one = simple();
        one.virtual_hosts[0].routes[0].typed_per_filter_config = any();
        let mut cluster = simple();
        let mut entry = weight("a", 1);
        entry.typed_per_filter_config = any();
        forward(&mut cluster.virtual_hosts[0].routes[0]).cluster_specifier = weighted(vec![entry]);
        let places = [
            (host, "virtual_hosts[0]"),
            (one, "virtual_hosts[0].routes[0]"),
            (cluster, "virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0]"),
        ];
        for (config, place) in places {
            let result =
                decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), &config);
            match (result, expected) {
                (Ok(_), None) => {}
                (Err(error), Some((field, reason))) => {
                    let path = format!("{place}.typed_per_filter_config[\"some filter\"]{field}");
                    assert_eq!(error.field, path, "{row}");
                    assert!(error.reason.contains(reason), "{row}: {error}");
                }
                (result, expected) => panic!("{row} at {place}: {result:?}, expected {expected:?}"),
            }
        }
    }
}

/// Each level keeps its override, also after entries that are skipped.
#[test]
fn overrides_belong_to_their_level() {
    let off = || [("f".to_owned(), wrapped(None, false, true))].into();
    let mut config = full();
    let host = &mut config.virtual_hosts[0];
    host.typed_per_filter_config = off();
    let mut skipped = host.routes[0].clone();
    skipped.typed_per_filter_config = off();
    forward(&mut skipped).cluster_specifier = None;
    host.routes[1].typed_per_filter_config = off();
    let mut kept = weight("v2", 1);
    kept.typed_per_filter_config = off();
    forward(&mut host.routes[0]).cluster_specifier = weighted(vec![weight("none", 0), weight("v1", 9), kept]);
    host.routes.insert(0, skipped);
    let decoded = decoded(&config);
    let host = &decoded.virtual_hosts[0];
    let is_off = |filters: &FilterOverrides| filters.of("f") == Some(&FilterOverride::Disabled);
    assert!(is_off(&host.filters));
    assert_eq!(host.routes.iter().map(|route| is_off(&route.filters)).collect::<Vec<_>>(), [false, true]);
    let RouteAction::Forward(Forward { clusters: ClusterChoice::Weighted(clusters), .. }) =
        &host.routes[0].action
    else {
        panic!("{:?}", host.routes[0])
    };
    let found: Vec<_> = clusters.iter().map(|cluster| (&*cluster.name, is_off(&cluster.filters))).collect();
    assert_eq!(found, [("v1", false), ("v2", true)]);
}

/// Proves: RDS-03.
#[test]
fn several_virtual_hosts_may_have_the_same_domain() {
    let mut config = simple();
    config.virtual_hosts[0].domains = vec!["a".into(), "*".into(), "a".into()];
    let second = xds_proto::envoy::config::route::v3::VirtualHost {
        name: "second".into(),
        ..config.virtual_hosts[0].clone()
    };
    config.virtual_hosts.push(second);
    let names: Vec<_> = decoded(&config).virtual_hosts.iter().map(|host| host.name.clone()).collect();
    assert_eq!(names, ["all", "second"], "in order, so that the first is the best");
}

/// RV-02: a client without VHDS uses all virtual hosts of the resource.
#[test]
fn discovery_of_virtual_hosts_is_not_looked_at() {
    let vhds = Some(Default::default());
    assert_eq!(*decoded(&Config { vhds, ..simple() }), *decoded(&simple()));
}
