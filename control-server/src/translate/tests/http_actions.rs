//! Timeouts, retries and browsers of an `HTTPRoute`, for each family of clients.

use prost::Message;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::{FilterConfig, Route, RouteAction, RouteConfiguration};
use xds_proto::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use xds_proto::google::protobuf::Duration;

use super::http_routes::services;
use super::{LoadReporting, Plane, document};
use crate::resources::{ClientScope, ResourceKind, ResourceSet};
use crate::state::ClientFamily::{self, Envoy, Grpc, MeshTonic};
use crate::state::Code;

const ALL: [ClientFamily; 3] = [Grpc, MeshTonic, Envoy];

/// What is served with one rule for `echo`.
fn with_rule(fields: &str) -> ResourceSet {
    let spec = format!("{{parentRefs: [{{group: '', kind: Service, name: echo}}], rules: [{{{fields}}}]}}");
    Plane::new(LoadReporting::Off).read(&(services() + &document("HTTPRoute", "echo", &spec)))
}

fn message<M: Message + Default>(
    set: &ResourceSet,
    kind: ResourceKind,
    name: &str,
    family: ClientFamily,
) -> M {
    let client = ClientScope { family, ..ClientScope::default() };
    M::decode(set.get_for(kind.into(), name, &client).unwrap().bytes.clone()).unwrap()
}

fn first_route(set: &ResourceSet, family: ClientFamily) -> Route {
    let name = "outbound|80||echo.shop.svc.cluster.local";
    let routes: RouteConfiguration = message(set, ResourceKind::Route, name, family);
    routes.virtual_hosts[0].routes[0].clone()
}

/// `timeout/limit of a stream/limit of an attempt`, in seconds.
fn limits(set: &ResourceSet, family: ClientFamily) -> String {
    let Some(Action::Route(action)) = first_route(set, family).action else { panic!("no route") };
    let RouteAction { timeout, max_stream_duration, retry_policy, .. } = action;
    let stream = max_stream_duration.and_then(|limits| limits.max_stream_duration);
    let attempt = retry_policy.and_then(|policy| policy.per_try_timeout);
    let text = |one: Option<Duration>| one.map_or_else(|| "-".to_owned(), |one| one.seconds.to_string());
    [timeout, stream, attempt].map(text).join("/")
}

/// Envoy answers with 504 by its timeout of the route; other clients have one limit of a call.
#[test]
fn timeouts_are_those_that_each_family_has() {
    let backend = "backendRefs: [{name: echo-v1}]";
    let rows = [
        ("timeouts: {request: 5s}", ["0/5/-", "0/5/-", "5/-/-"]),
        ("timeouts: {request: 5s, backendRequest: 2s}", ["0/2/-", "0/2/-", "5/-/2"]),
        ("timeouts: {backendRequest: 2s}", ["0/2/-", "0/2/-", "0/-/2"]),
        ("timeouts: {request: 0s, backendRequest: 0s}", ["0/-/-", "0/-/-", "0/-/-"]),
        ("timeouts: {request: 5s, backendRequest: 2s}, retry: {attempts: 2}", ["0/5/2", "0/5/2", "5/-/2"]),
    ];
    for (fields, expected) in rows {
        let set = with_rule(&format!("{fields}, {backend}"));
        assert_eq!(ALL.map(|family| limits(&set, family)), expected, "{fields}");
    }
}

#[test]
fn retries_name_statuses_of_http_and_of_grpc() {
    let fields =
        "retry: {codes: [500, 502, 503], attempts: 3, backoff: 100ms}, backendRefs: [{name: echo-v1}]";
    let set = with_rule(fields);
    for family in ALL {
        let Some(Action::Route(action)) = first_route(&set, family).action else { panic!("no route") };
        let policy = action.retry_policy.unwrap();
        assert_eq!(
            policy.retry_on,
            "unavailable,internal,connect-failure,refused-stream,reset,retriable-status-codes"
        );
        assert_eq!(policy.retriable_status_codes, [500, 502, 503]);
        assert_eq!(policy.num_retries.unwrap().value, 3);
        assert_eq!(policy.retry_back_off.unwrap().base_interval.unwrap().nanos, 100_000_000);
    }
}

/// A client that does not know the filter would refuse a listener or a route with it.
#[test]
fn envoy_alone_answers_browsers() {
    let cors = "allowOrigins: ['https://a.example.com', 'https://*.example.org:8443'], allowMethods: [GET, PUT], allowHeaders: \
                [x-a], exposeHeaders: [x-b], allowCredentials: true";
    let set =
        with_rule(&format!("filters: [{{type: CORS, cors: {{{cors}}}}}], backendRefs: [{{name: echo-v1}}]"));
    let has_filter = |family| {
        let listener: Listener =
            message(&set, ResourceKind::Listener, "echo.shop.svc.cluster.local:80", family);
        let any = listener.api_listener.unwrap().api_listener.unwrap();
        let manager = HttpConnectionManager::decode(&*any.value).unwrap();
        manager.http_filters[0].name == NAME
    };
    assert_eq!(ALL.map(has_filter), [false, false, true]);
    let has_policy = |family| first_route(&set, family).typed_per_filter_config.contains_key(NAME);
    assert_eq!(ALL.map(has_policy), [false, false, true]);
    let config = &first_route(&set, Envoy).typed_per_filter_config[NAME];
    let config = FilterConfig::decode(&*config.value).unwrap();
    let policy = CorsPolicy::decode(&*config.config.unwrap().value).unwrap();
    let origins = format!("{:?}", policy.allow_origin_string_match);
    assert!(origins.contains(r#"Exact("https://a.example.com")"#), "{origins}");
    assert!(origins.contains(r"https://[^/:]+\\.example\\.org:8443"), "{origins}");
    assert_eq!(
        [policy.allow_methods, policy.allow_headers, policy.expose_headers, policy.max_age],
        ["GET,PUT", "x-a", "x-b", "5"]
    );
    assert!(policy.allow_credentials.unwrap().value);
}

#[test]
fn http_route_beside_a_grpc_route_is_conflicted() {
    let spec = |port: u32| {
        let parent = format!("{{group: '', kind: Service, name: echo, port: {port}}}");
        format!("{{parentRefs: [{parent}], rules: [{{backendRefs: [{{name: echo-v1}}]}}]}}")
    };
    let conflicts = |port| {
        let mut plane = Plane::new(LoadReporting::Off);
        plane.read(
            &(services() + &document("HTTPRoute", "a", &spec(80)) + &document("GRPCRoute", "b", &spec(port))),
        );
        let found = plane.diagnostics.iter().filter(|one| one.code == Code::Conflicted);
        found.map(|one| format!("{} {}: {}", one.object, one.field, one.message)).collect::<Vec<_>>()
    };
    let expected = "HTTPRoute shop/a spec.parentRefs[0]: Conflicted: GRPCRoute shop/b routes calls to port 80 of \
                    echo.shop.svc.cluster.local";
    assert_eq!(conflicts(80), [expected]);
    assert_eq!(conflicts(8080), [""; 0]);
}

/// A policy of ours says what the route does not, and overrides what it does.
#[test]
fn traffic_policy_is_attached_to_an_http_route() {
    let target = "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: echo}]";
    let policy = |fields: &str| document("TrafficPolicy", "p", &format!("{{{target}, {fields}}}"));
    let spec = "{parentRefs: [{group: '', kind: Service, name: echo}], rules: [{timeouts: {request: 5s}, backendRefs: [{name: echo-v1}]}]}";
    let text = services() + &document("HTTPRoute", "echo", spec);
    let limit = |policy: &str| limits(&Plane::new(LoadReporting::Off).read(&(text.clone() + policy)), Grpc);
    assert_eq!(limit(""), "0/5/-");
    assert_eq!(limit(&policy("overrides: {timeout: 1s}")), "0/1/-");
}

const NAME: &str = "envoy.filters.http.cors";
