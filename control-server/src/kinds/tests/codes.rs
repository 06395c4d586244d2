//! Codes of diagnostics: their names are stable.

use crate::pipeline::{Input, validate};

/// The code and the severity of every diagnostic, as programs see them.
fn codes(text: &str) -> Vec<(String, String)> {
    let found = validate(&[Input::Text { name: "case.yaml".to_owned(), text: text.to_owned() }]);
    let text = |json: &serde_json::Value, name: &str| json[name].as_str().unwrap().to_owned();
    let found = found.iter().map(|one| serde_json::to_value(one).unwrap());
    found.map(|json| (text(&json, "code"), text(&json, "severity"))).collect()
}

#[test]
fn diagnostics_have_codes() {
    let workload = |spec: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: a}}, spec: {spec}}}"
        )
    };
    let rule = |http: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: a}}, spec: {{hosts: [a.b], http: [{http}]}}}}"
        )
    };
    let cases = [
        ("a: [".to_owned(), "InvalidSyntax", "error"),
        ("{apiVersion: networking.istio.io/v1, kind: WorkloadEntri}".to_owned(), "UnknownKind", "error"),
        (workload("{address: 10.0.0.1}").replace("io/v1", "io/v7"), "UnknownKind", "error"),
        ("{apiVersion: v1, kind: List}".to_owned(), "MissingField", "error"),
        (workload("{address: 10.0.0.1, wieght: 1}"), "UnknownField", "error"),
        (workload("{weight: 1}"), "MissingField", "error"),
        (workload("{address: 10.0.0.1, weight: }"), "MissingField", "error"),
        (workload("{address: 10.0.0.1, weight: x}"), "InvalidValue", "error"),
        (workload("{address: 10.0.0.300}"), "InvalidValue", "error"),
        (workload("{address: 'unix:///a'}"), "Unsupported", "error"),
        (workload("{address: 10.0.0.1, network: n}"), "NoEffect", "warning"),
        (
            rule("{match: [{uri: {regex: 'a++'}}], route: [{destination: {host: a.b}}]}"),
            "InvalidRegex",
            "error",
        ),
        (
            rule("{match: [{queryParams: {a: {exact: b}}}], route: [{destination: {host: a.b}}]}"),
            "Unsupported",
            "error",
        ),
        (
            [workload("{address: 10.0.0.1}"), workload("{address: 10.0.0.2}")].join("\n---\n"),
            "Duplicate",
            "error",
        ),
    ];
    for (text, code, severity) in cases {
        let found = codes(&text);
        assert!(found.contains(&(code.to_owned(), severity.to_owned())), "{text}: {found:?}");
    }
}

#[test]
fn diagnostics_name_the_clients_that_they_are_about() {
    let rule = |policy: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: a}}, spec: {{host: a.b, trafficPolicy: {policy}}}}}"
        )
    };
    let cases = [
        (
            "{connectionPool: {http: {useClientProtocol: true}}}",
            "connectionPool.http.useClientProtocol",
            serde_json::Value::Null,
        ),
        ("{retryBudget: {percent: 5}}", "retryBudget", serde_json::json!(["Grpc"])),
        ("{outlierDetection: {consecutive5xxErrors: 7}}", "outlierDetection", serde_json::json!(["Grpc"])),
        (
            "{outlierDetection: {minHealthPercent: 30}}",
            "outlierDetection.minHealthPercent",
            serde_json::json!(["Grpc", "MeshTonic"]),
        ),
    ];
    for (policy, field, clients) in cases {
        let found = validate(&[Input::Text { name: "case.yaml".to_owned(), text: rule(policy) }]);
        let field = format!("spec.trafficPolicy.{field}");
        let one =
            found.iter().find(|one| one.field == field).unwrap_or_else(|| panic!("{policy}: {found:?}"));
        assert_eq!(serde_json::to_value(one).unwrap()["clients"], clients, "{policy}");
    }
}

#[test]
fn code_of_a_later_version_is_read() {
    let found = validate(&[Input::Text { name: "case.yaml".to_owned(), text: "a: [".to_owned() }]);
    let mut json = serde_json::to_value(&found[0]).unwrap();
    json["code"] = "FromTheFuture".into();
    let read: crate::state::Diagnostic = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read.code, crate::state::Code::Other);
    json.as_object_mut().unwrap().remove("code");
    let read: crate::state::Diagnostic = serde_json::from_value(json).unwrap();
    assert_eq!(read.code, crate::state::Code::Other);
}
