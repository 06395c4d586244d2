//! What is said of configuration that is wrong, or that will not work as written.

mod cluster_objects;
mod codes;
mod duration;
mod guide;
mod recognize;
mod regex;
mod round_trip;

use crate::pipeline::{Input, validate};
use crate::state::{Diagnostic, Severity};

#[test]
fn every_mistake_is_reported_with_place_and_expectation() {
    check(include_str!("mistakes.txt"), Severity::Error);
}

#[test]
fn fields_without_effect_are_reported() {
    check(include_str!("warnings.txt"), Severity::Warning);
}

#[test]
fn timeouts_of_sessions_without_effect_are_reported() {
    let fields = |persistence: &str| -> Vec<String> {
        let spec = format!(
            "  parentRefs: [{{group: '', kind: Service, name: orders}}]\n  rules: [{{sessionPersistence: {{{persistence}}}, backendRefs: \
             [{{name: orders}}]}}]\n"
        );
        let input = |name: &str, text: String| Input::Text { name: name.to_owned(), text };
        let found = validate(&[
            input("base.yaml", BASE.to_owned()),
            input("case.yaml", document("GRPCRoute", &spec)),
        ]);
        let found = found.iter().filter(|one| one.file == "case.yaml" && one.clients.is_empty());
        found.map(|one| one.field.replace("spec.rules[0].sessionPersistence.", "")).collect()
    };
    assert_eq!(fields("idleTimeout: 1h"), ["idleTimeout"]);
    assert_eq!(fields("absoluteTimeout: 1h"), ["absoluteTimeout"]);
    assert_eq!(fields("type: Header, absoluteTimeout: 1h"), ["absoluteTimeout"]);
    assert!(fields("absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}").is_empty());
}

/// Whatever part of a file has been written, reading it comes to an end.
#[test]
fn truncated_file_does_not_panic() {
    for case in include_str!("mistakes.txt").split("== ").skip(1).map(Case::new) {
        for (end, _) in case.text.char_indices().step_by(7) {
            validate(&[Input::Text { name: "half.yaml".to_owned(), text: case.text[..end].to_owned() }]);
        }
    }
}

/// Runs a table: each case has exactly one diagnostic of `severity`, at the marker. What is referred to stands in `BASE`.
fn check(table: &str, severity: Severity) {
    let failures: Vec<String> =
        table.split("== ").skip(1).filter_map(|case| Case::new(case).failure(severity)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A case: its name, `kind:`, `field:`, `message:` (a part of it), then the spec in YAML with `¦` where the diagnostic
/// points; without a marker it points at `spec`. Without a kind, the text is the whole file.
struct Case<'a> {
    name: &'a str,
    field: &'a str,
    message: &'a str,
    text: String,
    line: usize,
    column: usize,
}

impl<'a> Case<'a> {
    fn new(case: &'a str) -> Self {
        let mut lines = case.splitn(5, '\n');
        let name = lines.next().unwrap();
        let mut value =
            |key: &str| lines.next().unwrap().strip_prefix(key).unwrap_or_else(|| panic!("{name}")).trim();
        let (kind, field, message) = (value("kind:"), value("field:"), value("message:"));
        let marked = document(kind, lines.next().unwrap());
        let (line, column) = marked.split_once('¦').map_or((4, 1), |(before, _)| {
            (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap().chars().count() + 1)
        });
        Self { name, field, message, text: marked.replace('¦', ""), line, column }
    }

    fn failure(&self, severity: Severity) -> Option<String> {
        let input = |name: &str, text: &str| Input::Text { name: name.to_owned(), text: text.to_owned() };
        let found = validate(&[input("base.yaml", BASE), input("case.yaml", &self.text)]);
        let found: Vec<&Diagnostic> =
            found.iter().filter(|one| one.file == "case.yaml" && one.severity == severity).collect();
        let is_right = |one: &Diagnostic| {
            one.field == self.field
                && one.message.contains(self.message)
                && usize::try_from(one.line).unwrap() == self.line
                && usize::try_from(one.column).unwrap() == self.column
        };
        match found.as_slice() {
            [one] if is_right(one) => None,
            _ => {
                let Self { name, field, message, text, line, column } = self;
                let found = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                Some(format!(
                    "{name}: expected {line}:{column}: {field}: {message}, found\n{found}\nin\n{text}"
                ))
            }
        }
    }
}

fn document(kind: &str, spec: &str) -> String {
    let version = match kind {
        "" => return spec.to_owned(),
        "GRPCRoute" | "HTTPRoute" | "ReferenceGrant" => "gateway.networking.k8s.io/v1",
        "Service" => "v1",
        "TrafficPolicy" | "MeshConfig" | "RateLimitPolicy" => "mesh.dev/v1alpha1",
        "PeerAuthentication" | "RequestAuthentication" | "AuthorizationPolicy" => "security.istio.io/v1",
        _ => "networking.istio.io/v1",
    };
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: case, namespace: shop}}\nspec:\n{spec}")
}

/// Three services, one with two ports and one with a subset.
const BASE: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 80, name: grpc, protocol: GRPC}]
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: users, namespace: shop}
spec:
  hosts: [users.shop.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 80, name: grpc}, {number: 81, name: admin}]
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: carts, namespace: shop}
spec:
  hosts: [carts.shop.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 80, name: grpc}]
  endpoints: [{address: 10.0.0.3, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: carts, namespace: shop}
spec:
  host: carts
  subsets: [{name: v1, labels: {version: v1}}]
";
