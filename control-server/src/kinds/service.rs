//! `Service` of Kubernetes: a service by its name and namespace, and its ports.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::check;
use super::effect::{self, Effect};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// A service, declared with its ports; its endpoints stand in `EndpointSlice` objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Service {
    pub(crate) ports: Vec<ServicePort>,
    /// Labels of the pods behind it. A cluster writes `EndpointSlice` objects from them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) r#type: ServiceType,
    /// `None` as text: a headless service.
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    /// The name that an `ExternalName` service stands for.
    pub(crate) external_name: Option<String>,
    /// Endpoints that are not ready count as ready.
    pub(crate) publish_not_ready_addresses: bool,
    #[serde(rename = "externalIPs")]
    external_ips: Vec<String>,
    session_affinity: Option<String>,
    session_affinity_config: Option<SessionAffinityConfig>,
    #[serde(rename = "loadBalancerIP")]
    load_balancer_ip: Option<String>,
    load_balancer_source_ranges: Vec<String>,
    load_balancer_class: Option<String>,
    allocate_load_balancer_node_ports: Option<bool>,
    external_traffic_policy: Option<String>,
    pub(crate) internal_traffic_policy: Option<String>,
    health_check_node_port: Option<u32>,
    ip_families: Vec<String>,
    ip_family_policy: Option<String>,
    pub(crate) traffic_distribution: Option<String>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    /// May be empty if the service has one port only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) protocol: TransportProtocol,
    pub(crate) app_protocol: Option<String>,
    pub(crate) port: u32,
    pub(crate) target_port: Option<TargetPort>,
    node_port: Option<u32>,
}

/// The pods' port: a number, or the name that a pod gives to one of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetPort {
    Number(u32),
    Name(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum ServiceType {
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// What carries the bytes of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TransportProtocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: Option<ClientIpAffinity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct ClientIpAffinity {
    timeout_seconds: Option<u32>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<Service> {
    let service: Service = decode(spec, path, findings)?;
    service.check(path, findings);
    effect::warn(EFFECTS, spec, findings);
    Some(service)
}

impl Service {
    /// Whether the service has no address of its own, so that clients get those of its endpoints from DNS.
    pub(crate) fn is_headless(&self) -> bool {
        self.cluster_ip.as_deref() == Some("None")
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let ports = path.field("ports");
        for (index, port) in self.ports.iter().enumerate() {
            port.check(self.ports.len() > 1, &ports.index(index), findings);
        }
        let named: Vec<(usize, &ServicePort)> =
            self.ports.iter().enumerate().filter(|(_, port)| !port.name.is_empty()).collect();
        let place = |index: usize| ports.index(named[index].0).field("name");
        check::unique(named.iter().map(|(_, port)| &port.name), place, findings);
        let tcp = |(_, port): &(usize, &ServicePort)| port.protocol == TransportProtocol::Tcp;
        let numbers: Vec<(usize, &ServicePort)> = self.ports.iter().enumerate().filter(tcp).collect();
        let place = |index: usize| ports.index(numbers[index].0).field("port");
        check::unique(numbers.iter().map(|(_, port)| port.port), place, findings);
        if self.session_affinity.as_deref().is_some_and(|affinity| affinity != "None") {
            let message =
                "ignored by gRPC clients: a DestinationRule with `consistentHash` spreads calls by a header";
            findings.warning(path.field("sessionAffinity"), message);
        }
        if self.internal_traffic_policy.as_deref().is_some_and(|policy| policy != "Cluster") {
            let message = "ignored: clients use endpoints of every node";
            findings.warning(path.field("internalTrafficPolicy"), message);
        }
        self.check_external_name(path, findings);
    }

    fn check_external_name(&self, path: &FieldPath, findings: &mut Findings) {
        let is_external = self.r#type == ServiceType::ExternalName;
        match (&self.external_name, is_external) {
            (None, true) => findings.missing(path.field("externalName"), "required, but not set"),
            (Some(name), true) => {
                check::host(
                    name.trim_end_matches('.'),
                    check::Wildcard::Refused,
                    &path.field("externalName"),
                    findings,
                );
            }
            (_, false) if self.ports.is_empty() && !self.is_headless() => {
                findings.error(path.field("ports"), "found no port, expected at least one");
            }
            (_, false) => {}
        }
    }
}

impl ServicePort {
    fn check(&self, needs_name: bool, path: &FieldPath, findings: &mut Findings) {
        check::port(self.port, &path.field("port"), findings);
        match &self.target_port {
            Some(TargetPort::Number(number)) => check::port(*number, &path.field("targetPort"), findings),
            Some(TargetPort::Name(name)) => check::name(name, &path.field("targetPort"), findings),
            None => {}
        }
        if needs_name && self.name.is_empty() {
            findings.missing(path.field("name"), "required, because the service has several ports");
        }
        if self.protocol != TransportProtocol::Tcp {
            findings.warning(path.field("protocol"), "ignored: gRPC clients call ports of TCP only");
        }
    }
}

impl<'de> Deserialize<'de> for TargetPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetPortVisitor)
    }
}

impl Serialize for TargetPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl JsonSchema for TargetPort {
    fn schema_name() -> Cow<'static, str> {
        "TargetPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "description": "A port's number or name."})
    }
}

struct TargetPortVisitor;

impl Visitor<'_> for TargetPortVisitor {
    type Value = TargetPort;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port's number or name")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<TargetPort, E> {
        let found = || E::invalid_value(de::Unexpected::Signed(number), &self);
        u32::try_from(number).map(TargetPort::Number).map_err(|_| found())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<TargetPort, E> {
        let found = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(TargetPort::Number).map_err(|_| found())
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<TargetPort, E> {
        Ok(TargetPort::Name(name.to_owned()))
    }
}

pub(super) const EFFECTS: &[Effect] = &[
    Effect {
        field: "externalIPs",
        message: "ignored by gRPC clients: they call endpoints by their own addresses",
        clients: &[],
    },
    Effect {
        field: "trafficDistribution",
        message: "ignored: clients use endpoints of every zone",
        clients: &[],
    },
];
