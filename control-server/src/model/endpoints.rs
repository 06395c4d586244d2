//! Endpoints of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::registry::Declaration;
use super::report::Report;
use crate::kinds::service_entry::{Port, Resolution};
use crate::kinds::workload_entry::{Address, WorkloadEntry};
use crate::kinds::{Object, Spec};
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// An endpoint of one port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) locality: Locality,
    pub(crate) ip: IpAddr,
    pub(crate) port: u32,
    /// At least 1.
    pub(crate) weight: u32,
}

/// The locality of an endpoint; any part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Locality {
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) sub_zone: String,
}

impl Locality {
    fn new(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { region: next(), zone: next(), sub_zone: next() }
    }
}

/// The workloads of one service, for all ports.
#[derive(Debug)]
pub(super) struct Workloads {
    members: Vec<Member>,
    /// The one name that all endpoints resolve from, if the service is resolved by DNS.
    name: Option<Member>,
}

/// A workload and the object that declares it.
#[derive(Debug, Clone)]
struct Member {
    entry: WorkloadEntry,
    object: Arc<Object>,
    path: FieldPath,
}

/// The source of a cluster's endpoints.
#[derive(Debug)]
pub(super) enum Located {
    Known(Vec<Endpoint>),
    ByName { host: String, port: u32 },
}

/// `WorkloadEntry` objects by namespace.
#[derive(Debug, Default)]
pub(super) struct WorkloadIndex {
    by_namespace: BTreeMap<String, Vec<Arc<Object>>>,
    selected: BTreeSet<(String, String)>,
}

impl WorkloadIndex {
    pub(super) fn new(objects: &[Sourced]) -> Self {
        let mut index = Self::default();
        for Sourced { object, .. } in objects {
            if matches!(object.spec, Spec::WorkloadEntry(_)) {
                index.by_namespace.entry(object.id.namespace.clone()).or_default().push(Arc::clone(object));
            }
        }
        for workloads in index.by_namespace.values_mut() {
            workloads.sort_by(|left, right| left.id.cmp(&right.id));
        }
        index
    }

    /// Reports workloads that no service selects.
    pub(super) fn report_unselected(&self, report: &mut Report) {
        for object in self.by_namespace.values().flatten() {
            if !self.selected.contains(&(object.id.namespace.clone(), object.id.name.clone())) {
                let message =
                    "the object has no effect: no ServiceEntry of its namespace selects these labels";
                report.warning(object, FieldPath::spec().field("labels"), message);
            }
        }
    }

    /// The objects that a service selects; none if it lists its endpoints itself.
    pub(super) fn select(&mut self, declaration: &Declaration) -> Vec<Arc<Object>> {
        let Some(selector) = &declaration.entry().workload_selector else { return Vec::new() };
        let mut found = Vec::new();
        for object in self.by_namespace.get(&declaration.object.id.namespace).into_iter().flatten() {
            if matches!(&object.spec, Spec::WorkloadEntry(entry) if has_labels(entry, &selector.labels)) {
                self.selected.insert((object.id.namespace.clone(), object.id.name.clone()));
                found.push(Arc::clone(object));
            }
        }
        found
    }
}

impl Workloads {
    /// `selected` are the objects that the service selects.
    pub(super) fn new(declaration: &Declaration, selected: &[Arc<Object>], report: &mut Report) -> Self {
        let (entry, object) = (declaration.entry(), &declaration.object);
        let mut members = match &entry.workload_selector {
            Some(_) => selected.iter().filter_map(member).collect(),
            None => inline(declaration),
        };
        members.retain(|member| member.entry.weight != Some(0));
        let is_static = entry.resolution == Resolution::Static;
        if members.is_empty() && !is_static && entry.workload_selector.is_none() && entry.endpoints.is_empty()
        {
            let address = entry.hosts[declaration.host_index].clone();
            let path = FieldPath::spec().field("hosts").index(declaration.host_index);
            let entry = WorkloadEntry::at(address);
            let name = Member { entry, object: Arc::clone(object), path };
            return Self { members, name: Some(name) };
        }
        let is_name = |member: &Member| matches!(member.entry.parsed_address(), Some(Address::Name(_)));
        if members.len() == 1 && !is_static && is_name(&members[0]) {
            return Self { name: members.pop(), members };
        }
        members.retain(|member| {
            if is_name(member) {
                let message = "the endpoint is left out: expected an IP address, because the service has other endpoints \
                               or is not resolved by DNS";
                report.error(&member.object, member.path.field("address"), message);
            }
            !is_name(member)
        });
        Self { members, name: None }
    }

    /// The endpoints of a port with these labels, each address once, in a fixed order.
    pub(super) fn of_port(&self, port: &Port, labels: &BTreeMap<String, String>) -> Located {
        if let Some(name) = &self.name {
            return Located::ByName {
                host: name.entry.address.clone(),
                port: endpoint_port(&name.entry, port),
            };
        }
        let mut by_address = BTreeMap::new();
        for member in self.members.iter().filter(|member| has_labels(&member.entry, labels)) {
            let Some(Address::Ip(ip)) = member.entry.parsed_address() else { continue };
            let endpoint = Endpoint {
                locality: Locality::new(&member.entry.locality),
                ip,
                port: endpoint_port(&member.entry, port),
                weight: member.entry.weight.unwrap_or(1),
            };
            by_address.entry((endpoint.ip, endpoint.port)).or_insert(endpoint);
        }
        let mut endpoints: Vec<Endpoint> = by_address.into_values().collect();
        endpoints.sort();
        Located::Known(endpoints)
    }

    /// Reports endpoints of a port with the address of an earlier one (EDS-09).
    pub(super) fn report_duplicates(&self, port: &Port, report: &mut Report) {
        let mut seen = BTreeSet::new();
        for member in &self.members {
            let at = (&member.entry.address, endpoint_port(&member.entry, port));
            if !seen.insert(at) {
                let message = format!("the endpoint is left out: another one has {}:{} already", at.0, at.1);
                report.warning(&member.object, member.path.field("address"), message);
            }
        }
    }
}

fn member(object: &Arc<Object>) -> Option<Member> {
    let Spec::WorkloadEntry(entry) = &object.spec else { return None };
    Some(Member { entry: entry.clone(), object: Arc::clone(object), path: FieldPath::spec() })
}

fn inline(declaration: &Declaration) -> Vec<Member> {
    let path = FieldPath::spec().field("endpoints");
    let member = |(index, entry): (usize, &WorkloadEntry)| Member {
        entry: entry.clone(),
        object: Arc::clone(&declaration.object),
        path: path.index(index),
    };
    declaration.entry().endpoints.iter().enumerate().map(member).collect()
}

fn has_labels(entry: &WorkloadEntry, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(name, value)| entry.labels.get(name) == Some(value))
}

fn endpoint_port(entry: &WorkloadEntry, port: &Port) -> u32 {
    entry.ports.get(&port.name).copied().or(port.target_port).unwrap_or(port.number)
}
