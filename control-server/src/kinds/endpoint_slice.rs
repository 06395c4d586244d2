//! `EndpointSlice` of Kubernetes: endpoints of a `Service`. Its fields stand beside `metadata`, without a `spec`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check;
use super::service::TransportProtocol;
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode_beside};

/// Endpoints of one service, all with the same ports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    pub(crate) address_type: AddressType,
    #[serde(default)]
    pub(crate) endpoints: Vec<SliceEndpoint>,
    #[serde(default)]
    pub(crate) ports: Vec<SlicePort>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum AddressType {
    #[serde(rename = "IPv4")]
    Ipv4,
    #[serde(rename = "IPv6")]
    Ipv6,
    #[serde(rename = "FQDN")]
    Fqdn,
}

/// One endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SliceEndpoint {
    /// All of the same endpoint; only the first one is used, as in Kubernetes.
    pub(crate) addresses: Vec<String>,
    pub(crate) conditions: EndpointConditions,
    hostname: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) hints: Option<EndpointHints>,
    /// The pod behind it, which a cluster writes.
    pub(crate) target_ref: Option<ObjectReference>,
    /// Labels of the node, as version `v1beta1` had them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    deprecated_topology: BTreeMap<String, String>,
}

/// What a cluster knows of an endpoint; what is not set is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct EndpointConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

/// Zones and nodes whose clients a cluster wants to use an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EndpointHints {
    pub(crate) for_zones: Vec<NamedPlace>,
    pub(crate) for_nodes: Vec<NamedPlace>,
}

/// A zone or a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct NamedPlace {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ObjectReference {
    api_version: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    field_path: Option<String>,
}

/// A port of all endpoints of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SlicePort {
    /// The name of the service's port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) protocol: TransportProtocol,
    /// `None`: every port.
    pub(crate) port: Option<u32>,
    pub(crate) app_protocol: Option<String>,
}

/// `node` is the whole object; `labels` are those of its metadata.
pub(crate) fn read(
    node: &Node,
    labels: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> Option<EndpointSlice> {
    let slice: EndpointSlice = decode_beside(super::envelope::HEAD, node, findings)?;
    slice.check(findings);
    if labels.get(SERVICE_NAME).is_none_or(String::is_empty) {
        let path = FieldPath::root().field("metadata").field("labels").key(SERVICE_NAME);
        findings.missing(path, "required: the name of the Service whose endpoints these are");
    }
    Some(slice)
}

impl EndpointSlice {
    fn check(&self, findings: &mut Findings) {
        let root = FieldPath::root();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let path = root.field("endpoints").index(index).field("addresses");
            if endpoint.addresses.is_empty() {
                findings.error(path.clone(), "found no address, expected at least one");
            }
            for (index, address) in endpoint.addresses.iter().enumerate() {
                self.check_address(address, &path.index(index), findings);
            }
        }
        for (index, port) in self.ports.iter().enumerate() {
            let path = root.field("ports").index(index);
            if let Some(number) = port.port {
                check::port(number, &path.field("port"), findings);
            }
        }
        let names = self.ports.iter().map(|port| &port.name);
        check::unique(names, |index| root.field("ports").index(index).field("name"), findings);
        if self.address_type == AddressType::Fqdn {
            let message = "the endpoints are left out: expected IPv4 or IPv6, because clients get addresses";
            findings.warning(root.field("addressType"), message);
        }
    }

    fn check_address(&self, address: &str, path: &FieldPath, findings: &mut Findings) {
        let (is_right, expected) = match self.address_type {
            AddressType::Ipv4 => (matches!(address.parse(), Ok(IpAddr::V4(_))), "an IPv4 address"),
            AddressType::Ipv6 => (matches!(address.parse(), Ok(IpAddr::V6(_))), "an IPv6 address"),
            AddressType::Fqdn => (check::is_host(address), "a host name"),
        };
        if !is_right {
            findings
                .error(path.clone(), format!("found `{address}`, expected {expected}, as addressType says"));
        }
    }
}

impl SliceEndpoint {
    /// The zone, also as version `v1beta1` wrote it.
    pub(crate) fn zone(&self) -> Option<&str> {
        let topology = || self.deprecated_topology.get("topology.kubernetes.io/zone");
        self.zone.as_ref().or_else(topology).map(String::as_str)
    }
}

impl EndpointConditions {
    /// Whether new calls go to the endpoint. Kubernetes takes an unknown condition for true.
    pub(crate) fn is_ready(self) -> bool {
        self.ready.unwrap_or(true)
    }

    /// Whether the endpoint answers calls, whether or not it is about to end.
    pub(crate) fn is_serving(self) -> bool {
        self.serving.unwrap_or_else(|| self.is_ready())
    }

    /// Whether the endpoint is about to end.
    pub(crate) fn is_terminating(self) -> bool {
        self.terminating.unwrap_or(false)
    }
}

/// The label that names a slice's `Service`.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
