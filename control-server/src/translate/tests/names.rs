use prost::{Message, Name};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;

use super::{
    LoadReporting, Plane, Resources, decode, document, names, services, translate, translate_with_diagnostics,
};
use crate::resources::ResourceKind;
use crate::translate::accept;

fn service(name: &str, host: &str, ports: &str) -> String {
    document("ServiceEntry", name, &format!("{{hosts: [{host}], resolution: DNS, ports: [{ports}]}}"))
}

fn listeners(resources: &Resources) -> Vec<&str> {
    names(resources, ResourceKind::Listener)
}

fn manager(resources: &Resources, name: &str) -> HttpConnectionManager {
    let listener: Listener = decode(resources, ResourceKind::Listener, name);
    assert_eq!(listener.name, name);
    let any = listener.api_listener.unwrap().api_listener.unwrap();
    assert_eq!(any.type_url, HttpConnectionManager::type_url());
    HttpConnectionManager::decode(&*any.value).unwrap()
}

fn route_name(resources: &Resources, listener: &str) -> String {
    match manager(resources, listener).route_specifier {
        Some(RouteSpecifier::Rds(rds)) => rds.route_config_name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn listener_has_the_router_alone_and_routes_by_ads() {
    let resources = translate(&services());
    let manager = manager(&resources, "orders.shop.svc.cluster.local:80");
    let [filter] = manager.http_filters.as_slice() else { panic!("one filter") };
    assert!(!filter.name.is_empty() && !filter.is_optional);
    assert!(
        matches!(&filter.config_type, Some(ConfigType::TypedConfig(any)) if any.type_url == Router::type_url())
    );
    let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier else { panic!("RDS") };
    let source = rds.config_source.unwrap().config_source_specifier;
    assert!(matches!(source, Some(ConfigSourceSpecifier::Ads(_))));
}

#[test]
fn service_is_found_under_every_name_a_client_may_ask_for() {
    let resources = translate(&services());
    let mut expected = Vec::new();
    for name in ["orders", "users"] {
        let mut names = vec![];
        for form in ["", ".shop", ".shop.svc", ".shop.svc.cluster.local"] {
            names.push(format!("{name}{form}"));
            names.push(format!("{name}{form}:80"));
            if name == "users" {
                names.push(format!("{name}{form}:81"));
            }
        }
        expected.extend(names);
    }
    expected.sort();
    assert_eq!(listeners(&resources), expected);
    assert_eq!(
        route_name(&resources, "users"),
        "outbound|80||users.shop.svc.cluster.local",
        "the first port"
    );
    assert_eq!(route_name(&resources, "users.shop:81"), "outbound|81||users.shop.svc.cluster.local");
    let [first, second] =
        ["outbound|80||users.shop.svc.cluster.local", "outbound|81||users.shop.svc.cluster.local"];
    let orders = "outbound|80||orders.shop.svc.cluster.local";
    assert_eq!(names(&resources, ResourceKind::Route), [orders, first, second]);
}

#[test]
fn host_outside_the_cluster_has_no_short_name() {
    let resources = translate(&service("web", "Web.Example.com", "{number: 443, name: a}"));
    assert_eq!(listeners(&resources), ["web.example.com", "web.example.com:443"]);
}

#[test]
fn ambiguous_short_name_means_the_default_namespace_or_nothing() {
    let port = "{number: 80, name: a}";
    let two = service("a", "x.one.svc.cluster.local", port) + &service("b", "x.two.svc.cluster.local", port);
    let (resources, diagnostics) = translate_with_diagnostics(&two);
    assert!(!listeners(&resources).contains(&"x"));
    assert_eq!(diagnostics.len(), 2);
    let three = two + &service("c", "x.default.svc.cluster.local", port);
    let resources = translate(&three);
    assert_eq!(route_name(&resources, "x"), "outbound|80||x.default.svc.cluster.local");
    assert_eq!(route_name(&resources, "x.one"), "outbound|80||x.one.svc.cluster.local");
}

#[test]
fn declared_host_is_no_short_name_of_another_service() {
    let port = "{number: 80, name: a}";
    let text = service("a", "x.one.svc.cluster.local", port)
        + &service("b", "x", port)
        + &service("c", "x.one", port);
    let resources = translate(&text);
    assert_eq!(route_name(&resources, "x"), "outbound|80||x");
    assert_eq!(route_name(&resources, "x.one:80"), "outbound|80||x.one");
    assert_eq!(route_name(&resources, "x.one.svc"), "outbound|80||x.one.svc.cluster.local");
}

#[test]
fn versions_are_the_contents_hash() {
    let first = translate(&services());
    let second = translate(&services());
    assert_eq!(first, second);
    // Clusters that have an endpoint in common have it with the same content.
    let single = first.iter().filter(|((kind, _), _)| *kind != ResourceKind::LbEndpoint);
    let mut versions: Vec<&str> = single.clone().map(|(_, resource)| &*resource.version).collect();
    assert!(versions.iter().all(|version| version.len() == 16));
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), single.count(), "no two resources have the same content");
}

#[test]
fn resource_that_clients_would_refuse_leaves_its_service_as_it_was() {
    let picky = |kind, bytes: &bytes::Bytes| {
        let is_cluster = kind == ResourceKind::Cluster && bytes.windows(5).any(|part| part == b"users");
        (is_cluster && bytes.len() > 100).then(|| "too long".to_owned())
    };
    let mut plane = Plane::new(LoadReporting::Off);
    let run = |plane: &mut Plane, rule: &str| {
        let text = services() + &document("DestinationRule", "users", &format!("{{host: users, {rule}}}"));
        (plane.read(&text).to_map(), plane.translator.diagnostics(&plane.model))
    };
    let (good, _) = run(&mut plane, "subsets: []");
    plane.translator.refusal = picky;
    let rule = "trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}, subsets: [{name: a}]";
    for _ in 0..2 {
        let (kept, refused) = run(&mut plane, rule);
        assert_eq!(good, kept);
        assert!(!refused.is_empty());
        assert!(
            refused
                .iter()
                .all(|one| one.object == "DestinationRule shop/users" && one.message.contains("too long"))
        );
    }
    plane.translator.refusal = |_, _| None;
    let (changed, refused) = run(&mut plane, "subsets: [{name: b}]");
    assert_ne!(good, changed);
    assert_eq!(refused, []);
}

/// Proves: CS-15.
#[test]
fn clients_accept_the_translation_of_every_kind() {
    let guide = include_str!("../../../../docs/configuration.md");
    let examples = guide.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut texts: Vec<String> = examples.map(str::to_owned).collect();
    let policies = [
        "loadBalancer: {simple: RANDOM}, outlierDetection: {maxEjectionPercent: 100}",
        "loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 65537}}}",
        "loadBalancer: {simple: LEAST_REQUEST, warmup: {duration: 10s}}, connectionPool: {tcp: {connectTimeout: 1s}}",
        "tls: {mode: ISTIO_MUTUAL}",
        "tls: {mode: SIMPLE, credentialName: web, sni: a.b}",
        "tls: {mode: SIMPLE, insecureSkipVerify: true, caCrl: a, subjectAltNames: [b]}",
    ];
    let rule = |policy| {
        document("DestinationRule", "users", &format!("{{host: users, trafficPolicy: {{{policy}}}}}"))
    };
    texts.extend(policies.map(|policy| services() + &rule(policy)));
    texts.push(service("dns", "web.example", "{number: 443, name: a, protocol: HTTPS}"));
    let rules =
        "[{match: [{uri: {prefix: /a}, withoutHeaders: {x: {exact: y}}}], fault: {abort: {httpStatus: 503}},
        retries: {attempts: 9, backoff: 1ms, perTryTimeout: 1s}, route: [{destination: {host: users}}]},
        {directResponse: {status: 503}}]";
    texts.push(
        services() + &document("VirtualService", "orders", &format!("{{hosts: [orders], http: {rules}}}")),
    );
    for text in texts {
        let resources = translate(&text);
        assert!(!resources.is_empty());
        for ((kind, name), resource) in &resources {
            assert_eq!(accept::refusal(*kind, &resource.bytes), None, "{name}");
            if *kind == ResourceKind::Cluster {
                let cluster = super::cluster(&resources, name);
                let is_tls = ["mode: ISTIO_MUTUAL", "credentialName"].iter().any(|tls| text.contains(tls));
                let is_secured = is_tls && name.contains("users");
                assert_eq!(
                    (cluster.transport_socket.is_some(), cluster.transport_socket_matches.len()),
                    (is_secured, 0),
                    "{name}"
                );
            }
        }
    }
}
