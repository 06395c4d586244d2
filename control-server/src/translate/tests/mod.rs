//! YAML in, xDS out.

mod clusters;
mod collections;
mod endpoints;
mod faults;
mod headers;
mod legal;
mod names;
mod outliers;
mod routes;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::config::route::v3::{Route, RouteConfiguration};

use super::{LoadReporting, Translator};
use crate::model::{Memory, build};
use crate::resources::{EncodedResource, ResourceKind};
use crate::source::read_text;
use crate::state::{Diagnostic, Severity};

type Resources = BTreeMap<(ResourceKind, Arc<str>), Arc<EncodedResource>>;

/// What these documents become. An error in them fails the test.
fn translate(text: &str) -> Resources {
    let (resources, diagnostics) = translate_with_diagnostics(text);
    let errors: Vec<String> =
        diagnostics.iter().filter(|one| one.severity == Severity::Error).map(ToString::to_string).collect();
    assert_eq!(errors, [""; 0]);
    resources
}

fn translate_with_diagnostics(text: &str) -> (Resources, Vec<Diagnostic>) {
    translate_with(LoadReporting::Off, text)
}

fn translate_with(load_reporting: LoadReporting, text: &str) -> (Resources, Vec<Diagnostic>) {
    let view = read_text("test.yaml", text);
    let model = build(&view.objects, &mut Memory::default());
    let (set, refused) = Translator::new(load_reporting).translate(&model);
    (set.to_map(), [view.diagnostics, model.diagnostics, refused].concat())
}

fn names(resources: &Resources, kind: ResourceKind) -> Vec<&str> {
    resources.keys().filter(|(of, _)| *of == kind).map(|(_, name)| &**name).collect()
}

fn decode<M: Message + Default>(resources: &Resources, kind: ResourceKind, name: &str) -> M {
    let resource = resources.get(&(kind, Arc::from(name)));
    let resource = resource.unwrap_or_else(|| panic!("no {name} among {:?}", names(resources, kind)));
    M::decode(resource.bytes.clone()).unwrap()
}

fn cluster(resources: &Resources, name: &str) -> Cluster {
    decode(resources, ResourceKind::Cluster, name)
}

fn assignment(resources: &Resources, name: &str) -> ClusterLoadAssignment {
    decode(resources, ResourceKind::Endpoints, name)
}

fn routes(resources: &Resources, name: &str) -> Vec<Route> {
    let configuration: RouteConfiguration = decode(resources, ResourceKind::Route, name);
    let [host] = configuration.virtual_hosts.try_into().unwrap();
    assert_eq!(host.domains, ["*"]);
    host.routes
}

/// A document of a kind with a spec in flow style.
fn document(kind: &str, name: &str, spec: &str) -> String {
    let version = match kind {
        "GRPCRoute" => "gateway.networking.k8s.io/v1",
        _ => "networking.istio.io/v1",
    };
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
    )
}

/// The services `orders` (port 80, two versions) and `users` (ports 80 and 81).
fn services() -> String {
    let orders = "{hosts: [orders.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: grpc}], endpoints: \
                  [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]}";
    let users = "{hosts: [users.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: grpc}, {number: \
                 81, name: admin}], endpoints: [{address: 10.0.1.1}]}";
    let rule =
        "{host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}";
    document("ServiceEntry", "orders", orders)
        + &document("ServiceEntry", "users", users)
        + &document("DestinationRule", "orders", rule)
}

const ORDERS: &str = "outbound|80||orders.shop.svc.cluster.local";
const ORDERS_V1: &str = "outbound|80|v1|orders.shop.svc.cluster.local";
const ORDERS_V2: &str = "outbound|80|v2|orders.shop.svc.cluster.local";
