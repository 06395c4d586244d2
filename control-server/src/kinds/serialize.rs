//! Objects as documents again: what is written is read as the same object.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::object::{Metadata, Object, ObjectId, Spec};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Head<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Value>,
    /// Fields of a kind without a `spec`.
    #[serde(flatten)]
    beside: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn new(id: &'a ObjectId, metadata: &'a Metadata) -> Self {
        Self {
            name: &id.name,
            namespace: &id.namespace,
            labels: &metadata.labels,
            annotations: &metadata.annotations,
            creation_timestamp: metadata.created.map(|time| time.to_string()),
            generation: metadata.generation,
            uid: metadata.uid.as_deref(),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = serde_json::to_value(&self.spec).map_err(serde::ser::Error::custom)?;
        let (spec, beside) = match self.spec {
            Spec::EndpointSlice(_) => (None, Some(without_unset(content))),
            _ => (Some(without_unset(content)), None),
        };
        Document {
            api_version: self.id.kind.api_versions()[0],
            kind: self.id.kind.name(),
            metadata: Head::new(&self.id, &self.metadata),
            spec,
            beside,
        }
        .serialize(serializer)
    }
}

/// Without fields that are not set: what is absent is read as null and as an empty list.
fn without_unset(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let set = fields
                .into_iter()
                .filter(|(_, value)| !value.is_null() && *value != Value::Array(Vec::new()));
            Value::Object(set.map(|(name, value)| (name, without_unset(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_unset).collect()),
        other => other,
    }
}
