//! What declares a host: the objects of one namespace, merged.

use std::sync::Arc;

use super::index::Reader;
use super::key::Key;
use super::name::{SUFFIX, is_wildcard};
use super::viewer::Viewer;
use crate::kinds::service::{Service, ServicePort, TargetPort, TransportProtocol};
use crate::kinds::service_entry::{Resolution, ServiceEntry};
use crate::kinds::{Object, ObjectId, Spec};

/// A host as a client sees it.
#[derive(Debug)]
pub(super) struct Declaration<'a> {
    host: String,
    /// At least one; all of one namespace, in the order in which they take precedence.
    parts: Vec<Part<'a>>,
}

/// One object that declares a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) object: &'a Arc<Object>,
    pub(super) kind: PartKind<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum PartKind<'a> {
    Entry(&'a ServiceEntry),
    Service(&'a Service),
}

/// A port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port<'a> {
    pub(super) number: u32,
    pub(super) name: &'a str,
    /// The endpoints' port, if it differs.
    pub(super) target: Target<'a>,
    /// Clients connect to it with TLS.
    pub(super) is_tls: bool,
}

/// The endpoints' port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// The service's.
    Same,
    Number(u32),
    /// The one that the endpoint calls so.
    Name(&'a str),
}

impl<'a> Part<'a> {
    /// `None`: an object of another kind.
    fn new(object: &'a Arc<Object>) -> Option<Self> {
        let kind = match &object.spec {
            Spec::ServiceEntry(entry) => PartKind::Entry(entry),
            Spec::Service(service) => PartKind::Service(service),
            _ => return None,
        };
        Some(Self { object, kind })
    }

    /// The namespaces that see it.
    pub(super) fn export_to(&self) -> &'a [String] {
        match self.kind {
            PartKind::Entry(entry) => &entry.export_to,
            PartKind::Service(_) => &[],
        }
    }

    pub(super) fn ports(&self) -> Vec<Port<'a>> {
        match self.kind {
            PartKind::Entry(entry) => {
                let port = |port: &'a crate::kinds::service_entry::Port| Port {
                    number: port.number,
                    name: &port.name,
                    target: port.target_port.map_or(Target::Same, Target::Number),
                    is_tls: is_tls(&port.protocol),
                };
                entry.ports.iter().map(port).collect()
            }
            PartKind::Service(service) => {
                let ports = service.ports.iter().filter(|port| port.protocol == TransportProtocol::Tcp);
                ports.map(service_port).collect()
            }
        }
    }
}

fn service_port(port: &ServicePort) -> Port<'_> {
    let target = match &port.target_port {
        None => Target::Same,
        Some(TargetPort::Number(number)) => Target::Number(*number),
        Some(TargetPort::Name(name)) => Target::Name(name),
    };
    // Istio reads the protocol from the name, as in `https-web`, where `appProtocol` does not say it.
    let of_name = || port.name.split('-').next().unwrap_or_default();
    let is_tls = is_tls(port.app_protocol.as_deref().unwrap_or_else(of_name));
    Port { number: port.port, name: &port.name, target, is_tls }
}

fn is_tls(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("https") || protocol.eq_ignore_ascii_case("tls")
}

/// Every object that declares a host, in the order in which they take precedence.
pub(super) fn all<'a>(host: &str, reader: &Reader<'a>) -> Vec<Part<'a>> {
    reader.objects(&Key::Host(host.to_owned())).iter().filter_map(|one| Part::new(&one.object)).collect()
}

impl<'a> Declaration<'a> {
    /// The declaration that counts for a client: its own namespace's, else the first that it may see.
    pub(super) fn of(host: &str, viewer: &Viewer, reader: &Reader<'a>) -> Option<Self> {
        let mut parts = all(host, reader);
        parts.retain(|part| viewer.sees(part.export_to(), &part.object.id.namespace));
        let own = parts.iter().find(|part| viewer.is_of(&part.object.id.namespace));
        let namespace = &own.or_else(|| parts.first())?.object.id.namespace;
        parts.retain(|part| part.object.id.namespace == *namespace);
        Some(Self { host: host.to_owned(), parts })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn namespace(&self) -> &'a str {
        &self.parts[0].object.id.namespace
    }

    /// Its objects, the one that takes precedence first.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        self.parts.iter().map(|part| part.object.id.clone()).collect()
    }

    pub(super) fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// Every port once, as the first object that declares it has it.
    pub(super) fn ports(&self) -> Vec<Port<'a>> {
        let mut ports: Vec<Port<'a>> = Vec::new();
        for port in self.parts.iter().flat_map(Part::ports) {
            if !ports.iter().any(|known| known.number == port.number) {
                ports.push(port);
            }
        }
        ports
    }

    pub(super) fn has_port(&self, number: u32) -> bool {
        self.ports().iter().any(|port| port.number == number)
    }

    /// The only port, if there is only one.
    pub(super) fn only_port(&self) -> Option<u32> {
        match self.ports().as_slice() {
            [only] => Some(only.number),
            _ => None,
        }
    }

    /// Whether a port may be several clusters, because clients resolve its endpoints by several names.
    pub(super) fn may_have_names(&self) -> bool {
        self.parts.iter().any(|part| match part.kind {
            PartKind::Entry(entry) => {
                let is_selecting = entry.workload_selector.is_some() || entry.endpoints.len() > 1;
                entry.resolution != Resolution::Static && (is_selecting || self.parts.len() > 1)
            }
            PartKind::Service(service) => service.external_name.is_some() && self.parts.len() > 1,
        })
    }

    /// Its ports, for messages.
    pub(super) fn port_list(&self) -> String {
        self.ports().iter().map(|port| port.number.to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// The host that the Gateway API means by a `Service` of `namespace`: `name.namespace.svc.cluster.local`, else a host of that
/// very name that an object of the namespace declares, else the first host of the `ServiceEntry` that is called so.
pub(super) fn find_service(name: &str, namespace: &str, reader: &Reader<'_>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let whole = format!("{name}.{namespace}{SUFFIX}");
    if reader.is_declared(&whole) {
        return Some(whole);
    }
    if all(&name, reader).iter().any(|part| part.object.id.namespace == namespace) {
        return Some(name);
    }
    let declaring = reader.objects(&Key::Declaration(namespace.to_owned(), name));
    declaring.iter().find_map(|one| match &one.object.spec {
        Spec::ServiceEntry(entry) => {
            let host = entry.hosts.iter().find(|host| !is_wildcard(host))?;
            Some(host.to_ascii_lowercase())
        }
        _ => None,
    })
}
