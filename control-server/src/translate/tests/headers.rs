//! Header changes.

use xds_proto::envoy::config::core::v3::HeaderValueOption;
use xds_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use xds_proto::envoy::config::route::v3::Route;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;

use super::{ORDERS, document, routes, services, translate, translate_with_diagnostics};

/// The only route of `orders` with this rule of a VirtualService.
fn rule(rule: &str) -> Route {
    let spec = format!("{{hosts: [orders], http: [{rule}]}}");
    only_route(&document("VirtualService", "orders", &spec))
}

/// The same with this rule of a GRPCRoute.
fn grpc_rule(rule: &str) -> Route {
    let spec = format!("{{parentRefs: [{{group: '', kind: Service, name: orders}}], rules: [{rule}]}}");
    only_route(&document("GRPCRoute", "orders", &spec))
}

fn only_route(text: &str) -> Route {
    let [route] = routes(&translate(&(services() + text)), ORDERS).try_into().unwrap();
    route
}

/// Changes as a line: what is removed, set and added.
fn line(added: &[HeaderValueOption], removed: &[String]) -> String {
    let removed = removed.iter().map(|name| format!("-{name}"));
    let added = added.iter().map(|option| {
        let header = option.header.as_ref().unwrap();
        let sign = match option.append_action() {
            HeaderAppendAction::OverwriteIfExistsOrAdd => "=",
            HeaderAppendAction::AppendIfExistsOrAdd => "+=",
            other => panic!("{other:?}"),
        };
        format!("{}{sign}{}", header.key, header.value)
    });
    removed.chain(added).collect::<Vec<_>>().join(" ")
}

/// The route's own changes, of requests and of responses.
fn own(route: &Route) -> [String; 2] {
    [
        line(&route.request_headers_to_add, &route.request_headers_to_remove),
        line(&route.response_headers_to_add, &route.response_headers_to_remove),
    ]
}

/// The cluster's last part, its weight and the changes of each weighted cluster.
fn of_clusters(route: &Route) -> Vec<String> {
    let Some(Action::Route(action)) = &route.action else { panic!("{:?}", route.action) };
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &action.cluster_specifier else {
        return Vec::new();
    };
    let line = |cluster: &xds_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight| {
        let request = line(&cluster.request_headers_to_add, &cluster.request_headers_to_remove);
        let response = line(&cluster.response_headers_to_add, &cluster.response_headers_to_remove);
        let subset = cluster.name.split('|').nth(2).unwrap();
        format!("{subset}*{}: {request} / {response}", cluster.weight.unwrap().value)
    };
    weighted.clusters.iter().map(line).collect()
}

#[test]
fn rule_of_virtual_service_changes_headers_of_its_route() {
    let route = rule(
        "{headers: {request: {set: {X-A: one, x-b: 100%% of it}, add: {x-a: two}, remove: [X-C]}, response: {remove: [server], \
         add: {x-d: e}}}, route: [{destination: {host: orders}}]}",
    );
    let expected = ["-x-c x-a=one x-b=100%% of it x-a+=two", "-server x-d+=e"];
    assert_eq!(own(&route), expected);
    assert_eq!(own(&rule("{route: [{destination: {host: orders}}]}")), ["", ""]);
}

#[test]
fn changes_of_the_only_destination_follow_those_of_its_rule() {
    let route = rule(
        "{headers: {request: {set: {x-a: rule}, add: {x-b: rule}, remove: [x-c]}}, route: [{destination: {host: orders}, \
         headers: {request: {set: {x-a: destination}, add: {x-c: destination}, remove: [x-b]}}}]}",
    );
    assert_eq!(own(&route), ["-x-b -x-c x-a=rule x-a=destination x-c+=destination", ""]);
}

#[test]
fn changes_of_several_destinations_stand_at_their_clusters_together_with_those_of_the_rule() {
    let destination = |subset: &str, headers: &str| {
        format!("{{destination: {{host: orders, subset: {subset}}}, weight: 50, headers: {{{headers}}}}}")
    };
    let split = |one: &str, other: &str| {
        rule(&format!(
            "{{headers: {{request: {{set: {{x-a: rule}}}}}}, route: [{}, {}]}}",
            destination("v1", one),
            destination("v2", other)
        ))
    };
    let route = split("request: {add: {x-b: one}}", "response: {set: {x-c: two}}");
    assert_eq!(own(&route), ["", ""]);
    assert_eq!(of_clusters(&route), ["v1*50: x-a=rule x-b+=one / ", "v2*50: x-a=rule / x-c=two"]);

    let route = split("response: {remove: [x-c]}", "response: {remove: [x-c]}");
    assert_eq!(own(&route), ["x-a=rule", "-x-c"], "what all have in common stands at the route");
    assert_eq!(of_clusters(&route), ["v1*50:  / ", "v2*50:  / "]);
}

#[test]
fn one_subset_with_different_headers_keeps_both_shares() {
    let to = |weight: u32, value: &str| {
        format!(
            "{{destination: {{host: orders, subset: v1}}, weight: {weight}, headers: {{request: {{set: {{x-a: {value}}}}}}}}}"
        )
    };
    let route = rule(&format!("{{route: [{}, {}, {}]}}", to(20, "one"), to(70, "two"), to(10, "one")));
    assert_eq!(of_clusters(&route), ["v1*30: x-a=one / ", "v1*70: x-a=two / "]);
}

#[test]
fn modifiers_of_grpc_routes_change_headers() {
    let route = grpc_rule(
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: 50%}], remove: [x-b]}}, \
         {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-c, value: d}]}}], backendRefs: [{name: orders}]}",
    );
    assert_eq!(own(&route), ["-x-b x-a=50%%", "x-c+=d"], "values mean themselves");

    let route = grpc_rule(
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: rule}]}}], backendRefs: \
         [{name: orders}, {name: users, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: \
         [{name: x-a, value: backend}]}}]}]}",
    );
    assert_eq!(own(&route), ["", ""]);
    assert_eq!(of_clusters(&route), ["*1: x-a=rule / ", "*1: x-a=rule x-a=backend / "]);
}

#[test]
fn first_of_equal_names_counts_in_grpc_routes() {
    let spec = "{parentRefs: [{group: '', kind: Service, name: orders}], rules: [{filters: [{type: RequestHeaderModifier, \
                requestHeaderModifier: {add: [{name: x-a, value: one}, {name: X-A, value: two}]}}], backendRefs: [{name: \
                orders}]}]}";
    let (resources, diagnostics) =
        translate_with_diagnostics(&(services() + &document("GRPCRoute", "orders", spec)));
    assert_eq!(own(&routes(&resources, ORDERS)[0]), ["x-a+=one", ""]);
    let told = diagnostics.iter().find(|one| one.field.ends_with("requestHeaderModifier.add[1].name"));
    assert!(told.is_some_and(|one| one.message.contains("ignored")), "{diagnostics:?}");
}

#[test]
fn authority_among_headers_is_ignored_with_a_warning() {
    let spec = "{hosts: [orders], http: [{headers: {request: {set: {':authority': a.b, x-a: c}}}, route: [{destination: \
                {host: orders}}]}]}";
    let (resources, diagnostics) =
        translate_with_diagnostics(&(services() + &document("VirtualService", "orders", spec)));
    assert_eq!(own(&routes(&resources, ORDERS)[0]), ["x-a=c", ""]);
    let told = diagnostics.iter().find(|one| one.field == "spec.http[0].headers.request.set[\":authority\"]");
    assert!(told.is_some_and(|one| one.message.contains("the authority stays")), "{diagnostics:?}");
}

#[test]
fn headers_of_a_delegate_win_over_those_of_the_rule_that_delegates() {
    let delegate = |headers: &str| {
        let spec = format!("{{http: [{{{headers} route: [{{destination: {{host: orders}}}}]}}]}}");
        let root =
            "{hosts: [orders], http: [{headers: {request: {set: {x-a: root}}}, delegate: {name: part}}]}";
        only_route(&(document("VirtualService", "part", &spec) + &document("VirtualService", "orders", root)))
    };
    assert_eq!(own(&delegate("")), ["x-a=root", ""]);
    assert_eq!(own(&delegate("headers: {request: {set: {x-b: part}}},")), ["x-b=part", ""]);
}
