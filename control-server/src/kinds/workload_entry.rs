//! `WorkloadEntry`: one endpoint. Also the type of a `ServiceEntry`'s own endpoints.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check;
use super::effect::{self, Effect};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// An endpoint's address and properties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkloadEntry {
    /// An IP literal, or a host name if the service is resolved by DNS.
    pub(crate) address: String,
    /// Ports by the name of the service's port; they win over its `targetPort`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) ports: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: Arc<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) network: String,
    /// `region/zone/subzone`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) locality: String,
    /// Its share, relative to the others; 1 if unset.
    pub(crate) weight: Option<u32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) service_account: String,
}

/// Labels of which equal ones are one allocation: of many endpoints nearly all have the same few.
#[derive(Debug, Default)]
pub(crate) struct SharedLabels(HashSet<Arc<BTreeMap<String, String>>>);

impl SharedLabels {
    pub(crate) fn share(&mut self, entry: &mut WorkloadEntry) {
        match self.0.get(&entry.labels) {
            Some(known) => entry.labels = Arc::clone(known),
            None => drop(self.0.insert(Arc::clone(&entry.labels))),
        }
    }
}

/// The address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(IpAddr),
    Name(String),
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<WorkloadEntry> {
    let entry: WorkloadEntry = decode(spec, path, findings)?;
    entry.check(path, findings);
    effect::warn(EFFECTS, spec, findings);
    Some(entry)
}

impl WorkloadEntry {
    /// The address, if it is an IP address.
    pub(crate) fn parsed_address(&self) -> Option<Address> {
        match self.address.parse() {
            Ok(ip) => Some(Address::Ip(ip)),
            Err(_) if is_dns_name(&self.address) => Some(Address::Name(self.address.clone())),
            Err(_) => None,
        }
    }

    pub(crate) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.address.starts_with("unix://") {
            let message = "rejected because gRPC clients get endpoints as IP addresses: found a Unix socket";
            findings.unsupported(path.field("address"), message);
        } else if self.parsed_address().is_none() {
            let message = format!("found `{}`, expected an IP address or a host name", self.address);
            findings.error(path.field("address"), message);
        }
        for (name, port) in &self.ports {
            check::port(*port, &path.field("ports").key(name), findings);
        }
        if self.locality.split('/').count() > 3 {
            let message = format!("found `{}`, expected `region/zone/subzone`", self.locality);
            findings.error(path.field("locality"), message);
        }
        if self.weight == Some(0) {
            findings.warning(path.field("weight"), "an endpoint of weight 0 gets no calls: it is left out");
        }
    }
}

/// A host name that is not meant to be an IP address.
fn is_dns_name(name: &str) -> bool {
    check::is_host(name)
        && !name.rsplit('.').next().unwrap_or_default().bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) const EFFECTS: &[Effect] =
    &[Effect { field: "network", message: super::service_entry::NETWORK, clients: &[] }];
