//! The workloads behind a service, and which of them are endpoints of a port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::identity::Membership;
use super::{Endpoint, Located, NamedEndpoint, label_name};
use crate::kinds::endpoint_slice::{AddressType, EndpointSlice, SlicePort};
use crate::kinds::service::{Service, ServiceType, TransportProtocol};
use crate::kinds::service_entry::{Location, Resolution, ServiceEntry};
use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::{Object, Spec};
use crate::model::declaration::{Declaration, Part, PartKind, Port, Target};
use crate::model::index::Reader;
use crate::model::key::Key;
use crate::model::mtls::MtlsPolicies;
use crate::model::report::Report;
use crate::model::viewer::Labels;
use crate::resources::{Locality, TOPOLOGY};
use crate::yaml::FieldPath;

/// The workloads of one service, by the object that declares them.
#[derive(Debug)]
pub(in crate::model) struct Workloads<'a> {
    pub(super) groups: Vec<Group<'a>>,
    pub(super) namespace: &'a str,
    pub(super) mtls: MtlsPolicies,
    pub(super) trust_domain: String,
}

/// The workloads of one declaring object.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) ports: Vec<Port<'a>>,
    pub(super) members: Vec<Member<'a>>,
    /// The names that clients resolve, if the service is resolved by DNS.
    pub(super) names: Vec<Name<'a>>,
    /// The names of its endpoints that it states itself.
    pub(super) subject_alt_names: &'a [String],
    pub(super) membership: Membership,
    pub(super) object: &'a Arc<Object>,
}

/// A workload and the object that declares it.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) address: &'a str,
    pub(super) labels: &'a Labels,
    /// Further labels, by which its service selects it.
    pub(super) selected_by: Option<&'a Labels>,
    /// Empty: not known.
    pub(super) service_account: &'a str,
    weight: u32,
    locality: Locality,
    pub(super) ports: Ports<'a>,
    object: &'a Arc<Object>,
    path: FieldPath,
}

/// The ports of a workload.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ports<'a> {
    /// By the name of the service's port; other ports are the service's.
    Named(&'a BTreeMap<String, u32>),
    /// These and no other.
    Listed(&'a [SlicePort]),
}

/// A name that clients resolve.
#[derive(Debug)]
pub(super) struct Name<'a> {
    address: &'a str,
    /// The endpoint that states it; `None`: it is the host itself, which has no labels and belongs to every subset.
    pub(super) workload: Option<Member<'a>>,
}

impl<'a> Workloads<'a> {
    pub(in crate::model) fn new(
        declaration: &Declaration<'a>,
        reader: &Reader<'a>,
        report: &mut Report,
    ) -> Self {
        let host = declaration.host();
        let groups = declaration.parts().iter().map(|part| match part.kind {
            PartKind::Entry(entry) => Group::of_entry(host, part, entry, reader, report),
            PartKind::Service(service) => Group::of_service(part, service, reader),
        });
        Self {
            groups: groups.collect(),
            namespace: declaration.namespace(),
            mtls: MtlsPolicies::default(),
            trust_domain: String::new(),
        }
    }

    /// The endpoints of a port with these labels, each address once, in a fixed order. `failover` are the labels that the
    /// cluster's failover goes by.
    pub(in crate::model) fn of_port(&self, number: u32, labels: &Labels, failover: &[String]) -> Located {
        let mut by_address = BTreeMap::new();
        for (port, group) in self.with_port(number) {
            for member in group.members.iter().filter(|member| has_labels(member.labels, labels)) {
                let (Ok(ip), Some(port)) = (member.address.parse(), member.ports.of(port)) else { continue };
                let takes_mtls = || self.takes_mtls(group, member, port);
                by_address
                    .entry((ip, port))
                    .or_insert_with(|| member.endpoint(ip, port, failover, takes_mtls()));
            }
        }
        let mut endpoints: Vec<Endpoint> = by_address.into_values().collect();
        endpoints.sort();
        let mut names: Vec<NamedEndpoint> = Vec::new();
        for (port, group) in self.with_port(number) {
            let is_meant = |name: &&Name<'_>| name.is_of(labels);
            for name in group.names.iter().filter(is_meant) {
                let (host, port) = (name.address.to_owned(), name.port(port));
                if !names.iter().any(|known| (&known.host, known.port) == (&host, port)) {
                    let workload = name.workload.as_ref();
                    let weight = workload.map_or(1, |workload| workload.weight);
                    let takes_mtls = workload.is_some_and(|workload| self.takes_mtls(group, workload, port));
                    names.push(NamedEndpoint { host, port, weight, takes_mtls });
                }
            }
        }
        names.sort();
        Located { endpoints, names }
    }

    /// Reports endpoints of a port with the address of an earlier one (EDS-09).
    pub(in crate::model) fn report_duplicates(&self, number: u32, report: &mut Report) {
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

    pub(super) fn with_port(&self, number: u32) -> impl Iterator<Item = (&Port<'a>, &Group<'a>)> {
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
        let subject_alt_names = entry.subject_alt_names.as_slice();
        let membership = match entry.location {
            Location::MeshInternal => Membership::Mesh,
            Location::MeshExternal => Membership::External,
        };
        let group = |members, names| Self { ports, members, names, subject_alt_names, membership, object };
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
            return group(members, names);
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
        group(members, names)
    }

    /// The endpoints of a `Service` stand in slices; workloads outside of the cluster that it selects belong to it as well.
    fn of_service(part: &Part<'a>, service: &'a Service, reader: &Reader<'a>) -> Self {
        let (id, ports) = (&part.object.id, part.ports());
        let group = |members, names| Self {
            ports,
            members,
            names,
            subject_alt_names: &[],
            membership: Membership::Mesh,
            object: part.object,
        };
        if let (ServiceType::ExternalName, Some(address)) = (service.r#type, &service.external_name) {
            let name = Name::of_host(address.trim_end_matches('.'));
            return group(Vec::new(), vec![name]);
        }
        let mut members = Vec::new();
        for one in reader.objects(&Key::Slices(id.namespace.clone(), id.name.clone())) {
            if let Spec::EndpointSlice(slice) = &one.object.spec {
                let of_slice = of_slice(&one.object, slice, service.publish_not_ready_addresses);
                members.extend(
                    of_slice
                        .into_iter()
                        .map(|member| Member { selected_by: Some(&service.selector), ..member }),
                );
            }
        }
        members.extend(selected(&id.namespace, &service.selector, reader));
        members.retain(|member| member.weight != 0);
        group(members, Vec::new())
    }
}

impl<'a> Name<'a> {
    fn of_host(address: &'a str) -> Self {
        Self { address, workload: None }
    }

    fn of_member(member: &Member<'a>) -> Self {
        Self { address: member.address, workload: Some(member.clone()) }
    }

    pub(super) fn is_of(&self, labels: &Labels) -> bool {
        self.workload.as_ref().is_none_or(|workload| has_labels(workload.labels, labels))
    }

    pub(super) fn port(&self, port: &Port<'_>) -> u32 {
        let own = self.workload.as_ref().and_then(|workload| workload.ports.of(port));
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
            selected_by: None,
            service_account: "",
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
            selected_by: None,
            service_account: &entry.service_account,
            weight: entry.weight.unwrap_or(1),
            locality: Locality::parse(&entry.locality),
            ports: Ports::Named(&entry.ports),
            object,
            path,
        }
    }

    fn endpoint(&self, ip: IpAddr, port: u32, failover: &[String], takes_mtls: bool) -> Endpoint {
        let label = |wanted: &String| {
            let name = label_name(wanted);
            let of_locality = TOPOLOGY.iter().position(|known| *known == name);
            let place = of_locality.map(|part| self.locality.parts()[part].to_owned());
            self.labels.get(name).cloned().or_else(|| place.filter(|part| !part.is_empty()))
        };
        let failover_labels = failover.iter().map(label).collect();
        let (weight, locality) = (self.weight, self.locality.clone());
        Endpoint { ip, port, weight, failover_labels, locality, takes_mtls }
    }
}

impl Ports<'_> {
    /// The workload's port for a port of the service; `None`: it has none.
    pub(super) fn of(self, port: &Port<'_>) -> Option<u32> {
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
pub(in crate::model) fn is_selected(namespace: &str, entry: &WorkloadEntry, reader: &Reader<'_>) -> bool {
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

pub(super) fn has_labels(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}
