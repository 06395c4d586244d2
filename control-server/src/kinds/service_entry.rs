//! `ServiceEntry`: a service and the source of its endpoints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{self, Wildcard};
use super::effect::{self, Effect};
use super::workload_entry::{Address, WorkloadEntry};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode, did_you_mean};

/// A service under one or more host names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceEntry {
    pub(crate) hosts: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    pub(crate) ports: Vec<Port>,
    #[serde(default)]
    pub(crate) location: Location,
    #[serde(default)]
    pub(crate) resolution: Resolution,
    #[serde(default)]
    pub(crate) endpoints: Vec<WorkloadEntry>,
    pub(crate) workload_selector: Option<WorkloadSelector>,
    #[serde(default)]
    pub(crate) export_to: Vec<String>,
    #[serde(default)]
    pub(crate) subject_alt_names: Vec<String>,
}

/// A port of the service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) number: u32,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) protocol: String,
    /// The endpoints' port, if it differs.
    pub(crate) target_port: Option<u32>,
}

/// Whether its endpoints are members of the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Location {
    #[default]
    MeshExternal,
    MeshInternal,
}

/// The source of endpoints' addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Resolution {
    #[default]
    None,
    Static,
    Dns,
    DnsRoundRobin,
    DynamicDns,
}

/// Which `WorkloadEntry` objects of the namespace are the endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct WorkloadSelector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<ServiceEntry> {
    let entry: ServiceEntry = decode(spec, path, findings)?;
    entry.check(path, findings);
    effect::warn(EFFECTS, spec, findings);
    Some(entry)
}

impl ServiceEntry {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        self.check_hosts(&path.field("hosts"), findings);
        self.check_ports(&path.field("ports"), findings);
        match self.resolution {
            Resolution::Static | Resolution::Dns | Resolution::DnsRoundRobin => {}
            Resolution::None | Resolution::DynamicDns => {
                let message = "rejected because gRPC clients need endpoints, and a service without any needs a sidecar: expected STATIC or DNS";
                findings.unsupported(path.field("resolution"), message);
            }
        }
        if let Some(selector) = &self.workload_selector {
            if !self.endpoints.is_empty() {
                let message = "found both workloadSelector and endpoints, expected one of them";
                findings.error(path.field("workloadSelector"), message);
            }
            if selector.labels.is_empty() {
                let message = "found no label, expected those of the WorkloadEntry objects that are meant";
                findings.error(path.field("workloadSelector").field("labels"), message);
            }
        } else if self.resolution == Resolution::Static && self.endpoints.is_empty() {
            findings.warning(path.field("endpoints"), "no endpoints: calls fail until there are some");
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            self.check_endpoint(endpoint, &path.field("endpoints").index(index), findings);
        }
        check::export_to(&self.export_to, &path.field("exportTo"), findings);
    }

    fn check_hosts(&self, path: &FieldPath, findings: &mut Findings) {
        if self.hosts.is_empty() || self.hosts.len() > 256 {
            findings.error(path.clone(), format!("found {} hosts, expected 1 to 256", self.hosts.len()));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let path = path.index(index);
            check::host(host, Wildcard::Allowed, &path, findings);
            if host.starts_with("*.") {
                findings.warning(path, "skipped: a client asks for services by name, a wildcard has none");
            }
        }
        let hosts = self.hosts.iter().map(|host| host.to_ascii_lowercase());
        check::unique(hosts, |index| path.index(index), findings);
    }

    fn check_ports(&self, path: &FieldPath, findings: &mut Findings) {
        if self.ports.is_empty() {
            findings.error(path.clone(), "found no port, expected at least one");
        }
        for (index, port) in self.ports.iter().enumerate() {
            let path = path.index(index);
            check::port(port.number, &path.field("number"), findings);
            if let Some(target) = port.target_port {
                check::port(target, &path.field("targetPort"), findings);
            }
            check_protocol(&port.protocol, &path.field("protocol"), findings);
        }
        check::unique(
            self.ports.iter().map(|port| &port.name),
            |index| path.index(index).field("name"),
            findings,
        );
        check::unique(
            self.ports.iter().map(|port| port.number),
            |index| path.index(index).field("number"),
            findings,
        );
    }

    fn check_endpoint(&self, endpoint: &WorkloadEntry, path: &FieldPath, findings: &mut Findings) {
        endpoint.check(path, findings);
        if self.resolution == Resolution::Static
            && let Some(Address::Name(name)) = endpoint.parsed_address()
        {
            let message = format!("found the name `{name}`, expected an IP address: resolution is STATIC");
            findings.error(path.field("address"), message);
        }
        for name in endpoint.ports.keys() {
            if !self.ports.iter().any(|port| port.name == *name) {
                let names = self.ports.iter().map(|port| port.name.as_str());
                let known = names.clone().collect::<Vec<_>>().join(", ");
                let message = format!(
                    "no port of the service has this name: expected {known}{}",
                    did_you_mean(name, names)
                );
                findings.error(path.field("ports").key(name), message);
            }
        }
    }
}

fn check_protocol(protocol: &str, path: &FieldPath, findings: &mut Findings) {
    match protocol.to_ascii_uppercase().as_str() {
        "" | "GRPC" | "HTTP2" | "HTTP" => {}
        "HTTPS" | "TCP" | "TLS" | "MONGO" => {
            findings
                .warning(path.clone(), "gRPC clients call this port by HTTP/2 in plaintext like any other");
        }
        _ => {
            let known = ["HTTP", "HTTPS", "GRPC", "HTTP2", "MONGO", "TCP", "TLS"];
            let expected = known.join(", ");
            let message =
                format!("found `{protocol}`, expected one of {expected}{}", did_you_mean(protocol, known));
            findings.error(path.clone(), message);
        }
    }
}

pub(super) const NETWORK: &str = "ignored: every endpoint is taken to be reachable";

pub(super) const EFFECTS: &[Effect] = &[
    Effect {
        field: "addresses",
        message: "ignored by gRPC clients: they ask for services by name",
        clients: &[],
    },
    Effect { field: "endpoints[].network", message: NETWORK, clients: &[] },
];
