//! The xDS node: the client as it describes itself to xDS servers.

use std::path::Path;

use mesh_core::config::LocalityId;
use serde_json::{Map, Value};
use xds_proto::envoy::config::core::v3 as core;
use xds_proto::google::protobuf::{ListValue, Struct, Value as ProtoValue, value::Kind};

/// The xDS node as the operator configures it. The library adds its own name, version and features on the wire.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Node {
    /// Unique in the mesh; part of error texts.
    pub id: String,
    /// The service or group that it belongs to.
    pub cluster: String,
    /// Where it runs.
    pub locality: LocalityId,
    /// Anything else that the control plane should know.
    pub metadata: Map<String, Value>,
}

impl Node {
    /// A node with an id only.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The node as an ADS stream sends it.
    pub(crate) fn to_proto(&self) -> core::Node {
        let LocalityId { region, zone, sub_zone } = self.locality.clone();
        core::Node {
            id: self.id.clone(),
            cluster: self.cluster.clone(),
            // BS-29
            locality: (self.locality != LocalityId::default()).then_some(core::Locality {
                region,
                zone,
                sub_zone,
            }),
            metadata: (!self.metadata.is_empty()).then(|| to_struct(&self.metadata)),
            // BS-25
            user_agent_name: USER_AGENT_NAME.to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
                env!("CARGO_PKG_VERSION").to_owned(),
            )),
            client_features: CLIENT_FEATURES.map(str::to_owned).into(),
            ..core::Node::default()
        }
    }

    /// The node of this process: with `PROCESS` in its metadata (`host`, `pid`, `program`), unless the bootstrap has one. It tells
    /// processes with the same bootstrap apart, and means nothing else. `ALLOWED_GRPC_SERVICES` are those of the bootstrap, if it has
    /// any: a control plane that knows them names no others, for which the whole resource would be refused (A102).
    pub(super) fn of_process<'s>(&self, allowed_services: impl Iterator<Item = &'s String>) -> Self {
        let mut node = self.clone();
        node.metadata.entry("PROCESS").or_insert_with(process);
        let services: Vec<Value> = allowed_services.map(|target| Value::from(target.as_str())).collect();
        if !services.is_empty() {
            node.metadata.insert("ALLOWED_GRPC_SERVICES".to_owned(), services.into());
        }
        node
    }

    /// The node as a load-reporting stream sends it (BS-28).
    pub(crate) fn to_load_report_proto(&self) -> core::Node {
        let mut node = self.to_proto();
        node.client_features.push("envoy.lrs.supports_send_all_clusters".to_owned());
        node
    }
}

/// Texts, because numbers of a `Struct` are floating-point. What is not known is left out.
fn process() -> Value {
    let program = std::env::current_exe().ok();
    let program =
        program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.map(|name| name.trim().to_owned()).or_else(|| std::env::var("HOSTNAME").ok());
    let fields = [("host", host), ("pid", Some(std::process::id().to_string())), ("program", program)];
    fields
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?))))
        .collect::<Map<_, _>>()
        .into()
}

fn to_struct(fields: &Map<String, Value>) -> Struct {
    Struct { fields: fields.iter().map(|(key, value)| (key.clone(), to_value(value))).collect() }
}

fn to_value(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(to_value).collect() }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    ProtoValue { kind: Some(kind) }
}

const USER_AGENT_NAME: &str = "mesh-rs";

const CLIENT_FEATURES: [&str; 4] = [
    // BS-26
    "envoy.lb.does_not_support_overprovisioning",
    "xds.config.resource-in-sotw",
    // BS-27
    "xds.endpoint.supports_lb_endpoint_collection",
    // TR-35
    "xds.config.supports-resource-ttl",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn process_is_stated_unless_the_bootstrap_states_one() {
        let node = Node::new("a").of_process([].into_iter());
        let process = &node.metadata["PROCESS"];
        assert_eq!(process["pid"], json!(std::process::id().to_string()));
        assert!(
            process["program"].as_str().is_some_and(|name| !name.is_empty() && !name.contains('/')),
            "{process}"
        );
        let mut stated = Node::new("a");
        stated.metadata.insert("PROCESS".to_owned(), json!({"program": "mine"}));
        assert_eq!(stated.of_process([].into_iter()), stated);
    }

    #[test]
    fn allowed_services_are_stated_as_the_bootstrap_has_them() {
        let mut node = Node::new("a");
        node.metadata.insert("ALLOWED_GRPC_SERVICES".to_owned(), json!(["made-up:1"]));
        let node = node.of_process(["a:1".to_owned(), "b:2".to_owned()].iter());
        assert_eq!(node.metadata["ALLOWED_GRPC_SERVICES"], json!(["a:1", "b:2"]));
    }
}
