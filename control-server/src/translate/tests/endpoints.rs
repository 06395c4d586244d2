use xds_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use xds_proto::envoy::config::core::v3::address::Address;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};

use super::routes::{action, split};
use super::translate_with_diagnostics;
use super::{
    LoadReporting, ORDERS, ORDERS_V1, ORDERS_V2, Plane, assignment, cluster, document, names, routes,
    services, translate,
};
use crate::model::Rebuilt;
use crate::resources::ResourceKind;

/// `address:port*weight`.
fn endpoint(endpoint: &LbEndpoint) -> String {
    let Some(HostIdentifier::Endpoint(host)) = &endpoint.host_identifier else { panic!("an endpoint") };
    let Some(Address::SocketAddress(socket)) =
        host.address.as_ref().and_then(|address| address.address.as_ref())
    else {
        panic!("a socket address")
    };
    let Some(PortSpecifier::PortValue(port)) = socket.port_specifier else { panic!("a port") };
    format!("{}:{port}*{}", socket.address, endpoint.load_balancing_weight.unwrap().value)
}

/// `region/zone/sub_zone*weight: endpoints`.
fn localities(assignment: &ClusterLoadAssignment) -> Vec<String> {
    assignment
        .endpoints
        .iter()
        .map(|locality| {
            assert_eq!(locality.priority, 0);
            let id = locality.locality.as_ref().unwrap();
            let endpoints: Vec<String> = locality.lb_endpoints.iter().map(endpoint).collect();
            let weight = locality.load_balancing_weight.unwrap().value;
            format!("{}/{}/{}*{weight}: {}", id.region, id.zone, id.sub_zone, endpoints.join(" "))
        })
        .collect()
}

fn service(fields: &str) -> String {
    document(
        "ServiceEntry",
        "a",
        &format!("{{hosts: [a.b], ports: [{{number: 80, name: grpc, targetPort: 8080}}], {fields}}}"),
    )
}

fn endpoints_of(fields: &str) -> Vec<String> {
    localities(&assignment(&translate(&service(fields)), "outbound|80||a.b"))
}

#[test]
fn clusters_name_their_own_endpoints_over_ads() {
    let resources = translate(&services());
    let orders = [ORDERS_V1, ORDERS_V2, ORDERS].map(str::to_owned);
    let users = [80, 81].map(|port| format!("outbound|{port}||users.shop.svc.cluster.local"));
    let mut expected = [orders.as_slice(), users.as_slice()].concat();
    expected.sort();
    assert_eq!(names(&resources, ResourceKind::Cluster), expected);
    assert_eq!(names(&resources, ResourceKind::Endpoints), expected);
    for name in &expected {
        let cluster = cluster(&resources, name);
        assert_eq!(
            cluster.cluster_discovery_type,
            Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()))
        );
        let eds = cluster.eds_cluster_config.unwrap();
        assert_eq!(eds.service_name, *name);
        assert!(matches!(
            eds.eds_config.unwrap().config_source_specifier,
            Some(ConfigSourceSpecifier::Ads(_))
        ));
        assert_eq!(assignment(&resources, name).cluster_name, *name);
    }
}

#[test]
fn subsets_have_the_endpoints_with_their_labels() {
    let resources = translate(&services());
    let endpoints = |name| localities(&assignment(&resources, name));
    assert_eq!(endpoints(ORDERS_V1), ["//*1: 10.0.0.1:80*1"]);
    assert_eq!(endpoints(ORDERS_V2), ["//*1: 10.0.0.2:80*1"]);
    assert_eq!(endpoints(ORDERS), ["//*2: 10.0.0.1:80*1 10.0.0.2:80*1"]);
}

#[test]
fn endpoints_port_is_its_own_else_the_target_port_else_the_services() {
    let text =
        "resolution: STATIC, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, ports: {grpc: 9090}}]";
    assert_eq!(endpoints_of(text), ["//*2: 10.0.0.1:8080*1 10.0.0.2:9090*1"]);
    let resources = translate(&services());
    let admin = assignment(&resources, "outbound|81||users.shop.svc.cluster.local");
    assert_eq!(localities(&admin), ["//*1: 10.0.1.1:81*1"]);
}

#[test]
fn localities_weigh_as_much_as_their_endpoints() {
    let text = "resolution: STATIC, endpoints: [
        {address: 10.0.0.3, locality: eu/b, weight: 5}, {address: 10.0.0.1, locality: eu/a/x, weight: 2},
        {address: 10.0.0.2, locality: eu/a/x}, {address: 10.0.0.4, locality: eu/b, weight: 0}, {address: '::1'}]";
    let expected =
        ["//*1: ::1:8080*1", "eu/a/x*3: 10.0.0.1:8080*2 10.0.0.2:8080*1", "eu/b/*5: 10.0.0.3:8080*5"];
    assert_eq!(endpoints_of(text), expected);
}

#[test]
fn weights_too_large_to_add_up_are_scaled() {
    let text = "resolution: STATIC, endpoints: [
        {address: 10.0.0.1, weight: 4000000000}, {address: 10.0.0.2, weight: 4000000000}, {address: 10.0.0.3, weight: 1}]";
    let expected = ["//*4000000000: 10.0.0.1:8080*2000000000 10.0.0.2:8080*2000000000 10.0.0.3:8080*1"];
    assert_eq!(endpoints_of(text), expected);
}

#[test]
fn duplicate_addresses_are_merged() {
    let text =
        service("resolution: STATIC, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.1, weight: 9}]");
    let (resources, diagnostics) = translate_with_diagnostics(&text);
    assert_eq!(localities(&assignment(&resources, "outbound|80||a.b")), ["//*1: 10.0.0.1:8080*1"]);
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn no_endpoints_are_an_empty_assignment() {
    assert_eq!(endpoints_of("resolution: STATIC, endpoints: []"), [""; 0]);
}

#[test]
fn workloads_are_selected_by_labels_within_the_namespace() {
    let workload = |name: &str, address: &str, app: &str| {
        document(
            "WorkloadEntry",
            name,
            &format!("{{address: {address}, labels: {{app: {app}}}, ports: {{grpc: 7070}}}}"),
        )
    };
    let text = service("resolution: STATIC, workloadSelector: {labels: {app: a}}")
        + &workload("one", "10.0.0.1", "a")
        + &workload("two", "10.0.0.2", "a")
        + &workload("other", "10.0.0.3", "b")
        + &workload("elsewhere", "10.0.0.4", "a").replace("shop", "other");
    let resources = translate(&text);
    let found = localities(&assignment(&resources, "outbound|80||a.b"));
    assert_eq!(found, ["//*2: 10.0.0.1:7070*1 10.0.0.2:7070*1"]);
}

#[test]
fn one_name_is_resolved_by_clients() {
    let cases = [
        ("resolution: DNS", "a.b:8080*1"),
        ("resolution: DNS, endpoints: [{address: web.example, ports: {grpc: 9090}}]", "web.example:9090*1"),
        ("resolution: DNS_ROUND_ROBIN, endpoints: [{address: web.example}]", "web.example:8080*1"),
    ];
    for (fields, expected) in cases {
        let resources = translate(&service(fields));
        assert_eq!(names(&resources, ResourceKind::Endpoints), [""; 0], "{fields}");
        let cluster = cluster(&resources, "outbound|80||a.b");
        let kind = DiscoveryType::LogicalDns.into();
        assert_eq!(cluster.cluster_discovery_type, Some(ClusterDiscoveryType::Type(kind)), "{fields}");
        let assignment = cluster.load_assignment.unwrap();
        let [locality] = assignment.endpoints.as_slice() else { panic!("one locality") };
        let [one] = locality.lb_endpoints.as_slice() else { panic!("one endpoint") };
        assert_eq!(endpoint(one), expected, "{fields}");
    }
    let addresses = endpoints_of("resolution: DNS, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}]");
    assert_eq!(addresses, ["//*2: 10.0.0.1:8080*1 10.0.0.2:8080*1"], "addresses need no resolving");
}

/// Case D14: gRPC clients resolve one name per cluster, so every name is one, and routes spread calls over them by weight.
#[test]
fn several_names_are_clusters_that_share_the_calls() {
    let fields = "resolution: DNS, endpoints: [{address: a.example, weight: 3, labels: {v: \"1\"}}, \
                  {address: b.example, ports: {grpc: 9090}}, {address: 10.0.0.1}, {address: 10.0.0.2}]";
    let rule = document("DestinationRule", "a", "{host: a.b, subsets: [{name: one, labels: {v: \"1\"}}]}");
    let route = document(
        "VirtualService",
        "a",
        "{hosts: [a.b], http: [{match: [{uri: {exact: /a}}], route: [{destination: {host: a.b}, weight: 90}, \
         {destination: {host: a.b, subset: one}, weight: 10}]}, {route: [{destination: {host: a.b}}]}]}",
    );
    let resources = translate(&(service(fields) + &rule + &route));
    let [first, second] = ["a.example:8080", "b.example:9090"].map(|name| format!("outbound|80||a.b|{name}"));
    let (subset, addresses) = ("outbound|80|one|a.b", "outbound|80||a.b");
    assert_eq!(names(&resources, ResourceKind::Cluster), [subset, addresses, &first, &second]);
    assert_eq!(localities(&assignment(&resources, addresses)), ["//*2: 10.0.0.1:8080*1 10.0.0.2:8080*1"]);
    let found: Vec<String> =
        routes(&resources, "outbound|80||a.b").iter().map(|route| split(&action(route))).collect();
    let expected = [
        format!("{first}*270 {second}*90 {addresses}*180 {subset}*60"),
        format!("{first}*3 {second}*1 {addresses}*2"),
    ];
    assert_eq!(found, expected);
}

/// `priority zone*weight` of every locality, as a client in this place gets it.
fn zone_aware(setting: &str, place: &str) -> String {
    use prost::Message as _;

    use crate::resources::{ClientScope, Locality};
    let endpoint = |address: &str, place: &str| format!("{{address: {address}, locality: {place}}}");
    let places = ["eu/a", "eu/a", "eu/b", "eu/b", "eu/b", "eu/b", "us/c", "ap/d"];
    let endpoints = places.iter().enumerate();
    let endpoints = endpoints.map(|(number, place)| endpoint(&format!("10.0.0.{number}"), place));
    let list = endpoints.collect::<Vec<_>>().join(", ");
    let rule =
        format!("{{host: a.b, trafficPolicy: {{loadBalancer: {{zoneAwareLbSetting: {{{setting}}}}}}}}}");
    let text = service(&format!("resolution: STATIC, endpoints: [{list}]"))
        + &document("DestinationRule", "a", &rule);
    let set = super::Plane::new(super::LoadReporting::Off).read(&text);
    let client = ClientScope { locality: Locality::parse(place), ..ClientScope::default() };
    let found = set.get_for(ResourceKind::Endpoints.into(), "outbound|80||a.b", &client).unwrap();
    let found = ClusterLoadAssignment::decode(found.bytes.clone()).unwrap();
    let row = |one: &xds_proto::envoy::config::endpoint::v3::LocalityLbEndpoints| {
        let zone = &one.locality.as_ref().unwrap().zone;
        format!("{} {zone}*{}", one.priority, one.load_balancing_weight.unwrap().value)
    };
    found.endpoints.iter().map(row).collect::<Vec<_>>().join(", ")
}

#[test]
fn calls_stay_in_the_zone_as_far_as_its_endpoints_can_take_them() {
    let on = "enabled: true";
    let rows = [
        // Two of six endpoints, for half of the clients: a third of the calls goes to the zone with more.
        (on, "eu/a/1", "0 a*666666, 0 b*333333, 1 d*1, 1 c*1"),
        (on, "eu/b", "0 a*1, 0 b*1000000, 1 d*1, 1 c*1"),
        (on, "eu/z", "0 a*2, 0 b*4, 1 d*1, 1 c*1"),
        (on, "", "0 d*1, 0 a*2, 0 b*4, 0 c*1"),
        ("minClusterSize: 7", "eu/a", "0 a*2, 0 b*4, 1 d*1, 1 c*1"),
        ("failover: [{from: eu, to: us}]", "eu/b", "0 a*1, 0 b*1000000, 1 c*1, 2 d*1"),
        ("enabled: false", "eu/a", "0 d*1, 0 a*2, 0 b*4, 0 c*1"),
    ];
    for (setting, place, expected) in rows {
        assert_eq!(zone_aware(setting, place), expected, "{setting} {place}");
    }
}

/// F3: a workload is found by its labels, so a service depends on those alone that it selects.
#[test]
fn changed_workload_concerns_the_services_that_select_it() {
    let service = |index: usize| {
        let fields = "resolution: STATIC, ports: [{number: 80, name: grpc}]";
        let spec =
            format!("{{hosts: [s{index}.b], {fields}, workloadSelector: {{labels: {{app: s{index}}}}}}}");
        document("ServiceEntry", &format!("s{index}"), &spec)
    };
    let workload = |index: usize, port: usize| {
        let spec = format!(
            "{{address: 10.0.0.{index}, labels: {{app: s{index}, tier: a}}, ports: {{grpc: {port}}}}}"
        );
        document("WorkloadEntry", &format!("w{index}"), &spec)
    };
    let text = |port: usize| -> String {
        (1..=50).map(|index| service(index) + &workload(index, if index == 7 { port } else { 1 })).collect()
    };
    let mut plane = Plane::new(LoadReporting::Off);
    plane.read(&text(1));
    plane.entries.read("test.yaml", &text(2));
    plane.merge.take(0, plane.entries.take_events());
    let changes = plane.merge.changes().unwrap();
    let hosts = plane.model.apply(changes.objects).filter_map(|rebuilt| match rebuilt {
        Rebuilt::Service { host, .. } => Some(host.to_string()),
        Rebuilt::Servers { .. } => None,
    });
    assert_eq!(hosts.collect::<Vec<_>>(), ["s7.b"]);
}
