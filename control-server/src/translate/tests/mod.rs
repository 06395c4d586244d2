//! YAML in, xDS out.

mod actions;
mod cases;
mod clusters;
mod collections;
mod endpoints;
mod faults;
mod headers;
mod http_actions;
mod http_routes;
mod legal;
mod makers;
mod names;
mod outliers;
mod policies;
mod routes;
mod servers;
mod sessions;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::config::route::v3::{Route, RouteConfiguration};

use super::{LoadReporting, Translator};
use crate::model::{Model, Settings};
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};
use crate::source::{Entries, Event, Merge};
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
    let mut plane = Plane::new(load_reporting);
    let set = plane.read(text);
    (set.to_map(), plane.diagnostics)
}

/// Everything from text to resources.
struct Plane {
    entries: Entries,
    merge: Merge,
    model: Model,
    translator: Translator,
    diagnostics: Vec<Diagnostic>,
}

impl Plane {
    fn new(load_reporting: LoadReporting) -> Self {
        Self::with(Settings::default(), load_reporting)
    }

    fn with(settings: Settings, load_reporting: LoadReporting) -> Self {
        Self {
            entries: Entries::default(),
            merge: Merge::new(1),
            model: Model::new(settings),
            translator: Translator::new(load_reporting),
            diagnostics: Vec::new(),
        }
    }

    /// Takes a text in the place of the one before; returns what is served.
    fn read(&mut self, text: &str) -> ResourceSet {
        self.read_files(&[("test.yaml", text)])
    }

    fn read_files(&mut self, files: &[(&str, &str)]) -> ResourceSet {
        self.entries.retain(|name| files.iter().any(|(file, _)| name == *file));
        files.iter().for_each(|(name, text)| self.entries.read(name, text));
        self.merge.take(0, self.entries.take_events());
        self.merge.take(0, vec![Event::Synced]);
        let changes = self.merge.changes().unwrap();
        self.translator.translate(self.model.apply(changes.objects));
        self.diagnostics = changes.diagnostics.to_vec();
        self.diagnostics.extend(self.model.diagnostics().iter().flat_map(|(_, found)| found.iter().cloned()));
        self.diagnostics.extend(self.translator.diagnostics(&self.model));
        self.diagnostics.sort_by_key(|one| (one.file.clone(), one.line, one.column, one.field.clone()));
        self.translator.resources().clone()
    }
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
        "GRPCRoute" | "HTTPRoute" => "gateway.networking.k8s.io/v1",
        "TrafficPolicy" | "MeshConfig" | "RateLimitPolicy" => "mesh.dev/v1alpha1",
        "PeerAuthentication" | "RequestAuthentication" | "AuthorizationPolicy" => "security.istio.io/v1",
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
