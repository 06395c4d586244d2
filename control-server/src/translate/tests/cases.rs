//! Inputs that are often understood differently: what each client gets for calls to `greeter`.

use std::collections::BTreeMap;

use prost::Message;
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use xds_proto::envoy::config::route::v3::{Route, RouteConfiguration};

use super::{LoadReporting, Plane, document};
use crate::model::{OnInvalid, Settings};
use crate::resources::{ClientScope, Locality, ResourceKind, ResourceSet, Slot};

/// Two endpoints with the versions v1 and v2, and their subsets, in the namespace `shop`.
fn base() -> String {
    let greeter = "{hosts: [greeter.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC,
        ports: [{number: 50051, name: grpc, protocol: GRPC}],
        endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]}";
    document("ServiceEntry", "greeter", greeter) + SUBSETS
}

const SUBSETS: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter, namespace: shop}
spec: {host: greeter, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
";

/// A client, as `NAMESPACE a=b c=d @region/zone`.
fn client(text: &str) -> ClientScope {
    let mut client = ClientScope::default();
    for (place, word) in text.split(' ').enumerate() {
        match (place, word.split_once('='), word.strip_prefix('@')) {
            (_, _, Some(locality)) => client.locality = Locality::parse(locality),
            (_, Some((name, value)), _) => drop(client.labels.insert(name.to_owned(), value.to_owned())),
            (0, ..) if word != "-" => client.namespace = Some(word.to_owned()),
            _ => {}
        }
    }
    client
}

struct Served {
    set: ResourceSet,
    client: ClientScope,
}

impl Served {
    fn message<M: Message + Default>(&self, kind: ResourceKind, name: &str) -> Option<M> {
        let resource = self.set.get_for(Slot::from(kind), name, &self.client)?;
        Some(M::decode(resource.bytes.clone()).unwrap())
    }

    /// Every share of a route as `where*weight`: the addresses that a cluster's calls go to, or why they go nowhere.
    fn route(&self, route: &Route) -> String {
        let Some(Action::Route(action)) = &route.action else { return "answered".to_owned() };
        let clusters = match action.cluster_specifier.as_ref().unwrap() {
            ClusterSpecifier::Cluster(name) => vec![(name.as_str(), None)],
            ClusterSpecifier::WeightedClusters(all) => all
                .clusters
                .iter()
                .map(|one| (one.name.as_str(), one.weight.map(|weight| weight.value)))
                .collect(),
            other => panic!("{other:?}"),
        };
        let share = |(cluster, weight): (&str, Option<u32>)| {
            let weight = weight.map(|weight| format!("*{weight}")).unwrap_or_default();
            format!("{}{weight}", self.cluster(cluster))
        };
        let mirrors = action.request_mirror_policies.iter();
        let mirrors = mirrors.map(|mirror| format!(", copied to {}", self.cluster(&mirror.cluster)));
        clusters.into_iter().map(share).collect::<Vec<_>>().join(" + ") + &mirrors.collect::<String>()
    }

    fn cluster(&self, name: &str) -> String {
        let cluster: Cluster =
            self.message(ResourceKind::Cluster, name).unwrap_or_else(|| panic!("no {name}"));
        let Some(eds) = cluster.eds_cluster_config else { return "dns".to_owned() };
        let assignment: ClusterLoadAssignment =
            self.message(ResourceKind::Endpoints, &eds.service_name).unwrap_or_else(|| panic!("no {name}"));
        if assignment.endpoints.is_empty() {
            let reason = match name.strip_prefix("unavailable|") {
                Some(rest) => rest.split('|').next().unwrap(),
                None => eds.service_name.split_once(": ").map_or("no endpoint", |(_, reason)| reason),
            };
            return format!("fails ({reason})");
        }
        let mut by_priority: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for locality in &assignment.endpoints {
            for one in &locality.lb_endpoints {
                let text = format!("{one:?}");
                let address = text.split("10.0.0.").nth(1).unwrap().split('"').next().unwrap().to_owned();
                by_priority.entry(locality.priority).or_default().push(address);
            }
        }
        let join = |mut all: Vec<String>| {
            all.sort();
            all.join(",")
        };
        let tls = if cluster.transport_socket.is_some() { "tls " } else { "" };
        format!("{tls}{}", by_priority.into_values().map(join).collect::<Vec<_>>().join(" then "))
    }

    /// The routes of a port, in order.
    fn port(&self, port: u32) -> String {
        let name = format!("outbound|{port}||greeter.shop.svc.cluster.local");
        let Some(routes) = self.message::<RouteConfiguration>(ResourceKind::Route, &name) else {
            return "unknown".to_owned();
        };
        let routes = routes.virtual_hosts[0].routes.iter();
        let line = |route: &Route| {
            let one = route.r#match.as_ref().unwrap();
            let path = format!("{:?}", one.path_specifier.as_ref().unwrap());
            let is_all = path == "Prefix(\"/\")" && one.headers.is_empty();
            let condition = if is_all { "" } else { "some: " };
            format!("{condition}{}", self.route(route))
        };
        routes.map(line).collect::<Vec<_>>().join("; ")
    }
}

/// A table of cases: a name, lines `CLIENT[:PORT] -> ROUTES`, and the documents beside the base.
///
/// | group | what it shows |
/// | --- | --- |
/// | A | an object that is refused or yields nothing never becomes "all endpoints" |
/// | B | whose object counts for which client |
/// | C | no plaintext where TLS is asked for |
/// | others | the nearest endpoints come first |
#[test]
fn clients_get_what_the_configuration_means_for_them() {
    let failures: Vec<String> = include_str!("cases.txt").split("== ").skip(1).filter_map(failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn failure(case: &str) -> Option<String> {
    let (head, documents) = case.split_once("---\n").unwrap_or((case, ""));
    let (name, expected) = head.split_once('\n').unwrap();
    let mut plane = Plane::new(LoadReporting::Off);
    let set = plane.read(&(base() + "---\n" + documents));
    let wrong = expected.lines().find_map(|line| {
        let (who, routes) = line.split_once(" -> ").unwrap();
        let (who, port) = who.split_once(':').unwrap_or((who, "50051"));
        let served = Served { set: set.clone(), client: client(who) };
        let found = served.port(port.parse().unwrap());
        (found != routes).then(|| format!("{line}: found {found}"))
    })?;
    Some(format!("{name}: {wrong}: {:#?}", plane.diagnostics))
}

/// The operator decides whether calls to a host with unreadable routes fail, and whether calls are retried.
#[test]
fn settings_change_what_is_not_said() {
    let mut settings = Settings::default();
    (settings.on_invalid, settings.default_retries) = (OnInvalid::DefaultRoute, 0);
    let mut plane = Plane::with(settings, LoadReporting::Off);
    let broken = document("VirtualService", "greeter", "{hosts: [greeter], http: [{rout: []}]}");
    let served = Served { set: plane.read(&(base() + &broken)), client: ClientScope::default() };
    assert_eq!(served.port(50051), "1,2");
    let name = "outbound|50051||greeter.shop.svc.cluster.local";
    let routes: RouteConfiguration = served.message(ResourceKind::Route, name).unwrap();
    let Some(Action::Route(action)) = &routes.virtual_hosts[0].routes[0].action else { panic!("a route") };
    assert_eq!(action.retry_policy, None);
}
