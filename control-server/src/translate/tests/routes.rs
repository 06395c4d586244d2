use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{HeaderMatcher, Route, RouteAction};
use xds_proto::google::protobuf::Duration;

use super::{ORDERS, document, routes, services, translate, translate_with_diagnostics};

/// The routes of `orders` with this `http`.
fn http(http: &str) -> Vec<Route> {
    let spec = format!("{{hosts: [orders], http: [{http}]}}");
    routes(&translate(&(services() + &document("VirtualService", "orders", &spec))), ORDERS)
}

fn one(text: &str) -> RouteAction {
    let [route] = http(text).try_into().unwrap();
    action(&route)
}

pub(super) fn action(route: &Route) -> RouteAction {
    match &route.action {
        Some(Action::Route(action)) => action.clone(),
        other => panic!("{other:?}"),
    }
}

/// `subset*weight` of each cluster of `orders`; a whole name for another service's.
pub(super) fn split(action: &RouteAction) -> String {
    let short = |name: &str| match name.strip_suffix("|orders.shop.svc.cluster.local") {
        Some(rest) => rest.trim_start_matches("outbound|80|").to_owned(),
        None => name.to_owned(),
    };
    match action.cluster_specifier.as_ref().unwrap() {
        ClusterSpecifier::Cluster(name) => short(name),
        ClusterSpecifier::WeightedClusters(weighted) => {
            let parts = weighted.clusters.iter();
            let parts = parts.map(|one| format!("{}*{}", short(&one.name), one.weight.unwrap().value));
            parts.collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    }
}

/// A route's match as a line.
pub(super) fn matches(route: &Route) -> String {
    let one = route.r#match.as_ref().unwrap();
    let path = match one.path_specifier.as_ref().unwrap() {
        PathSpecifier::Prefix(text) => format!("prefix {text}"),
        PathSpecifier::Path(text) => format!("path {text}"),
        PathSpecifier::SafeRegex(regex) => format!("regex {}", regex.regex),
        other => panic!("{other:?}"),
    };
    let case = if one.case_sensitive.is_some_and(|case| !case.value) { " any case" } else { "" };
    let headers: Vec<String> = one.headers.iter().map(header).collect();
    format!("{path}{case}{}", headers.concat())
}

#[expect(deprecated, reason = "the fields that every version of every client reads")]
fn header(header: &HeaderMatcher) -> String {
    let specifier = match header.header_match_specifier.as_ref().unwrap() {
        HeaderMatchSpecifier::PresentMatch(true) => "present".to_owned(),
        HeaderMatchSpecifier::ExactMatch(text) => format!("= {text}"),
        HeaderMatchSpecifier::PrefixMatch(text) => format!("^ {text}"),
        HeaderMatchSpecifier::SafeRegexMatch(regex) => format!("~ {}", regex.regex),
        other => panic!("{other:?}"),
    };
    format!("; {}{} {specifier}", if header.invert_match { "not " } else { "" }, header.name)
}

const TO_ORDERS: &str = "route: [{destination: {host: orders}}]";

#[test]
fn service_without_routes_sends_everything_everywhere() {
    let [route] = routes(&translate(&services()), ORDERS).try_into().unwrap();
    assert_eq!(matches(&route), "prefix /");
    let action = action(&route);
    assert_eq!(split(&action), "");
    let retry = action.retry_policy.unwrap();
    assert_eq!(
        (retry.retry_on.as_str(), retry.num_retries.unwrap().value),
        ("unavailable,cancelled", 2),
        "Istio's default"
    );
    assert_eq!(action.max_stream_duration, None);
}

#[test]
fn route_matches_are_translated() {
    let cases = [
        ("{}", "prefix /"),
        ("{uri: {exact: /a.B/C}}", "path /a.B/C"),
        ("{uri: {prefix: /a.B}}", "prefix /a.B"),
        ("{uri: {regex: '/a.*'}}", "regex /a.*"),
        ("{uri: {exact: /a.B/C}, ignoreUriCase: true}", "path /a.B/C any case"),
        ("{uri: {prefix: /a}, ignoreUriCase: true}", "prefix /a any case"),
        ("{uri: {regex: /a}, ignoreUriCase: true}", "regex /a"),
        ("{headers: {X-User: {exact: bob}}}", "prefix /; x-user = bob"),
        ("{headers: {x-user: {exact: ''}}}", "prefix /; x-user ~ ^$"),
        ("{headers: {x-user: {prefix: b}}}", "prefix /; x-user ^ b"),
        ("{headers: {x-user: {regex: 'b.b'}}}", "prefix /; x-user ~ b.b"),
        ("{headers: {x-user: {}}}", "prefix /; x-user present"),
        ("{headers: {b: {exact: x}, a: {exact: y}}}", "prefix /; a = y; b = x"),
        ("{withoutHeaders: {x-user: {}}}", "prefix /; not x-user present"),
        ("{authority: {exact: orders}}", "prefix /; :authority = orders"),
        ("{method: {exact: POST}}", "prefix /"),
        ("{port: 80}", "prefix /"),
    ];
    for (text, expected) in cases {
        let found: Vec<String> =
            http(&format!("{{match: [{text}], {TO_ORDERS}}}")).iter().map(matches).collect();
        assert_eq!(found, [expected], "{text}");
    }
}

#[test]
fn header_that_must_not_have_a_value_may_be_missing() {
    let text = "{match: [{uri: {prefix: /a}, withoutHeaders: {a: {exact: x}, b: {prefix: y}}}], ";
    let found: Vec<String> = http(&format!("{text}{TO_ORDERS}}}")).iter().map(matches).collect();
    let expected = [
        "prefix /a; not a present; not b present",
        "prefix /a; not a present; not b ^ y",
        "prefix /a; not a = x; not b present",
        "prefix /a; not a = x; not b ^ y",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_match_of_a_rule_is_a_route_in_order() {
    let text = format!(
        "{{name: first, match: [{{name: a, uri: {{prefix: /a}}}}, {{uri: {{prefix: /b}}}}], {TO_ORDERS}}}, \
         {{match: [{{scheme: {{exact: https}}}}, {{sourceNamespace: a}}, {{gateways: [edge]}}, {{method: {{exact: GET}}}}], \
         {TO_ORDERS}}}, {{{TO_ORDERS}}}"
    );
    let found: Vec<(String, String)> =
        http(&text).iter().map(|route| (route.name.clone(), matches(route))).collect();
    let expected = [("first.a", "prefix /a"), ("first", "prefix /b"), ("", "prefix /")];
    assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn weights_split_calls() {
    let to = |parts: &[(&str, u32)]| {
        let parts: Vec<String> = parts
            .iter()
            .map(|(subset, weight)| {
                format!("{{destination: {{host: orders, subset: {subset}}}, weight: {weight}}}")
            })
            .collect();
        split(&one(&format!("{{route: [{}]}}", parts.join(", "))))
    };
    assert_eq!(to(&[("v1", 90), ("v2", 10)]), "v1*90 v2*10");
    assert_eq!(to(&[("v1", 0), ("v2", 3)]), "v2", "a destination without a weight is left out");
    assert_eq!(to(&[("v1", 0)]), "v1", "a single destination needs no weight");
    assert_eq!(to(&[("v1", 1), ("v2", 1), ("v1", 2)]), "v1*3 v2*1");
}

#[test]
fn destinations_name_ports_as_far_as_needed() {
    let cluster =
        |destination: &str| split(&one(&format!("{{route: [{{destination: {{{destination}}}}}]}}")));
    assert_eq!(
        cluster("host: users"),
        "outbound|80||users.shop.svc.cluster.local",
        "the port that was called"
    );
    assert_eq!(cluster("host: users, port: {number: 81}"), "outbound|81||users.shop.svc.cluster.local");
    assert_eq!(cluster("host: orders.shop.svc.cluster.local"), "");
    assert_eq!(cluster("host: orders.shop"), "");
    let spec = format!(
        "{{hosts: [users], http: [{{match: [{{port: 81}}], {TO_ORDERS}}}, {{route: [{{destination: {{host: users}}}}]}}]}}"
    );
    let resources = translate(&(services() + &document("VirtualService", "users", &spec)));
    let of_port = |port| routes(&resources, &format!("outbound|{port}||users.shop.svc.cluster.local"));
    assert_eq!(of_port(80).len(), 1);
    assert_eq!(of_port(81).len(), 2);
    assert_eq!(split(&action(&of_port(81)[0])), "", "a service with one port has that one");
    assert_eq!(split(&action(&of_port(81)[1])), "outbound|81||users.shop.svc.cluster.local");
}

#[test]
fn timeout_limits_the_whole_call() {
    let timeout = |text: &str| {
        let action = one(&format!("{{timeout: {text}, {TO_ORDERS}}}"));
        // Envoy alone reads it, and would take 15 s.
        assert_eq!(action.timeout, Some(Duration::default()));
        action.max_stream_duration.map(|limit| limit.max_stream_duration.unwrap())
    };
    assert_eq!(timeout("1.5s"), Some(Duration { seconds: 1, nanos: 500_000_000 }));
    assert_eq!(timeout("0s"), None);
    assert_eq!(one(&format!("{{{TO_ORDERS}}}")).max_stream_duration, None);
}

#[test]
fn retries_are_for_the_codes_that_grpc_clients_know() {
    let cases = [
        ("", Some((2, "unavailable,cancelled"))),
        ("retries: {attempts: 0},", None),
        ("retries: {retryOn: unavailable},", None),
        ("retries: {attempts: 3},", Some((3, "unavailable,cancelled"))),
        ("retries: {attempts: 1, retryOn: 'internal, Unavailable,5xx'},", Some((1, "internal,unavailable"))),
        (
            "retries: {attempts: 1, retryOn: 'deadline-exceeded,resource-exhausted,cancelled'},",
            Some((1, "deadline-exceeded,resource-exhausted,cancelled")),
        ),
        ("retries: {attempts: 1, retryOn: 5xx},", Some((1, "unavailable"))),
        (
            "retries: {attempts: 1, retryOn: 'gateway-error,connect-failure,refused-stream'},",
            Some((1, "unavailable")),
        ),
        ("retries: {attempts: 1, retryOn: retriable-4xx},", None),
    ];
    for (text, expected) in cases {
        let found = one(&format!("{{{text} {TO_ORDERS}}}")).retry_policy;
        let found = found.map(|policy| (policy.num_retries.unwrap().value, policy.retry_on));
        assert_eq!(found, expected.map(|(retries, on)| (retries, on.to_owned())), "{text}");
    }
    let backoff = |text: &str| {
        let policy = one(&format!("{{retries: {{attempts: 1{text}}}, {TO_ORDERS}}}")).retry_policy.unwrap();
        policy.retry_back_off.map(|backoff| (backoff.base_interval.unwrap(), backoff.max_interval.unwrap()))
    };
    assert_eq!(backoff(""), None);
    let milliseconds = |value: i32| Duration { seconds: 0, nanos: value * 1_000_000 };
    assert_eq!(backoff(", backoff: 30ms"), Some((milliseconds(30), milliseconds(300))));
}

#[test]
fn hashed_destination_gives_its_header_to_the_route() {
    let rule = "{host: users, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: X-User}}}}";
    let spec = "{hosts: [orders], http: [{route: [{destination: {host: users}}]}]}";
    let text = services()
        + &document("DestinationRule", "users", rule)
        + &document("VirtualService", "orders", spec);
    let resources = translate(&text);
    for name in [ORDERS, "outbound|80||users.shop.svc.cluster.local"] {
        let [route] = routes(&resources, name).try_into().unwrap();
        let [policy] = action(&route).hash_policy.try_into().unwrap();
        assert!(
            matches!(policy.policy_specifier, Some(PolicySpecifier::Header(header)) if header.header_name == "x-user")
        );
    }
}

#[test]
fn unsupported_actions_fail_matching_calls() {
    for (text, status) in [("{directResponse: {status: 418}}", 418), ("{directResponse: {status: 503}}", 503)]
    {
        let [route] = http(text).try_into().unwrap();
        assert!(matches!(route.action, Some(Action::DirectResponse(response)) if response.status == status));
    }
}

#[test]
fn delegates_rules_hold_within_the_delegating_rule() {
    let root = "{hosts: [orders], http: [
        {match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}], timeout: 3s, delegate: {name: child}},
        {route: [{destination: {host: orders, subset: v2}}]}]}";
    let child = "{http: [
        {match: [{uri: {exact: /a/B}}, {headers: {z: {}}}], timeout: 9s, route: [{destination: {host: orders, subset: v1}}]},
        {route: [{destination: {host: orders}}]}]}";
    let text = services()
        + &document("VirtualService", "orders", root)
        + &document("VirtualService", "child", child);
    let found = routes(&translate(&text), ORDERS);
    let lines: Vec<String> =
        found.iter().map(|route| format!("{} -> {}", matches(route), split(&action(route)))).collect();
    let expected = [
        "path /a/B; x = y -> v1",
        "prefix /a; x = y; z present -> v1",
        "prefix /a; x = y -> ",
        "prefix / -> v2",
    ];
    assert_eq!(lines, expected);
    let limit = |route| action(route).max_stream_duration.unwrap().max_stream_duration.unwrap().seconds;
    assert_eq!(limit(&found[0]), 9, "the delegate's own");
    assert_eq!(limit(&found[2]), 3, "the delegating rule's, where the delegate has none");

    // Of a delegate's routes only those count that are within the delegating rule.
    let text = text.replace("{exact: /a/B}}, {headers: {z: {}}}]", "{exact: /b/B}}]");
    let (resources, diagnostics) = translate_with_diagnostics(&text);
    let lines: Vec<String> = routes(&resources, ORDERS).iter().map(matches).collect();
    assert_eq!(lines, ["prefix /a; x = y", "prefix /"]);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].field, "spec.http[0].delegate");
    assert!(
        diagnostics[0]
            .message
            .contains("spec.http[0] of the delegate has no effect here: its uri is not a part"),
        "{}",
        diagnostics[0]
    );
}

fn grpc_route(name: &str, rules: &str) -> String {
    let spec = format!("{{parentRefs: [{{group: '', kind: Service, name: orders}}], rules: [{rules}]}}");
    document("GRPCRoute", name, &spec)
}

#[test]
fn grpc_methods_become_paths() {
    let cases = [
        ("{method: {service: a.B, method: C}}", "path /a.B/C"),
        ("{method: {service: a.B}}", "prefix /a.B/"),
        ("{method: {method: C}}", "regex /[^/]+/C"),
        ("{method: {type: RegularExpression, service: 'a.*', method: 'C|D'}}", "regex /(?:a.*)/(?:C|D)"),
        ("{method: {type: RegularExpression, service: 'a.*'}}", "regex /(?:a.*)/[^/]+"),
        (
            "{headers: [{name: X, value: y}, {type: RegularExpression, name: z, value: '.*'}]}",
            "prefix /; x = y; z ~ .*",
        ),
        ("{}", "prefix /"),
    ];
    for (one, expected) in cases {
        let text =
            services() + &grpc_route("a", &format!("{{matches: [{one}], backendRefs: [{{name: orders}}]}}"));
        let found: Vec<String> = routes(&translate(&text), ORDERS).iter().map(matches).collect();
        assert_eq!(found, [expected], "{one}");
    }
}

#[test]
fn most_specific_grpc_match_wins_over_all_objects() {
    let backend = "backendRefs: [{name: orders}]";
    let text = services()
        + &grpc_route("b", &format!("{{matches: [{{}}, {{method: {{service: a.B}}}}], {backend}}}"))
        + &grpc_route(
            "a",
            &format!(
                "{{matches: [{{headers: [{{name: x, value: y}}]}}, {{method: {{service: a.B, method: C}}}}, {{method: \
                 {{service: a.B, method: C}}, headers: [{{name: x, value: y}}]}}, {{method: {{service: longer.B}}}}], {backend}}}"
            ),
        );
    let found: Vec<String> = routes(&translate(&text), ORDERS).iter().map(matches).collect();
    let expected = [
        "prefix /longer.B/",
        "path /a.B/C; x = y",
        "path /a.B/C",
        "prefix /a.B/",
        "prefix /; x = y",
        "prefix /",
    ];
    assert_eq!(found, expected);
}

#[test]
fn unmatched_calls_have_no_route_where_a_grpc_route_is_attached() {
    let rule = "{matches: [{method: {service: a.B}}], backendRefs: [{name: orders, weight: 3}, {name: users, port: 81}]}";
    let text = services() + &grpc_route("a", rule);
    let [route] = routes(&translate(&text), ORDERS).try_into().unwrap();
    assert_eq!(matches(&route), "prefix /a.B/");
    let action = action(&route);
    assert_eq!(split(&action), "*3 outbound|81||users.shop.svc.cluster.local*1");
    assert_eq!((action.retry_policy, action.max_stream_duration), (None, None));
}

#[test]
fn grpc_route_wins_over_a_virtual_service_and_says_so() {
    let spec = format!("{{hosts: [orders], http: [{{{TO_ORDERS}}}]}}");
    let rule = "{matches: [{method: {service: a.B}}], backendRefs: [{name: orders}]}";
    let text = services() + &document("VirtualService", "orders", &spec) + &grpc_route("a", rule);
    let (resources, diagnostics) = translate_with_diagnostics(&text);
    assert_eq!(matches(&routes(&resources, ORDERS)[0]), "prefix /a.B/");
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics[0].message.starts_with("Conflicted: GRPCRoute shop/a"), "{}", diagnostics[0]);
    assert_eq!(diagnostics[0].field, "spec.hosts");
}

#[test]
fn rule_without_a_backend_fails_its_calls() {
    let text = services() + &grpc_route("a", "{backendRefs: [{name: orders, weight: 0}]}");
    let [route] = routes(&translate(&text), ORDERS).try_into().unwrap();
    assert!(matches!(route.action, Some(Action::DirectResponse(response)) if response.status == 500));
}

#[test]
fn first_written_of_two_objects_for_one_host_counts_whatever_time_it_names() {
    let with_time = |name: &str, subset: &str, time: &str| {
        let spec = format!(
            "{{hosts: [orders], http: [{{route: [{{destination: {{host: orders, subset: {subset}}}}}]}}]}}"
        );
        let created = format!("metadata: {{creationTimestamp: '{time}', ");
        document("VirtualService", name, &spec).replace("metadata: {", &created)
    };
    for time in ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"] {
        let text = services() + &with_time("b", "v2", "2026-01-01T00:00:00Z") + &with_time("a", "v1", time);
        let (resources, diagnostics) = translate_with_diagnostics(&text);
        assert_eq!(split(&action(&routes(&resources, ORDERS)[0])), "v2", "{time}");
        assert_eq!(diagnostics.len(), 1);
        assert_eq!(diagnostics[0].object, "VirtualService shop/a");
        assert!(diagnostics[0].message.starts_with("Conflicted: VirtualService shop/b"));
    }
}

#[test]
fn grpc_backend_is_found_by_host_or_by_the_name_of_its_service_entry() {
    let web = "{hosts: [web.example], resolution: DNS, ports: [{number: 443, name: a}]}";
    for name in ["web", "web.example"] {
        let text = services()
            + &document("ServiceEntry", "web", web)
            + &grpc_route("a", &format!("{{backendRefs: [{{name: {name}, port: 443}}]}}"));
        let [route] = routes(&translate(&text), ORDERS).try_into().unwrap();
        assert_eq!(split(&action(&route)), "outbound|443||web.example", "{name}");
    }
}
