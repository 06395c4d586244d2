//! The xDS node: the client as it describes itself to xDS servers.

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

    /// The node as a load-reporting stream sends it (BS-28).
    pub(crate) fn to_load_report_proto(&self) -> core::Node {
        let mut node = self.to_proto();
        node.client_features.push("envoy.lrs.supports_send_all_clusters".to_owned());
        node
    }
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
