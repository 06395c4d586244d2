//! Which documents are objects, which are passed over, and which are mistakes.

use crate::kinds::{Outcome, decode_document};
use crate::yaml::parse;

/// `object`, `foreign` or `mistake` for each part of a text, with what it is called.
fn outcomes(text: &str) -> Vec<String> {
    let decoded =
        parse(text).unwrap().into_iter().flat_map(|node| decode_document(&"case.yaml".into(), &node));
    decoded
        .map(|one| match one.outcome {
            Outcome::Object(object) => format!("object {}", object.id),
            Outcome::Foreign(foreign) => {
                assert_eq!(one.diagnostics, [], "{text}");
                format!("foreign {foreign}")
            }
            Outcome::Broken(refused) => {
                assert_ne!(one.diagnostics, [], "{text}");
                refused.map_or_else(|| "mistake".to_owned(), |refused| format!("mistake in {}", refused.id))
            }
        })
        .collect()
}

#[test]
fn documents_of_others_are_told_apart_from_mistakes() {
    let spec = "metadata: {name: a}, spec: {address: 10.0.0.1}";
    for (text, expected) in FOREIGN {
        assert_eq!(outcomes(text), [*expected], "{text}");
    }
    let cases = [
        // objects
        (
            format!("{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, {spec}}}"),
            "object WorkloadEntry default/a",
        ),
        (
            format!("{{apiVersion: networking.istio.io/v1beta1, kind: WorkloadEntry, {spec}}}"),
            "object WorkloadEntry default/a",
        ),
        // mistakes
        (
            format!("{{apiVersion: networking.istio.io/v9, kind: WorkloadEntry, {spec}}}"),
            "mistake in WorkloadEntry default/a",
        ),
        (
            format!("{{apiVersion: networkng.istio.io/v1, kind: WorkloadEntry, {spec}}}"),
            "mistake in WorkloadEntry default/a",
        ),
        (format!("{{apiVersion: networking.istio.io/v1, kind: WorkloadEntri, {spec}}}"), "mistake"),
        (format!("{{apiVersion: networking.istio.io/v1, {spec}}}"), "mistake"),
        (format!("{{kind: WorkloadEntry, {spec}}}"), "mistake"),
        (format!("{{Kind: WorkloadEntry, apiversion: networking.istio.io/v1, {spec}}}"), "mistake"),
        (format!("{{{spec}}}"), "mistake"),
        ("{kind: Service}".to_owned(), "mistake"),
        ("[a]".to_owned(), "mistake"),
        ("text".to_owned(), "mistake"),
    ];
    for (text, expected) in cases {
        assert_eq!(outcomes(&text), [expected], "{text}");
    }
}

#[test]
fn lists_are_their_items() {
    let item = |name: &str| format!("{{metadata: {{name: {name}}}, spec: {{address: 10.0.0.1}}}}");
    let whole = |name: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: {name}}}, spec: {{address: 10.0.0.1}}}}"
        )
    };
    let pod = "{apiVersion: v1, kind: Pod}";
    let list = |head: &str, items: &[&str]| format!("{{{head}, items: [{}]}}", items.join(", "));
    let cases = [
        (list("apiVersion: v1, kind: List", &[]), vec![]),
        (
            list(
                "apiVersion: v1, kind: List, metadata: {resourceVersion: ''}",
                &[&whole("a"), pod, &whole("b")],
            ),
            vec!["object WorkloadEntry default/a", "foreign Pod of v1", "object WorkloadEntry default/b"],
        ),
        (
            list("apiVersion: networking.istio.io/v1, kind: WorkloadEntryList", &[&item("a"), &whole("b")]),
            vec!["object WorkloadEntry default/a", "object WorkloadEntry default/b"],
        ),
        (
            list(
                "apiVersion: v1, kind: List",
                &[&list("apiVersion: v1, kind: List", &[&whole("a")]), &item("b")],
            ),
            vec!["object WorkloadEntry default/a", "mistake"],
        ),
        (
            list("apiVersion: v1, kind: List, metdata: {}", &[&whole("a")]),
            vec!["object WorkloadEntry default/a", "mistake"],
        ),
        ("{apiVersion: v1, kind: List, itmes: []}".to_owned(), vec!["mistake"]),
    ];
    for (text, expected) in cases {
        assert_eq!(outcomes(&text), expected, "{text}");
    }
}

#[test]
fn metadata_of_an_api_server_is_accepted() {
    let text = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: a-x7k2p
  generateName: a-
  namespace: ''
  creationTimestamp: null
  deletionTimestamp: '2026-03-01T12:00:00Z'
  deletionGracePeriodSeconds: 30
  finalizers: [a/b]
  generation: 3
  uid: 8a3c1d8e
  resourceVersion: '17'
  selfLink: /a
  managedFields: [{manager: a}]
  ownerReferences: []
  annotations: {a: b}
spec: {address: 10.0.0.1}
status: {}
";
    assert_eq!(outcomes(text), ["object WorkloadEntry default/a-x7k2p"]);
}

const FOREIGN: &[(&str, &str)] = &[
    // Kubernetes' own
    (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {}}",
        "foreign Deployment of apps/v1",
    ),
    ("{apiVersion: v1, kind: Secret, metadata: {name: a}}", "foreign Secret of v1"),
    ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}", "foreign ConfigMap of v1"),
    ("{apiVersion: v1, kind: Endpoints, metadata: {name: a}}", "foreign Endpoints of v1"),
    // other kinds of groups that are known
    (
        "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: a}}",
        "foreign Sidecar of networking.istio.io/v1",
    ),
    (
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}}",
        "foreign Gateway of networking.istio.io/v1",
    ),
    (
        "{apiVersion: gateway.networking.k8s.io/v1, kind: TLSRoute, metadata: {name: a}}",
        "foreign TLSRoute of gateway.networking.k8s.io/v1",
    ),
    (
        "{apiVersion: gateway.networking.k8s.io/v1alpha2, kind: TCPRouteList, items: []}",
        "foreign TCPRouteList of gateway.networking.k8s.io/v1alpha2",
    ),
    // known names in other groups
    (
        "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}",
        "foreign Service of serving.knative.dev/v1",
    ),
    (
        "{apiVersion: gateway.solo.io/v1, kind: VirtualService}",
        "foreign VirtualService of gateway.solo.io/v1",
    ),
    // files of tools
    (
        "{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, resources: [a.yaml]}",
        "foreign Kustomization of kustomize.config.k8s.io/v1beta1",
    ),
    ("{resources: [a.yaml], namePrefix: a-}", "foreign a document without kind and apiVersion"),
    ("{apiVersion: v2, name: chart, version: 0.1.0}", "foreign a document of v2 without kind"),
    ("{apiVersion: v1, name: chart, version: 0.1.0}", "foreign a document of v1 without kind"),
    ("{replicas: 2, image: {tag: a}, metadata: {a: b}}", "foreign a document without kind and apiVersion"),
    ("{kind: Pipeline, steps: []}", "foreign Pipeline without apiVersion"),
];
