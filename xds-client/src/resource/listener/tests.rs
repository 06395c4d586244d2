//! Listeners of clients, and HTTP filters on both sides.

use prost::Name as _;
use serde_json::json;
use xds_proto::envoy::config::core::v3::{ExtensionConfigSource, HttpProtocolOptions, TypedExtensionConfig};
use xds_proto::envoy::config::route::v3::{RouteConfiguration as ProtoRoutes, VirtualHost};
use xds_proto::envoy::extensions::filters::http::header_mutation::v3::HeaderMutationPerRoute;
use xds_proto::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager as Manager, HttpFilter, Rds, ScopedRoutes,
};
use xds_proto::google::protobuf::{Any, Duration as ProtoDuration};

use super::samples::{api, api_around, http_filter, manager, router, socket};
use super::*;
use crate::resource::testing::{
    OK, Row, ads, bool_value, broken_any, check, decode, elsewhere, from_self, pack_any, seconds,
    typed_struct, unknown_any,
};

/// Runs a table over connection managers, inside a client's listener and inside a server's.
#[track_caller]
fn check_managers(rows: &[Row<Manager>]) {
    const CLIENT: &str = "api_listener.api_listener";
    const SERVER: &str = "filter_chains[0].filters[0].typed_config";
    for (row, change, expected) in rows {
        let mut changed = manager();
        change(&mut changed);
        let mut server = socket();
        server.filter_chains[0].filters[0] =
            super::samples::network_filter("http", pack_any(changed.clone()));
        for (side, listener) in [(CLIENT, api_around(changed)), (SERVER, server)] {
            let result = decode::<Listener>(&ListenerType, &DecodeContext::default(), &listener);
            match (result, expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err((field, reason))) => {
                    let field = if field.is_empty() { side.to_owned() } else { format!("{side}.{field}") };
                    assert_eq!(error.field, field, "{row}: {error}");
                    assert!(error.reason.contains(reason), "{row}: {error}");
                }
                (result, expected) => panic!("{row}: {result:?}, expected {expected:?}"),
            }
        }
    }
}

fn decoded(listener: &proto::Listener) -> Listener {
    (*decode::<Listener>(&ListenerType, &DecodeContext::default(), listener).unwrap()).clone()
}

fn limit(duration: Option<ProtoDuration>) -> Option<HttpProtocolOptions> {
    Some(HttpProtocolOptions { max_stream_duration: duration, ..Default::default() })
}

const SIDES: &[Row<proto::Listener>] = &[
    ("good", |_| {}, OK),
    ("LDS-01 server rules do not apply", |m| m.use_original_dst = bool_value(true), OK),
    ("LDS-01 without it they do", |m| m.api_listener = None, Err(("address", "must be set"))),
    (
        "LDS-02 unset",
        |m| m.api_listener = Some(proto::ApiListener::default()),
        Err(("api_listener.api_listener", "must be set")),
    ),
    (
        "LDS-02 another type",
        |m| m.api_listener = Some(proto::ApiListener { api_listener: Some(unknown_any()) }),
        Err(("api_listener.api_listener", "found \"example.Unknown\"")),
    ),
    (
        "LDS-02 broken",
        |m| {
            m.api_listener = Some(proto::ApiListener { api_listener: Some(broken_any::<Manager>()) });
        },
        Err(("api_listener.api_listener", "HttpConnectionManager: ")),
    ),
];

/// Proves: LDS-01, LDS-02.
#[test]
fn api_listener_decides_the_side() {
    check(&ListenerType, &api(), SIDES);
    assert!(matches!(decoded(&api()), Listener::Api(_)));
    assert!(matches!(decoded(&socket()), Listener::Socket(_)));
    let both = proto::Listener { api_listener: api().api_listener, ..socket() };
    assert!(matches!(decoded(&both), Listener::Api(_)));
}

const MANAGERS: &[Row<Manager>] = &[
    ("good", |_| {}, OK),
    (
        "LDS-03 self",
        |m| {
            m.route_specifier =
                Some(RouteSpecifier::Rds(Rds { config_source: from_self(), route_config_name: "r".into() }));
        },
        OK,
    ),
    ("LDS-03 unset", |m| m.route_specifier = None, Err(("", "expected rds or route_config"))),
    (
        "LDS-03 scoped",
        |m| m.route_specifier = Some(RouteSpecifier::ScopedRoutes(ScopedRoutes::default())),
        Err(("scoped_routes", "is not supported")),
    ),
    (
        "LDS-03 no source",
        |m| {
            m.route_specifier =
                Some(RouteSpecifier::Rds(Rds { config_source: None, route_config_name: "r".into() }));
        },
        Err(("rds.config_source", "must be ads or self")),
    ),
    (
        "LDS-03 another source",
        |m| {
            m.route_specifier =
                Some(RouteSpecifier::Rds(Rds { config_source: elsewhere(), route_config_name: "r".into() }));
        },
        Err(("rds.config_source", "must be ads or self")),
    ),
    (
        "LDS-03 no name",
        |m| {
            m.route_specifier = Some(RouteSpecifier::Rds(Rds { config_source: ads(), ..Default::default() }));
        },
        Err(("rds.route_config_name", "must not be empty")),
    ),
    ("LDS-03 inline", |m| m.route_specifier = Some(RouteSpecifier::RouteConfig(ProtoRoutes::default())), OK),
    (
        "LDS-03 inline and bad",
        |m| {
            let hosts = vec![VirtualHost { domains: vec![String::new()], ..Default::default() }];
            m.route_specifier =
                Some(RouteSpecifier::RouteConfig(ProtoRoutes { virtual_hosts: hosts, ..Default::default() }));
        },
        Err(("route_config.virtual_hosts[0].domains[0]", "domain \"\" is not")),
    ),
    ("LDS-04 hops", |m| m.xff_num_trusted_hops = 1, Err(("xff_num_trusted_hops", "must be 0"))),
    (
        "LDS-04 extensions",
        |m| m.original_ip_detection_extensions = vec![TypedExtensionConfig::default()],
        Err(("original_ip_detection_extensions", "must be empty")),
    ),
    ("LDS-05 limit", |m| m.common_http_protocol_options = limit(seconds(1)), OK),
    (
        "LDS-05 negative",
        |m| m.common_http_protocol_options = limit(seconds(-1)),
        Err(("common_http_protocol_options.max_stream_duration", "-1 s")),
    ),
    (
        "LDS-05 others are ignored",
        |m| {
            m.request_timeout = seconds(-1);
            m.stream_idle_timeout = seconds(-1);
        },
        OK,
    ),
];

/// Proves: LDS-03, LDS-04, LDS-05.
#[test]
fn routes_and_limits_of_connection_managers() {
    check_managers(MANAGERS);
    let read = |options| {
        let listener = api_around(Manager { common_http_protocol_options: options, ..manager() });
        let Listener::Api(api) = decoded(&listener) else { panic!("it has an api_listener") };
        assert_eq!(api.routes, RouteSource::Rds("routes".into()));
        api.max_stream_duration
    };
    assert_eq!(read(limit(seconds(7))), Some(Duration::from_secs(7)));
    assert_eq!(read(limit(seconds(0))), None);
    assert_eq!(read(limit(None)), None);
    assert_eq!(read(None), None);
    let inline = ProtoRoutes { virtual_hosts: vec![VirtualHost::default()], ..Default::default() };
    let inline = Manager { route_specifier: Some(RouteSpecifier::RouteConfig(inline)), ..manager() };
    let Listener::Api(api) = decoded(&api_around(inline)) else { panic!("it has an api_listener") };
    assert!(matches!(api.routes, RouteSource::Inline(routes) if routes.virtual_hosts.len() == 1));
}

fn optional(filter: HttpFilter) -> HttpFilter {
    HttpFilter { is_optional: true, ..filter }
}

const HTTP_FILTERS: &[Row<Manager>] = &[
    ("LDS-06 none", |m| m.http_filters.clear(), Err(("http_filters", "no filter is left"))),
    (
        "LDS-06 no name",
        |m| m.http_filters[0].name.clear(),
        Err(("http_filters[0].name", "must not be empty")),
    ),
    (
        "LDS-06 same name",
        |m| m.http_filters.insert(0, optional(http_filter("router", unknown_any()))),
        Err(("http_filters[1].name", "\"router\" is used twice")),
    ),
    (
        "LDS-06 no name and optional",
        |m| m.http_filters.insert(0, optional(http_filter("", unknown_any()))),
        Err(("http_filters[0].name", "must not be empty")),
    ),
    (
        "LDS-07 unknown",
        |m| m.http_filters.insert(0, http_filter("x", unknown_any())),
        Err((
            "http_filters[0]",
            "filter \"x\": type \"example.Unknown\" is not supported, and it is not optional",
        )),
    ),
    (
        "LDS-07 unknown and optional",
        |m| m.http_filters.insert(0, optional(http_filter("x", unknown_any()))),
        OK,
    ),
    (
        "LDS-07 unknown after the router",
        |m| m.http_filters.push(optional(http_filter("x", unknown_any()))),
        OK,
    ),
    (
        "LDS-07 no configuration",
        |m| m.http_filters[0].config_type = None,
        Err(("http_filters[0]", "typed_config is not set")),
    ),
    (
        "LDS-07 by discovery",
        |m| {
            m.http_filters[0].config_type =
                Some(ConfigType::ConfigDiscovery(ExtensionConfigSource::default()));
        },
        Err(("http_filters[0]", "typed_config is not set")),
    ),
    (
        "LDS-07 several of one type",
        |m| {
            m.http_filters.insert(0, optional(http_filter("x", unknown_any())));
            m.http_filters.insert(0, optional(http_filter("y", unknown_any())));
        },
        OK,
    ),
    (
        "LDS-08 broken",
        |m| m.http_filters[0] = http_filter("router", broken_any::<Router>()),
        Err(("http_filters[0].typed_config", "Router: ")),
    ),
    (
        "LDS-08 broken and optional",
        |m| m.http_filters[0] = optional(http_filter("r", broken_any::<Router>())),
        Err(("http_filters[0].typed_config", "Router: ")),
    ),
    (
        "LDS-09 two routers",
        |m| m.http_filters.push(router("second")),
        Err(("http_filters[0]", "only the last filter may be a router")),
    ),
    (
        "LDS-09 nothing left",
        |m| m.http_filters = vec![optional(http_filter("x", unknown_any()))],
        Err(("http_filters", "no filter is left")),
    ),
    (
        "LDS-10 override at the top",
        |m| {
            m.http_filters.insert(0, http_filter("x", pack_any(RbacPerRoute::default())));
        },
        Err(("http_filters[0].typed_config", "RBACPerRoute\" is only for overrides")),
    ),
    (
        "LDS-10 known override at the top, though optional",
        |m| {
            let config = pack_any(HeaderMutationPerRoute::default());
            m.http_filters.insert(0, optional(http_filter("x", config)));
        },
        Err(("http_filters[0].typed_config", "HeaderMutationPerRoute\" is only for overrides")),
    ),
    (
        "LDS-12 settings of the router",
        |m| {
            let settings = Router {
                suppress_envoy_headers: true,
                strict_check_headers: vec!["x".into()],
                ..Default::default()
            };
            m.http_filters[0] = http_filter("router", pack_any(settings));
        },
        OK,
    ),
];

/// Proves: LDS-06, LDS-07, LDS-08, LDS-09, LDS-10, LDS-12.
#[test]
fn http_filters() {
    check_managers(HTTP_FILTERS);
}

/// Proves: RV-05.
#[test]
fn typed_structs_are_unwrapped() {
    for package in ["xds.type.v3", "udpa.type.v1"] {
        let listener = |inner: &str| {
            let filter =
                http_filter("router", typed_struct(package, inner, json!({"start_child_span": true})));
            decode::<Listener>(
                &ListenerType,
                &DecodeContext::default(),
                &api_around(Manager { http_filters: vec![filter], ..manager() }),
            )
        };
        assert!(listener(&Router::full_name()).is_ok(), "{package}");
        let error = listener("example.Unknown").unwrap_err();
        assert!(error.reason.contains("type \"example.Unknown\" is not supported"), "{error}");
        let name = format!("{package}.TypedStruct");
        let broken = Any { type_url: format!("type.googleapis.com/{name}"), value: vec![0xff; 3] };
        let error = api_around(Manager { http_filters: vec![http_filter("router", broken)], ..manager() });
        let error = decode::<Listener>(&ListenerType, &DecodeContext::default(), &error).unwrap_err();
        assert_eq!(error.field, "api_listener.api_listener.http_filters[0].typed_config");
    }
    // This message is read field by field, so it cannot be read from JSON.
    let mut listener = api();
    let manager = typed_struct("xds.type.v3", connection_manager::TYPE, json!({}));
    listener.api_listener = Some(proto::ApiListener { api_listener: Some(manager) });
    let error = decode::<Listener>(&ListenerType, &DecodeContext::default(), &listener).unwrap_err();
    assert!(error.reason.contains("cannot be given as a TypedStruct"), "{error}");
}
