//! What Istio and the Gateway API allow, and a mesh of gRPC clients must not refuse.

use super::routes::{action, matches, split};
use super::{ORDERS, document, routes, services, translate};

fn lines(text: &str) -> Vec<String> {
    let routes = routes(&translate(&(services() + text)), ORDERS);
    routes.iter().map(|route| format!("{} -> {}", matches(route), split(&action(route)))).collect()
}

fn virtual_service(fields: &str) -> Vec<String> {
    lines(&document("VirtualService", "orders", &format!("{{hosts: [orders], {fields}}}")))
}

#[test]
fn matches_that_hold_for_everything_are_allowed() {
    let cases = [
        ("{uri: {}}", "prefix / -> v1"),
        ("{uri: {prefix: ''}}", "prefix / -> v1"),
        ("{uri: {prefix: /}}", "prefix / -> v1"),
        ("{uri: {regex: '*'}}", "prefix / -> v1"),
        ("{method: {prefix: ''}}", "prefix / -> v1"),
        ("{headers: {x: {}}}", "prefix /; x present -> v1"),
        ("{headers: {x: {prefix: ''}}}", "prefix /; x present -> v1"),
        ("{headers: {x: {regex: '*'}}}", "prefix /; x present -> v1"),
        ("{withoutHeaders: {x: {}}}", "prefix /; not x present -> v1"),
        ("{withoutHeaders: {x: {prefix: ''}}}", "prefix /; not x present -> v1"),
        ("{withoutHeaders: {x: {regex: '*'}}}", "prefix /; not x present -> v1"),
    ];
    for (one, expected) in cases {
        let http =
            format!("http: [{{match: [{one}], route: [{{destination: {{host: orders, subset: v1}}}}]}}]");
        assert_eq!(virtual_service(&http), [expected], "{one}");
    }
}

#[test]
fn rules_that_are_not_for_the_mesh_change_nothing_and_are_not_judged() {
    let everything = ["prefix / -> ".to_owned()];
    let to_v1 = "route: [{destination: {host: orders, subset: v1}}]";
    let cases = [
        "tcp: [{route: [{destination: {host: orders}}]}]".to_owned(),
        "tls: [{match: [{sniHosts: [orders]}], route: [{destination: {host: orders}}]}]".to_owned(),
        format!("gateways: [edge], http: [{{match: [{{queryParams: {{a: {{exact: b}}}}}}], {to_v1}}}]"),
        format!("gateways: [edge], http: [{{match: [{{uri: {{regex: '('}}}}], {to_v1}}}]"),
        "gateways: [edge], http: [{route: [{destination: {host: nobody}}]}]".to_owned(),
    ];
    for fields in cases {
        assert_eq!(virtual_service(&fields), everything, "{fields}");
    }
    let both = format!(
        "gateways: [edge, mesh], http: [{{match: [{{gateways: [edge], queryParams: {{a: {{exact: b}}}}}}], {to_v1}}}, \
         {{match: [{{gateways: [edge], uri: {{regex: '('}}}}, {{uri: {{prefix: /a}}}}], {to_v1}}}]"
    );
    assert_eq!(virtual_service(&both), ["prefix /a -> v1"]);
}

#[test]
fn each_parent_of_a_route_counts_by_itself() {
    let route = |parents: &str| {
        document(
            "GRPCRoute",
            "a",
            &format!("{{parentRefs: [{parents}], rules: [{{backendRefs: [{{name: users, port: 80}}]}}]}}"),
        )
    };
    let to_users = "prefix / -> outbound|80||users.shop.svc.cluster.local";
    let service = "{group: '', kind: Service, name: orders}";
    for gateway in
        ["{name: edge}", "{kind: Gateway, name: edge, sectionName: a}", "{kind: ListenerSet, name: edge}"]
    {
        assert_eq!(lines(&route(&format!("{gateway}, {service}"))), [to_users], "{gateway}");
        assert_eq!(lines(&route(gateway)), ["prefix / -> "], "{gateway}");
    }
}
