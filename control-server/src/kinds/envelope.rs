//! `apiVersion`, `kind`, `metadata`: from a document to an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::object::{Kind, Metadata, Object, ObjectId, Spec, diagnostic};
use super::origin::Origin;
use super::{
    check, destination_rule, endpoint_slice, grpc_route, reference_grant, service, service_entry,
    virtual_service, workload_entry,
};
use crate::finding::{Finding, Findings};
use crate::state::Diagnostic;
use crate::yaml::{FieldPath, Node, Value, decode, did_you_mean};

/// One object of a document after decoding.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Its identity, if that could be read.
    pub(crate) id: Option<ObjectId>,
    /// The object, if it is valid.
    pub(crate) object: Option<Arc<Object>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Every object of a document: itself, or the items of a `List`.
pub(crate) fn decode_document(file: &Arc<str>, node: Node) -> Vec<Decoded> {
    if node.text("kind") != Some("List") {
        return vec![decode_object(file, &node)];
    }
    let Value::Mapping(entries) = node.value else { return Vec::new() };
    let items = entries.into_iter().find(|(key, _)| key.name == "items").map(|(_, items)| items.value);
    match items {
        Some(Value::Sequence(items)) => items.iter().map(|item| decode_object(file, item)).collect(),
        _ => Vec::new(),
    }
}

fn decode_object(file: &Arc<str>, node: &Node) -> Decoded {
    let origin = Origin::file(file, node);
    let mut findings = Findings::default();
    let head = read_head(node, &mut findings);
    let id = head.as_ref().map(|(id, _)| id.clone());
    let content = head.and_then(|(id, metadata)| {
        let spec = read_spec(id.kind, &metadata, node, &mut findings)?;
        Some((id, metadata, spec))
    });
    let name = id.as_ref().map_or_else(String::new, ToString::to_string);
    let diagnostics = findings.iter().map(|finding| diagnostic(&origin, &name, finding)).collect();
    let content = content.filter(|_| !findings.has_errors());
    let object = content.map(|(id, metadata, spec)| Arc::new(Object { id, metadata, spec, origin }));
    Decoded { id, object, diagnostics }
}

/// The object's identity. An invalid object has one too if its name can be read.
fn read_head(node: &Node, findings: &mut Findings) -> Option<(ObjectId, Metadata)> {
    let root = FieldPath::root();
    let Value::Mapping(entries) = &node.value else {
        findings.error(
            root,
            format!("found {node}, expected an object with apiVersion, kind, metadata and spec"),
        );
        return None;
    };
    let kind = read_kind(node, findings)?;
    // The fields of an EndpointSlice stand beside its head; decoding them reports the unknown ones.
    let unknown = |name: &str| kind != Kind::EndpointSlice && !FIELDS.contains(&name);
    for (key, _) in entries.iter().filter(|(key, _)| unknown(&key.name)) {
        let message = format!("unknown field{}", did_you_mean(&key.name, FIELDS));
        findings.push(Finding::error(root.key(&key.name), message).at(key.at));
    }
    let Some(metadata) = node.field("metadata").filter(|node| node.value != Value::Null) else {
        findings.error(root.field("metadata"), "required, but not set");
        return None;
    };
    let path = root.field("metadata");
    let metadata: RawMetadata = decode(metadata, &path, findings)?;
    check::name(&metadata.name, &path.field("name"), findings);
    check::name(&metadata.namespace, &path.field("namespace"), findings);
    let created = metadata.creation_timestamp.as_deref().and_then(|text| {
        let time = utc_timestamp(text);
        if time.is_none() {
            let message = format!("found the text `{text}`, expected a time such as `2026-03-01T12:00:00Z`");
            findings.error(path.field("creationTimestamp"), message);
        }
        time
    });
    let id = ObjectId { kind, namespace: metadata.namespace, name: metadata.name };
    let mut annotations = metadata.annotations;
    annotations.remove(LAST_APPLIED);
    let (generation, uid) = (metadata.generation, metadata.uid);
    Some((id, Metadata { labels: metadata.labels, annotations, created, generation, uid }))
}

fn read_kind(node: &Node, findings: &mut Findings) -> Option<Kind> {
    let root = FieldPath::root();
    let mut text = |name: &'static str| {
        let found = node.field(name);
        let text = node.text(name);
        if text.is_none() {
            let message = found.map_or_else(
                || "required, but not set".to_owned(),
                |found| format!("found {found}, expected text"),
            );
            findings.error(root.field(name), message);
        }
        text
    };
    let (kind, version) = (text("kind"), text("apiVersion"));
    let kind = match Kind::from_name(kind?) {
        Ok(kind) => kind,
        Err(message) => {
            findings.error(root.field("kind"), message);
            return None;
        }
    };
    let known = kind.api_versions();
    let version = version?;
    if !known.contains(&version) {
        let message = format!(
            "found `{version}`, expected one of {} for a {}{}",
            known.join(", "),
            kind.name(),
            did_you_mean(version, known.iter().copied())
        );
        findings.error(root.field("apiVersion"), message);
    }
    Some(kind)
}

fn read_spec(kind: Kind, metadata: &Metadata, node: &Node, findings: &mut Findings) -> Option<Spec> {
    if kind == Kind::EndpointSlice {
        return endpoint_slice::read(node, &metadata.labels, findings).map(Spec::EndpointSlice);
    }
    let path = FieldPath::spec();
    let Some(spec) = node.field("spec").filter(|node| node.value != Value::Null) else {
        findings.error(path, "required, but not set");
        return None;
    };
    match kind {
        Kind::ServiceEntry => service_entry::read(spec, &path, findings).map(Spec::ServiceEntry),
        Kind::WorkloadEntry => workload_entry::read(spec, &path, findings).map(Spec::WorkloadEntry),
        Kind::VirtualService => virtual_service::read(spec, &path, findings).map(Spec::VirtualService),
        Kind::DestinationRule => {
            destination_rule::read(spec, &path, findings).map(Box::new).map(Spec::DestinationRule)
        }
        Kind::GrpcRoute => grpc_route::read(spec, &path, findings).map(Spec::GrpcRoute),
        Kind::Service => service::read(spec, &path, findings).map(Box::new).map(Spec::Service),
        Kind::ReferenceGrant => reference_grant::read(spec, &path, findings).map(Spec::ReferenceGrant),
        Kind::EndpointSlice => None,
    }
}

/// `metadata`, with the fields that only a cluster writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are accepted and mean nothing here")]
struct RawMetadata {
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    creation_timestamp: Option<String>,
    generate_name: Option<String>,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    deletion_grace_period_seconds: IgnoredAny,
    generation: Option<i64>,
    uid: Option<String>,
    #[serde(default)]
    resource_version: IgnoredAny,
    #[serde(default)]
    self_link: IgnoredAny,
    #[serde(default)]
    managed_fields: IgnoredAny,
    #[serde(default)]
    owner_references: IgnoredAny,
    #[serde(default)]
    finalizers: IgnoredAny,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// RFC 3339 in UTC, as a cluster writes it.
fn utc_timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|_| text.ends_with('Z'))
}

/// The whole object as `kubectl apply` sent it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The fields that every object has.
pub(super) const HEAD: &[&str] = &["apiVersion", "kind", "metadata"];
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
