//! JSON schemas of the kinds, made from their types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::authorization::AuthorizationPolicy;
use super::destination_rule::DestinationRule;
use super::endpoint_slice::EndpointSlice;
use super::grpc_route::GrpcRoute;
use super::http_route::HttpRoute;
use super::mesh_policy::{AttachedPolicy, MeshConfig};
use super::object::Kind;
use super::peer_authentication::PeerAuthentication;
use super::rate_limit_policy::RateLimitPolicy;
use super::reference_grant::ReferenceGrant;
use super::request_authentication::RequestAuthentication;
use super::service::Service;
use super::service_entry::ServiceEntry;
use super::virtual_service::VirtualService;
use super::workload_entry::WorkloadEntry;

/// The schema of a kind's documents, by JSON Schema 2020-12. It refuses unknown fields, as the control-server does; checks over
/// several fields are not in it.
pub(crate) fn schema(kind: Kind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let content = content(kind, &mut generator);
    let mut definitions = Value::Object(generator.take_definitions(true));
    refuse_unknown_fields(&mut definitions);
    let mut properties = json!({
        "apiVersion": {"enum": kind.api_versions()},
        "kind": {"const": kind.name()},
        "metadata": metadata(),
        "status": true,
    });
    let mut required = vec!["apiVersion", "kind", "metadata"];
    if kind == Kind::EndpointSlice {
        move_beside(&mut definitions, &mut properties);
        required.push("addressType");
    } else {
        properties["spec"] = content;
        required.push("spec");
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// A reference to the schema of what a kind has beside its head.
fn content(kind: Kind, generator: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    match kind {
        Kind::ServiceEntry => of::<ServiceEntry>(generator),
        Kind::WorkloadEntry => of::<WorkloadEntry>(generator),
        Kind::VirtualService => of::<VirtualService>(generator),
        Kind::DestinationRule => of::<DestinationRule>(generator),
        Kind::GrpcRoute => of::<GrpcRoute>(generator),
        Kind::HttpRoute => of::<HttpRoute>(generator),
        Kind::Service => of::<Service>(generator),
        Kind::EndpointSlice => of::<EndpointSlice>(generator),
        Kind::ReferenceGrant => of::<ReferenceGrant>(generator),
        Kind::PeerAuthentication => of::<PeerAuthentication>(generator),
        Kind::RequestAuthentication => of::<RequestAuthentication>(generator),
        Kind::AuthorizationPolicy => of::<AuthorizationPolicy>(generator),
        Kind::TrafficPolicy => of::<AttachedPolicy>(generator),
        Kind::MeshConfig => of::<MeshConfig>(generator),
        Kind::RateLimitPolicy => of::<RateLimitPolicy>(generator),
    }
}

/// The fields of an EndpointSlice stand beside its head.
fn move_beside(definitions: &mut Value, properties: &mut Value) {
    let slice = definitions.as_object_mut().and_then(|all| all.remove(Kind::EndpointSlice.name()));
    let fields = slice.and_then(|mut slice| slice.get_mut("properties").map(Value::take));
    if let (Some(Value::Object(fields)), Some(properties)) = (fields, properties.as_object_mut()) {
        properties.extend(fields);
    }
}

fn refuse_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(refuse_unknown_fields);
            let is_type = fields.get("type").is_some_and(|name| name == "object");
            if is_type && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown_fields),
        _ => {}
    }
}

/// The fields that are used, and any others that a cluster writes.
fn metadata() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let fields: Map<String, Value> = [
        ("name", json!({"type": "string"})),
        ("namespace", json!({"type": "string", "description": "`default` if it is unset or empty."})),
        ("labels", texts.clone()),
        ("annotations", texts),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect();
    json!({"type": "object", "properties": fields, "required": ["name"]})
}
