//! `apiVersion`, `kind`, `metadata`: from a document to an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::object::{Kind, Metadata, Object, ObjectId, Spec, diagnostic};
use super::origin::{FileId, Origin};
use super::recognize::{Foreign, Recognized, recognize};
use super::refused::Refused;
use super::{
    authorization, check, destination_rule, endpoint_slice, grpc_route, http_route, mesh_policy,
    peer_authentication, rate_limit_policy, reference_grant, request_authentication, service, service_entry,
    virtual_service, workload_entry,
};
use crate::finding::{Finding, Findings};
use crate::state::{Code, Diagnostic};
use crate::yaml::{FieldPath, Node, Value, decode_leniently, did_you_mean};

/// One object of a document after decoding.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) outcome: Outcome,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What decoding has led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A valid object.
    Object(Arc<Object>),
    /// An object with errors, if its identity could be read.
    Broken(Option<Refused>),
    /// No object of a known kind, and not meant to be one.
    Foreign(Foreign),
}

/// Every object of a document: itself, or the items of a list.
pub(crate) fn decode_document(file: &FileId, node: &Node) -> Vec<Decoded> {
    let mut decoded = Vec::new();
    decode_node(file, node, None, &mut decoded);
    decoded
}

/// `inherited` is the kind of the list around it.
fn decode_node(file: &FileId, node: &Node, inherited: Option<Kind>, decoded: &mut Vec<Decoded>) {
    let origin = Origin::file(file, node);
    let mut findings = Findings::default();
    match recognize(node, inherited, &mut findings) {
        Some(Recognized::Object(kind)) => {
            decoded.push(decode_object(kind, node, origin, findings));
        }
        Some(Recognized::List(kind)) => decode_list(file, node, kind, findings, decoded),
        Some(Recognized::Foreign(foreign)) => {
            decoded.push(Decoded { outcome: Outcome::Foreign(foreign), diagnostics: Vec::new() });
        }
        None => decoded.push(Decoded::unnamed(&origin, &findings)),
    }
}

fn decode_list(
    file: &FileId,
    node: &Node,
    kind: Option<Kind>,
    mut findings: Findings,
    decoded: &mut Vec<Decoded>,
) {
    check_fields(node, &LIST_FIELDS, &mut findings);
    let path = FieldPath::root().field("items");
    match node.field("items") {
        Some(Node { value: Value::Sequence(items), .. }) => {
            for item in items {
                decode_node(file, item, kind, decoded);
            }
        }
        Some(other) if other.value != Value::Null => {
            findings.error(path, format!("found {other}, expected a list"));
        }
        _ => findings.missing(path, "required, but not set: an empty list is `[]`"),
    }
    // The list itself has no identity: with an error in it, everything that was read of it before may be meant.
    if findings.has_errors() {
        decoded.push(Decoded::unnamed(&Origin::file(file, node), &findings));
    }
}

fn decode_object(kind: Kind, node: &Node, origin: Origin, mut findings: Findings) -> Decoded {
    let head = read_head(kind, node, &mut findings);
    let id = head.as_ref().map(|(id, _)| id.clone());
    let content = head.and_then(|(id, metadata)| {
        let spec = read_spec(&id, &metadata, node, &mut findings)?;
        Some((id, metadata, spec))
    });
    match content.filter(|_| !findings.has_errors()) {
        Some((id, metadata, spec)) => {
            let diagnostics = diagnostics(&origin, Some(&id), &findings);
            let object = Arc::new(Object { id, metadata, spec, origin });
            Decoded { outcome: Outcome::Object(object), diagnostics }
        }
        None => {
            let diagnostics = diagnostics(&origin, id.as_ref(), &findings);
            let refused = id.map(|id| Refused::new(id, node, origin));
            Decoded { outcome: Outcome::Broken(refused), diagnostics }
        }
    }
}

impl Decoded {
    /// With errors, and without an identity.
    fn unnamed(origin: &Origin, findings: &Findings) -> Self {
        Self { outcome: Outcome::Broken(None), diagnostics: diagnostics(origin, None, findings) }
    }
}

fn diagnostics(origin: &Origin, id: Option<&ObjectId>, findings: &Findings) -> Vec<Diagnostic> {
    let name = id.map_or_else(String::new, ToString::to_string);
    findings.iter().map(|finding| diagnostic(origin, &name, finding)).collect()
}

/// Reports fields that are not `known`.
fn check_fields(node: &Node, known: &[&str], findings: &mut Findings) {
    let Value::Mapping(entries) = &node.value else { return };
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
        let message = format!("unknown field{}", did_you_mean(&key.name, known.iter().copied()));
        let finding = Finding::error(FieldPath::root().key(&key.name), message).code(Code::UnknownField);
        findings.push(finding.at(key.at));
    }
}

/// The object's identity. An invalid object has one too if its name can be read.
fn read_head(kind: Kind, node: &Node, findings: &mut Findings) -> Option<(ObjectId, Metadata)> {
    let root = FieldPath::root();
    // The fields of an EndpointSlice stand beside its head; decoding them reports the unknown ones.
    if kind != Kind::EndpointSlice {
        check_fields(node, &FIELDS, findings);
    }
    let Some(metadata) = node.field("metadata").filter(|node| node.value != Value::Null) else {
        findings.missing(root.field("metadata"), "required, but not set");
        return None;
    };
    let path = root.field("metadata");
    let metadata: RawMetadata = decode_leniently(metadata, &path, findings)?;
    let name = metadata.name.unwrap_or_default();
    if name.is_empty() {
        let message = match &metadata.generate_name {
            Some(_) => "required: only an API server makes a name of generateName",
            None => "required, but not set",
        };
        findings.missing(path.field("name"), message);
        return None;
    }
    check::name(&name, &path.field("name"), findings);
    let namespace = metadata.namespace.filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    check::name(&namespace, &path.field("namespace"), findings);
    let created = metadata.creation_timestamp.as_deref().and_then(|text| {
        let time = utc_timestamp(text);
        if time.is_none() {
            let message = format!("found the text `{text}`, expected a time such as `2026-03-01T12:00:00Z`");
            findings.error(path.field("creationTimestamp"), message);
        }
        time
    });
    let id = ObjectId { kind, namespace, name };
    let mut annotations = metadata.annotations;
    annotations.remove(LAST_APPLIED);
    let (generation, uid) = (metadata.generation, metadata.uid);
    Some((id, Metadata { labels: metadata.labels, annotations, created, generation, uid }))
}

fn read_spec(id: &ObjectId, metadata: &Metadata, node: &Node, findings: &mut Findings) -> Option<Spec> {
    let (kind, namespace) = (id.kind, id.namespace.as_str());
    if kind == Kind::EndpointSlice {
        return endpoint_slice::read(node, &metadata.labels, findings).map(Spec::EndpointSlice);
    }
    let path = FieldPath::spec();
    let Some(spec) = node.field("spec").filter(|node| node.value != Value::Null) else {
        findings.missing(path, "required, but not set");
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
        Kind::HttpRoute => http_route::read(spec, &path, findings).map(Spec::HttpRoute),
        Kind::Service => service::read(spec, &path, findings).map(Box::new).map(Spec::Service),
        Kind::ReferenceGrant => reference_grant::read(spec, &path, findings).map(Spec::ReferenceGrant),
        Kind::PeerAuthentication => {
            peer_authentication::read(spec, &path, namespace, findings).map(Spec::PeerAuthentication)
        }
        Kind::RequestAuthentication => {
            request_authentication::read(spec, &path, namespace, findings).map(Spec::RequestAuthentication)
        }
        Kind::AuthorizationPolicy => {
            authorization::read(spec, &path, namespace, metadata, findings).map(Spec::AuthorizationPolicy)
        }
        Kind::TrafficPolicy => {
            mesh_policy::read(spec, &path, namespace, findings).map(Box::new).map(Spec::TrafficPolicy)
        }
        Kind::MeshConfig => {
            mesh_policy::read_mesh_config(spec, &path, findings).map(Box::new).map(Spec::MeshConfig)
        }
        Kind::RateLimitPolicy => {
            rate_limit_policy::read(spec, &path, namespace, findings).map(Box::new).map(Spec::RateLimitPolicy)
        }
        Kind::EndpointSlice => None,
    }
}

/// `metadata`, with the fields that only a cluster writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "fields that are accepted and mean nothing here")]
struct RawMetadata {
    name: Option<String>,
    namespace: Option<String>,
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

/// RFC 3339 in UTC, as a cluster writes it.
fn utc_timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|_| text.ends_with('Z'))
}

/// The whole object as `kubectl apply` sent it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The fields that every object has.
pub(super) const HEAD: &[&str] = &["apiVersion", "kind", "metadata"];
const LIST_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "items"];
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
