//! Configuration as an operator writes it, for the greeter.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The greeter's name in the mesh.
pub const HOST: &str = "greeter.shop.svc.cluster.local";
/// The greeter's port in the mesh.
pub const PORT: u16 = 50051;

/// The gRPC target of the greeter.
pub fn target() -> String {
    format!("xds:///{HOST}:{PORT}")
}

/// An endpoint, as a ServiceEntry names it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    address: SocketAddr,
    version: String,
    locality: Option<String>,
}

impl Endpoint {
    /// An endpoint with the label `version`.
    pub fn new(address: SocketAddr, version: &str) -> Self {
        Self { address, version: version.to_owned(), locality: None }
    }

    /// In this locality, `region/zone/sub-zone`.
    #[must_use]
    pub fn locality(mut self, locality: &str) -> Self {
        self.locality = Some(locality.to_owned());
        self
    }
}

/// The greeter's ServiceEntry, and its DestinationRule with round robin and the subsets v1 and v2.
pub fn service(endpoints: &[Endpoint]) -> String {
    service_entry(endpoints) + &destination_rule("loadBalancer: {simple: ROUND_ROBIN}")
}

/// The greeter's ServiceEntry.
pub fn service_entry(endpoints: &[Endpoint]) -> String {
    let mut text = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: greeter, namespace: shop}}
spec:
  hosts: [{HOST}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {PORT}, name: grpc, protocol: GRPC}}]
  endpoints:{}
",
        if endpoints.is_empty() { " []" } else { "" }
    );
    for Endpoint { address, version, locality } in endpoints {
        let (ip, port) = (address.ip(), address.port());
        write!(text, "  - {{address: \"{ip}\", ports: {{grpc: {port}}}, labels: {{version: {version}}}")
            .expect("a string takes any text");
        if let Some(locality) = locality {
            write!(text, ", locality: {locality}").expect("a string takes any text");
        }
        text.push_str("}\n");
    }
    text
}

/// The greeter's DestinationRule with the subsets v1 and v2, to follow other documents.
pub fn destination_rule(traffic_policy: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: greeter, namespace: shop}}
spec:
  host: {HOST}
  trafficPolicy: {{{traffic_policy}}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"
    )
}

/// A TrafficPolicy by which each client uses so many of the greeter's endpoints, to follow other documents.
pub fn subsets_of(size: usize) -> String {
    format!(
        "---
apiVersion: mesh.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: greeter, namespace: shop}}
spec:
  targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: greeter}}]
  defaults: {{loadBalancer: {{policy: RoundRobin, subsetSize: {size}}}}}
"
    )
}

/// The greeter's VirtualService with these HTTP rules, each a YAML flow mapping.
pub fn routes(rules: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: greeter, namespace: shop}}
spec:
  hosts: [{HOST}]
  http:
"
    );
    for rule in rules {
        text.push_str("  - ");
        text.push_str(rule);
        text.push('\n');
    }
    text
}

/// A list of destinations for a rule: `(subset, weight)`.
pub fn split(parts: &[(&str, u32)]) -> String {
    let destinations: Vec<_> = parts
        .iter()
        .map(|(subset, weight)| {
            format!("{{destination: {{host: {HOST}, subset: {subset}}}, weight: {weight}}}")
        })
        .collect();
    format!("route: [{}]", destinations.join(", "))
}

/// The greeter as a destination for a rule, whatever the version.
pub fn everything() -> String {
    format!("route: [{{destination: {{host: {HOST}}}}}]")
}
