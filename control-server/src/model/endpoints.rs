//! Endpoints of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::declaration::{Declaration, Part, PartKind, Port, Target};
use super::index::Reader;
use super::key::Key;
use super::report::Report;
use super::viewer::Labels;
use crate::kinds::endpoint_slice::{AddressType, EndpointSlice, SlicePort};
use crate::kinds::service::{Service, ServiceType, TransportProtocol};
use crate::kinds::service_entry::{Resolution, ServiceEntry};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::{Object, Spec};
use crate::resources::{Locality, TOPOLOGY};
use crate::yaml::FieldPath;

/// An endpoint of one port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) locality: Locality,
    pub(crate) ip: IpAddr,
    pub(crate) port: u32,
    /// At least 1.
    pub(crate) weight: u32,
    /// The values of the labels that a cluster's failover goes by, in its order; empty: it goes by none.
    pub(crate) failover_labels: Vec<Option<String>>,
}

/// The workloads of one service, by the object that declares them.
#[derive(Debug)]
pub(super) struct Workloads<'a> {
    groups: Vec<Group<'a>>,
}

/// The workloads of one declaring object.
#[derive(Debug)]
struct Group<'a> {
    ports: Vec<Port<'a>>,
    members: Vec<Member<'a>>,
    /// The names that clients resolve, if the service is resolved by DNS.
    names: Vec<Name<'a>>,
}

/// A workload and the object that declares it.
#[derive(Debug, Clone)]
struct Member<'a> {
    address: &'a str,
    labels: &'a Labels,
    weight: u32,
    locality: Locality,
    ports: Ports<'a>,
    object: &'a Arc<Object>,
    path: FieldPath,
}

/// The ports of a workload.
#[derive(Debug, Clone, Copy)]
enum Ports<'a> {
    /// By the name of the service's port; other ports are the service's.
    Named(&'a BTreeMap<String, u32>),
    /// These and no other.
    Listed(&'a [SlicePort]),
}

/// A name that clients resolve.
#[derive(Debug)]
struct Name<'a> {
    address: &'a str,
    /// `None`: it is the host itself, which has no labels and belongs to every subset.
    labels: Option<&'a Labels>,
    weight: u32,
    ports: Option<&'a BTreeMap<String, u32>>,
}

/// The endpoints of a port: known ones, and names that clients resolve.
#[derive(Debug, Default)]
pub(super) struct Located {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) names: Vec<NamedEndpoint>,
}

/// An endpoint whose address clients resolve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedEndpoint {
    pub(super) host: String,
    pub(super) port: u32,
    /// At least 1.
    pub(super) weight: u32,
}

impl Located {
    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.names.is_empty()
    }
}

impl<'a> Workloads<'a> {
    pub(super) fn new(declaration: &Declaration<'a>, reader: &Reader<'a>, report: &mut Report) -> Self {
        let host = declaration.host();
        let groups = declaration.parts().iter().map(|part| match part.kind {
            PartKind::Entry(entry) => Group::of_entry(host, part, entry, reader, report),
            PartKind::Service(service) => Group::of_service(part, service, reader),
        });
        Self { groups: groups.collect() }
    }

    /// The endpoints of a port with these labels, each address once, in a fixed order. `failover` are the labels that the
    /// cluster's failover goes by.
    pub(super) fn of_port(&self, number: u32, labels: &Labels, failover: &[String]) -> Located {
        let mut by_address = BTreeMap::new();
        for (port, group) in self.with_port(number) {
            for member in group.members.iter().filter(|member| has_labels(member.labels, labels)) {
                let (Ok(ip), Some(port)) = (member.address.parse(), member.ports.of(port)) else { continue };
                by_address.entry((ip, port)).or_insert_with(|| member.endpoint(ip, port, failover));
            }
        }
        let mut endpoints: Vec<Endpoint> = by_address.into_values().collect();
        endpoints.sort();
        let mut names: Vec<NamedEndpoint> = Vec::new();
        for (port, group) in self.with_port(number) {
            let is_meant = |name: &&Name<'_>| name.labels.is_none_or(|own| has_labels(own, labels));
            for name in group.names.iter().filter(is_meant) {
                let (host, port) = (name.address.to_owned(), name.port(port));
                if !names.iter().any(|known| (&known.host, known.port) == (&host, port)) {
                    names.push(NamedEndpoint { host, port, weight: name.weight });
                }
            }
        }
        names.sort();
        Located { endpoints, names }
    }

    /// Reports endpoints of a port with the address of an earlier one (EDS-09).
    pub(super) fn report_duplicates(&self, number: u32, report: &mut Report) {
        let mut seen = BTreeSet::new();
        for (port, group) in self.with_port(number) {
            for member in &group.members {
                let Some(port) = member.ports.of(port) else { continue };
                if !seen.insert((member.address, port)) {
                    let address = member.address;
                    let message =
                        format!("the endpoint is left out: another one has {address}:{port} already");
                    report.warning(member.object, member.path.field("address"), message);
                }
            }
        }
    }

    fn with_port(&self, number: u32) -> impl Iterator<Item = (&Port<'a>, &Group<'a>)> {
        self.groups
            .iter()
            .filter_map(move |group| Some((group.ports.iter().find(|port| port.number == number)?, group)))
    }
}

impl<'a> Group<'a> {
    fn of_entry(
        host: &str,
        part: &Part<'a>,
        entry: &'a ServiceEntry,
        reader: &Reader<'a>,
        report: &mut Report,
    ) -> Self {
        let (object, ports) = (part.object, part.ports());
        let mut members = match &entry.workload_selector {
            Some(selector) => selected(&object.id.namespace, &selector.labels, reader),
            None => inline(object, entry),
        };
        members.retain(|member| member.weight != 0);
        let is_static = entry.resolution == Resolution::Static;
        if members.is_empty() && !is_static && entry.workload_selector.is_none() && entry.endpoints.is_empty()
        {
            let address = entry.hosts.iter().find(|one| one.eq_ignore_ascii_case(host));
            let names = address.map(|address| Name::of_host(address)).into_iter().collect();
            return Self { ports, members, names };
        }
        let is_name = |member: &Member<'_>| member.address.parse::<IpAddr>().is_err();
        let mut names = Vec::new();
        members.retain(|member| {
            if is_name(member) && is_static {
                let message = "the endpoint is left out: expected an IP address, because the service is not resolved by DNS";
                report.error(member.object, member.path.field("address"), message);
            } else if is_name(member) {
                names.push(Name::of_member(member));
            }
            !is_name(member)
        });
        Self { ports, members, names }
    }

    /// The endpoints of a `Service` stand in slices; workloads outside of the cluster that it selects belong to it as well.
    fn of_service(part: &Part<'a>, service: &'a Service, reader: &Reader<'a>) -> Self {
        let (id, ports) = (&part.object.id, part.ports());
        if let (ServiceType::ExternalName, Some(address)) = (service.r#type, &service.external_name) {
            let name = Name::of_host(address.trim_end_matches('.'));
            return Self { ports, members: Vec::new(), names: vec![name] };
        }
        let mut members = Vec::new();
        for one in reader.objects(&Key::Slices(id.namespace.clone(), id.name.clone())) {
            if let Spec::EndpointSlice(slice) = &one.object.spec {
                members.extend(of_slice(&one.object, slice, service.publish_not_ready_addresses));
            }
        }
        members.extend(selected(&id.namespace, &service.selector, reader));
        members.retain(|member| member.weight != 0);
        Self { ports, members, names: Vec::new() }
    }
}

impl<'a> Name<'a> {
    fn of_host(address: &'a str) -> Self {
        Self { address, labels: None, weight: 1, ports: None }
    }

    fn of_member(member: &Member<'a>) -> Self {
        let ports = if let Ports::Named(ports) = member.ports { Some(ports) } else { None };
        Self { address: member.address, labels: Some(member.labels), weight: member.weight, ports }
    }

    fn port(&self, port: &Port<'_>) -> u32 {
        let own = self.ports.and_then(|ports| Ports::Named(ports).of(port));
        own.unwrap_or(match port.target {
            Target::Number(number) => number,
            Target::Same | Target::Name(_) => port.number,
        })
    }
}

/// The workloads of a namespace with these labels; without a label none is meant.
fn selected<'a>(namespace: &str, labels: &Labels, reader: &Reader<'a>) -> Vec<Member<'a>> {
    let Some((name, value)) = labels.iter().next() else { return Vec::new() };
    let key = Key::Workload(namespace.to_owned(), name.clone(), value.clone());
    let found = reader.objects(&key).iter().filter_map(|one| match &one.object.spec {
        Spec::WorkloadEntry(entry) if has_labels(&entry.labels, labels) => {
            Some(Member::new(&one.object, entry, FieldPath::spec()))
        }
        _ => None,
    });
    found.collect()
}

fn inline<'a>(object: &'a Arc<Object>, entry: &'a ServiceEntry) -> Vec<Member<'a>> {
    let path = FieldPath::spec().field("endpoints");
    let endpoints = entry.endpoints.iter().enumerate();
    endpoints.map(|(index, entry)| Member::new(object, entry, path.index(index))).collect()
}

/// The ready endpoints of a slice. While all of them are about to end, those that still answer are ready, as in Kubernetes.
fn of_slice<'a>(object: &'a Arc<Object>, slice: &'a EndpointSlice, with_unready: bool) -> Vec<Member<'a>> {
    if slice.address_type == AddressType::Fqdn {
        return Vec::new();
    }
    let is_used = |any_ready: bool| {
        move |conditions: crate::kinds::endpoint_slice::EndpointConditions| {
            let is_last_resort = !any_ready && conditions.is_serving() && conditions.is_terminating();
            with_unready || conditions.is_ready() || is_last_resort
        }
    };
    let any_ready = slice.endpoints.iter().any(|endpoint| endpoint.conditions.is_ready());
    let is_used = is_used(any_ready);
    let path = FieldPath::root().field("endpoints");
    let endpoints = slice.endpoints.iter().enumerate();
    let used = endpoints.filter(|(_, endpoint)| is_used(endpoint.conditions));
    let member = |(index, endpoint): (usize, &'a crate::kinds::endpoint_slice::SliceEndpoint)| {
        let zone = endpoint.zone().unwrap_or_default().to_owned();
        Some(Member {
            address: endpoint.addresses.first()?,
            labels: &object.metadata.labels,
            weight: 1,
            locality: Locality { zone, ..Locality::default() },
            ports: Ports::Listed(&slice.ports),
            object,
            path: path.index(index),
        })
    };
    used.filter_map(member).collect()
}

impl<'a> Member<'a> {
    fn new(object: &'a Arc<Object>, entry: &'a WorkloadEntry, path: FieldPath) -> Self {
        Self {
            address: &entry.address,
            labels: &entry.labels,
            weight: entry.weight.unwrap_or(1),
            locality: Locality::parse(&entry.locality),
            ports: Ports::Named(&entry.ports),
            object,
            path,
        }
    }

    fn endpoint(&self, ip: IpAddr, port: u32, failover: &[String]) -> Endpoint {
        let label = |wanted: &String| {
            let name = label_name(wanted);
            let of_locality = TOPOLOGY.iter().position(|known| *known == name);
            let place = of_locality.map(|part| self.locality.parts()[part].to_owned());
            self.labels.get(name).cloned().or_else(|| place.filter(|part| !part.is_empty()))
        };
        let failover_labels = failover.iter().map(label).collect();
        Endpoint { ip, port, weight: self.weight, failover_labels, locality: self.locality.clone() }
    }
}

impl Ports<'_> {
    /// The workload's port for a port of the service; `None`: it has none.
    fn of(self, port: &Port<'_>) -> Option<u32> {
        match self {
            Self::Named(ports) => {
                let target = match port.target {
                    Target::Same => Some(port.number),
                    Target::Number(number) => Some(number),
                    Target::Name(name) => ports.get(name).copied(),
                };
                ports.get(port.name).copied().or(target)
            }
            Self::Listed(ports) => {
                let mut tcp = ports.iter().filter(|one| one.protocol == TransportProtocol::Tcp);
                let own = tcp.find(|one| one.name == port.name)?;
                own.port.or(Some(port.number))
            }
        }
    }
}

/// Whether a service of the namespace selects a workload.
pub(super) fn is_selected(namespace: &str, entry: &WorkloadEntry, reader: &Reader<'_>) -> bool {
    entry.labels.iter().any(|(name, value)| {
        let key = Key::Selector(namespace.to_owned(), name.clone(), value.clone());
        reader.objects(&key).iter().any(|one| match &one.object.spec {
            Spec::ServiceEntry(service) => {
                let selector = service.workload_selector.as_ref();
                selector.is_some_and(|selector| has_labels(&entry.labels, &selector.labels))
            }
            Spec::Service(service) => has_labels(&entry.labels, &service.selector),
            _ => false,
        })
    })
}

fn has_labels(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// The label of an entry of `failoverPriority`: `label`, or `label=value`.
pub(crate) fn label_name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}
