//! Every object is written as it is read, and schemas accept what is read.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use crate::kinds::{Kind, Object, Outcome, decode_document, schema};
use crate::yaml::{parse, parse_json};

/// All valid objects of the guide and of the tables of warnings, and those of a cluster.
fn objects() -> Vec<Arc<Object>> {
    let mut texts: Vec<String> = super::guide::examples().map(str::to_owned).collect();
    texts.extend(
        [include_str!("service.yaml"), include_str!("endpoint_slice.yaml"), super::BASE].map(str::to_owned),
    );
    texts.push(GRANT.to_owned());
    let cases = include_str!("warnings.txt").split("== ").skip(1);
    texts.extend(cases.map(|case| super::Case::new(case).text));
    let nodes = texts.iter().flat_map(|text| parse(text).unwrap());
    let decoded = nodes.flat_map(|node| decode_document(&"case.yaml".into(), &node));
    decoded
        .filter_map(|one| match one.outcome {
            Outcome::Object(object) => Some(object),
            _ => None,
        })
        .collect()
}

#[test]
fn objects_are_written_as_they_are_read() {
    let objects = objects();
    for object in &objects {
        let text = serde_json::to_string_pretty(&**object).unwrap();
        let again = decode_document(&"case.json".into(), &parse_json(&text).unwrap());
        let [one] = again.as_slice() else { panic!("{text}") };
        let Outcome::Object(again) = &one.outcome else { panic!("{:?}\n{text}", one.diagnostics) };
        assert_eq!((&again.id, &again.metadata), (&object.id, &object.metadata), "{text}");
        assert_eq!(again.spec, object.spec, "{text}");
    }
    for kind in Kind::ALL {
        assert!(objects.iter().any(|object| object.id.kind == kind), "{kind:?}");
    }
}

#[test]
fn schemas_accept_every_object() {
    for object in objects() {
        let value = serde_json::to_value(&*object).unwrap();
        let schema = schema(object.id.kind);
        assert_eq!(refusal(&schema, &schema, &value, ""), None, "{value:#}");
    }
}

#[test]
fn schemas_refuse_unknown_fields_and_wrong_types() {
    let schema = schema(Kind::VirtualService);
    let document = |spec: &str| -> Value {
        serde_json::from_str(&format!(
            r#"{{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {{"name": "a"}}, "spec": {spec}}}"#
        ))
        .unwrap()
    };
    let cases = [
        (r#"{"hosts": ["a"], "http": [{"timeout": "5s"}]}"#, None),
        (r#"{"hosts": ["a"], "http": [{"timeuot": "5s"}]}"#, Some("/spec/http/0/timeuot")),
        (r#"{"hosts": "a"}"#, Some("/spec/hosts")),
        (r#"{"http": [{"timeout": "5"}]}"#, Some("/spec/http/0/timeout")),
        (r#"{"http": [{"route": [{"weight": 1}]}]}"#, Some("/spec/http/0/route/0")),
        (r#"{"http": [{"redirect": {"derivePort": "any"}}]}"#, Some("/spec/http/0/redirect/derivePort")),
    ];
    for (spec, expected) in cases {
        assert_eq!(refusal(&schema, &schema, &document(spec), "").as_deref(), expected, "{spec}");
    }
}

/// The place of the first value that a schema refuses, by the keywords that ours have.
fn refusal(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let here = || Some(at.to_owned());
    for (keyword, argument) in schema.as_object().into_iter().flatten() {
        let found = match keyword.as_str() {
            "$ref" => refusal(root, root.pointer(&argument.as_str().unwrap()[1..]).unwrap(), value, at),
            "anyOf" | "oneOf" => {
                let found = argument.as_array().unwrap().iter().map(|one| refusal(root, one, value, at));
                let found: Vec<_> = found.collect();
                found
                    .iter()
                    .all(Option::is_some)
                    .then(|| found.into_iter().flatten().max_by_key(String::len))
                    .flatten()
            }
            "type" => (!has_type(argument, value)).then(here).flatten(),
            "enum" => (!argument.as_array().unwrap().contains(value)).then(here).flatten(),
            "const" => (argument != value).then(here).flatten(),
            "pattern" => {
                let regex = Regex::new(argument.as_str().unwrap()).unwrap();
                value.as_str().filter(|text| !regex.is_match(text)).and_then(|_| here())
            }
            "required" => {
                let is_missing = |name: &Value| value.get(name.as_str().unwrap()).is_none();
                (value.is_object() && argument.as_array().unwrap().iter().any(is_missing))
                    .then(here)
                    .flatten()
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items
                    .filter_map(|(index, item)| refusal(root, argument, item, &format!("{at}/{index}")))
                    .next()
            }
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let known = fields.filter_map(|(name, field)| Some((name, argument.get(name)?, field)));
                known
                    .filter_map(|(name, schema, field)| refusal(root, schema, field, &format!("{at}/{name}")))
                    .next()
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let fields = value.as_object().into_iter().flatten();
                let others = fields.filter(|(name, _)| known.is_none_or(|known| known.get(name).is_none()));
                let mut refused = others.filter_map(|(name, field)| {
                    let at = format!("{at}/{name}");
                    if *argument == Value::Bool(false) {
                        Some(at)
                    } else {
                        refusal(root, argument, field, &at)
                    }
                });
                refused.next()
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn has_type(expected: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    match expected {
        Value::String(name) => is(name),
        names => names.as_array().unwrap().iter().any(|name| is(name.as_str().unwrap())),
    }
}

const GRANT: &str = "
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: a, namespace: shop, uid: '1', generation: 2, creationTimestamp: '2026-03-01T12:00:00Z', annotations: {a: b}}
spec:
  from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: web}]
  to: [{group: '', kind: Service}]
";
