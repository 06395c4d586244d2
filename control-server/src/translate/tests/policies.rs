//! Which of several policies counts.

use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::{Route, RouteAction};

use super::*;

/// A policy of these targets and settings, each in flow style.
fn policy(name: &str, targets: &str, settings: &str) -> String {
    document("TrafficPolicy", name, &format!("{{targetRefs: [{targets}], {settings}}}"))
}

fn mesh_config(settings: &str) -> String {
    let spec = format!("{{defaultTrafficPolicy: {{{settings}}}}}");
    document("MeshConfig", "mesh", &spec).replace("namespace: shop", "namespace: istio-system")
}

const NAMESPACE: &str = "{kind: Namespace, name: shop}";
const SERVICE: &str = "{kind: Service, name: orders}";
const PORT: &str = "{kind: Service, name: orders, sectionName: grpc}";
const ROUTE: &str = "{group: networking.istio.io, kind: VirtualService, name: orders}";
const RULE: &str = "{group: networking.istio.io, kind: VirtualService, name: orders, sectionName: all}";

fn virtual_service(settings: &str) -> String {
    let spec = format!(
        "{{hosts: [orders], http: [{{name: all, {settings}route: [{{destination: {{host: orders}}}}]}}]}}"
    );
    document("VirtualService", "orders", &spec)
}

fn action(text: &str) -> RouteAction {
    let resources = translate(&(services() + text));
    let [Route { action: Some(Action::Route(action)), .. }] = &routes(&resources, ORDERS)[..] else {
        panic!("not one route to a cluster")
    };
    action.clone()
}

/// In seconds.
fn timeout(text: &str) -> Option<i64> {
    Some(action(text).max_stream_duration?.max_stream_duration?.seconds)
}

#[test]
fn most_specific_default_and_widest_override_count() {
    let defaults =
        |name, target, seconds| policy(name, target, &format!("defaults: {{timeout: {seconds}s}}"));
    let overrides =
        |name, target, seconds| policy(name, target, &format!("overrides: {{timeout: {seconds}s}}"));
    let mesh = mesh_config("timeout: 1s");
    let all = [
        mesh,
        defaults("namespace", NAMESPACE, 2),
        defaults("service", SERVICE, 3),
        defaults("port", PORT, 4),
        virtual_service("timeout: 5s, "),
        defaults("route", ROUTE, 6),
        defaults("rule", RULE, 7),
    ];
    assert_eq!(timeout(""), None);
    // Each one is more specific than all before it. Without a timeout of its own, the VirtualService says nothing.
    for (place, expected) in (0..all.len()).zip(1..) {
        assert_eq!(timeout(&all[..=place].concat()), Some(expected), "{place}");
    }
    let silent = [&all[..4].concat(), virtual_service("").as_str()].concat();
    assert_eq!(timeout(&silent), Some(4));
    let widest = [
        overrides("o-rule", RULE, 14),
        overrides("o-route", ROUTE, 13),
        overrides("o-port", PORT, 12),
        overrides("o-service", SERVICE, 11),
        overrides("o-namespace", NAMESPACE, 10),
    ];
    for (place, expected) in (0..widest.len()).zip([14, 13, 12, 11, 10]) {
        assert_eq!(timeout(&(all.concat() + &widest[..=place].concat())), Some(expected), "{place}");
    }
    let off = policy("off", RULE, "overrides: {timeout: 0s}");
    assert_eq!(timeout(&(all.concat() + &off)), None, "0 turns the timeout off");
    let others = defaults("other", "{kind: Service, name: users}", 9)
        + &defaults("wrong", "{kind: Service, name: orders, sectionName: admin}", 9);
    assert_eq!(translate_with_diagnostics(&(services() + &others)).1.len(), 1, "orders has no port `admin`");
}

#[test]
fn cluster_settings_stand_between_those_of_a_rule() {
    let limit = |text: &str, name: &str| {
        let found = cluster(&translate(&(services() + text)), name);
        found.circuit_breakers.unwrap().thresholds[0].max_requests.unwrap().value
    };
    let pool = |limit: u32| format!("connectionPool: {{http: {{http2MaxRequests: {limit}}}}}");
    let attached = |name: &str, target: &str, limit: u32| {
        policy(name, target, &format!("defaults: {{{}}}", pool(limit)))
    };
    let rule = |spec: &str| document("DestinationRule", "more", &format!("{{host: orders, {spec}}}"));
    let own = rule(&format!("trafficPolicy: {{{}}}", pool(3)));
    let of_port = rule(&format!(
        "trafficPolicy: {{{}, portLevelSettings: [{{port: {{number: 80}}, {}}}]}}",
        pool(3),
        pool(6)
    ));
    let subset = rule(&format!("subsets: [{{name: v3, trafficPolicy: {{{}}}}}]", pool(8)));
    let none = u32::try_from(i32::MAX).unwrap();
    let rows = [
        (String::new(), none),
        (mesh_config(&pool(1)), 1),
        (mesh_config(&pool(1)) + &attached("a", NAMESPACE, 2), 2),
        (attached("a", NAMESPACE, 2) + &own, 3),
        (own.clone() + &attached("b", SERVICE, 4), 4),
        (own.clone() + &attached("b", SERVICE, 4) + &attached("c", PORT, 5), 5),
        (of_port.clone() + &attached("b", SERVICE, 4), 6),
        (of_port + &attached("c", PORT, 5), 5),
        (own + &policy("d", NAMESPACE, &format!("overrides: {{{}}}", pool(9))), 9),
    ];
    for (text, expected) in rows {
        assert_eq!(limit(&text, ORDERS), expected, "{text}");
    }
    let subset_and_service = subset + &attached("b", SERVICE, 4);
    assert_eq!(limit(&subset_and_service, ORDERS), 4);
    assert_eq!(limit(&subset_and_service, "outbound|80|v3|orders.shop.svc.cluster.local"), 8);
}

#[test]
fn first_of_two_policies_counts_and_the_other_is_told() {
    let one = policy("one", SERVICE, "defaults: {timeout: 1s}");
    let two = policy("two", SERVICE, "defaults: {timeout: 2s, retry: {attempts: 1}}");
    let text = one + &two;
    assert_eq!(timeout(&text), Some(1));
    assert_eq!(action(&text).retry_policy.unwrap().num_retries.unwrap().value, 1, "fields are merged");
    let (_, found) = translate_with_diagnostics(&(services() + &text));
    let found: Vec<_> = found.iter().map(|one| (one.object.as_str(), one.field.as_str())).collect();
    assert_eq!(found, [("TrafficPolicy shop/two", "spec.defaults.timeout")]);
}

#[test]
fn retries_and_hedging_are_one_setting() {
    let hedged = action(&policy(
        "a",
        SERVICE,
        "defaults: {hedging: {delay: 50ms, attempts: 2, conditions: [internal]}}",
    ));
    let retry = hedged.retry_policy.unwrap();
    assert!(hedged.hedge_policy.unwrap().hedge_on_per_try_timeout);
    assert_eq!((retry.num_retries.unwrap().value, retry.retry_on.as_str()), (2, "internal"));
    assert_eq!(retry.per_try_timeout.unwrap().nanos, 50_000_000);
    let plain = action(
        &(policy("a", NAMESPACE, "defaults: {hedging: {delay: 50ms}}")
            + &virtual_service("retries: {attempts: 3}, ")),
    );
    assert_eq!(plain.hedge_policy, None);
    assert_eq!(plain.retry_policy.unwrap().num_retries.unwrap().value, 3);
    let off = action(&policy("a", SERVICE, "defaults: {retry: {attempts: 0}}"));
    assert_eq!(off.retry_policy, None, "Istio's default retries are turned off");
}

#[test]
fn change_of_a_policy_changes_its_service_only() {
    let mut plane = Plane::new(LoadReporting::Off);
    let text =
        |seconds: u32| services() + &policy("a", SERVICE, &format!("defaults: {{timeout: {seconds}s}}"));
    let before = plane.read(&text(1)).to_map();
    let after = plane.read(&text(2)).to_map();
    let changed: Vec<_> = before.iter().filter(|(key, one)| after[*key].version != one.version).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(&*changed[0].0.1, ORDERS);
}

#[test]
fn endpoints_are_checked_by_the_clients_that_can() {
    use xds_proto::envoy::config::core::v3::health_check::HealthChecker;
    let of = |settings: &str, family| {
        let text = services() + &policy("a", SERVICE, &format!("defaults: {{healthCheck: {{{settings}}}}}"));
        let set = Plane::new(LoadReporting::Off).read(&text);
        let client = crate::resources::ClientScope { family, ..Default::default() };
        let found = set.get_for(ResourceKind::Cluster.into(), ORDERS, &client).unwrap();
        Cluster::decode(found.bytes.clone()).unwrap()
    };
    use crate::state::ClientFamily::{Envoy, Grpc, MeshTonic};
    assert!(of("tcp: {}", Grpc).health_checks.is_empty());
    for family in [Envoy, MeshTonic] {
        let cluster = of("grpc: {service: shop.Orders}, interval: 5s, unhealthyThreshold: 4", family);
        let panic = cluster.common_lb_config.unwrap().healthy_panic_threshold.unwrap().value;
        assert_eq!(panic, 0.0, "endpoints that fail their checks get no calls, however many they are");
        let [check] = &cluster.health_checks[..] else { panic!("not one check") };
        let seconds = |time: &Option<xds_proto::google::protobuf::Duration>| time.unwrap().seconds;
        assert_eq!((seconds(&check.interval), seconds(&check.no_traffic_interval)), (5, 5));
        assert_eq!(seconds(&check.timeout), 1);
        let thresholds = [check.unhealthy_threshold, check.healthy_threshold].map(|one| one.unwrap().value);
        assert_eq!(thresholds, [4, 2]);
        let Some(HealthChecker::GrpcHealthCheck(grpc)) = &check.health_checker else { panic!("{check:?}") };
        assert_eq!(grpc.service_name, "shop.Orders");
    }
    let cluster = of("http: {path: /status, host: a.example, expectedStatuses: [200, 204]}", MeshTonic);
    let Some(HealthChecker::HttpHealthCheck(http)) = &cluster.health_checks[0].health_checker else {
        panic!("no request")
    };
    assert_eq!((http.path.as_str(), http.host.as_str()), ("/status", "a.example"));
    let statuses: Vec<_> = http.expected_statuses.iter().map(|range| (range.start, range.end)).collect();
    assert_eq!(statuses, [(200, 201), (204, 205)]);
}
