//! Services by host, and the meaning of names in objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::conflict::{conflict, sort_by_precedence};
use super::report::Report;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::{Object, Spec};
use crate::source::Sourced;
use crate::yaml::{FieldPath, did_you_mean};

/// Every declared service.
#[derive(Debug, Default)]
pub(super) struct ServiceRegistry {
    services: BTreeMap<String, Declaration>,
}

/// Where a service is declared.
#[derive(Debug, Clone)]
pub(super) struct Declaration {
    pub(super) object: Arc<Object>,
    /// Which of the object's hosts it is.
    pub(super) host_index: usize,
}

impl Declaration {
    pub(super) fn entry(&self) -> &ServiceEntry {
        match &self.object.spec {
            Spec::ServiceEntry(entry) => entry,
            _ => unreachable!("only a ServiceEntry declares a service"),
        }
    }

    /// Whether both are made from the same object.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object) && self.host_index == other.host_index
    }

    pub(super) fn has_port(&self, number: u32) -> bool {
        self.entry().ports.iter().any(|port| port.number == number)
    }

    /// Its ports, for messages.
    pub(super) fn port_list(&self) -> String {
        self.entry().ports.iter().map(|port| port.number.to_string()).collect::<Vec<_>>().join(", ")
    }
}

impl ServiceRegistry {
    /// Every host belongs to the oldest ServiceEntry that names it.
    pub(super) fn new(objects: &[Sourced], report: &mut Report) -> Self {
        let mut entries: Vec<&Arc<Object>> = objects
            .iter()
            .map(|one| &one.object)
            .filter(|one| matches!(one.spec, Spec::ServiceEntry(_)))
            .collect();
        sort_by_precedence(&mut entries, |object| object);
        let mut registry = Self::default();
        for object in entries {
            registry.declare(object, report);
        }
        registry
    }

    fn declare(&mut self, object: &Arc<Object>, report: &mut Report) {
        let Spec::ServiceEntry(entry) = &object.spec else { return };
        for (host_index, host) in entry.hosts.iter().enumerate() {
            if host.starts_with('*') {
                continue;
            }
            let host = host.to_ascii_lowercase();
            if let Some(winner) = self.services.get(&host) {
                let message = conflict(&winner.object.id, "declares this host already");
                report.error(object, FieldPath::spec().field("hosts").index(host_index), message);
            } else {
                self.services.insert(host, Declaration { object: Arc::clone(object), host_index });
            }
        }
    }

    pub(super) fn get(&self, host: &str) -> Option<&Declaration> {
        self.services.get(host)
    }

    pub(super) fn iter(&self) -> std::collections::btree_map::Iter<'_, String, Declaration> {
        self.services.iter()
    }

    /// The service that an Istio object of `namespace` means by `name`. A name without a dot is one of the namespace,
    /// else a declared host; `name.namespace` and `name.namespace.svc` are completed if they are not declared as such.
    pub(super) fn find(&self, name: &str, namespace: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let completed = match name.matches('.').count() {
            0 => [format!("{name}.{namespace}{SUFFIX}"), name],
            1 => [name.clone(), format!("{name}{SUFFIX}")],
            _ => [name.clone(), format!("{name}.cluster.local")],
        };
        completed.iter().find_map(|name| self.services.get_key_value(name)).map(|(host, _)| host.as_str())
    }

    /// The service that the Gateway API means by a `Service` of `namespace`: the host
    /// `name.namespace.svc.cluster.local`, else a host of that very name that a ServiceEntry of the namespace declares,
    /// else the first host of the ServiceEntry that is called so.
    pub(super) fn find_service(&self, name: &str, namespace: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let of_namespace =
            || self.services.iter().filter(|(_, declaration)| declaration.object.id.namespace == namespace);
        let whole = self.services.get_key_value(&format!("{name}.{namespace}{SUFFIX}"));
        whole
            .or_else(|| of_namespace().find(|(host, _)| **host == name))
            .or_else(|| {
                of_namespace()
                    .filter(|(_, declaration)| declaration.object.id.name == name)
                    .min_by_key(|(_, declaration)| declaration.host_index)
            })
            .map(|(host, _)| host.as_str())
    }

    /// The text about a name that means no service.
    pub(super) fn unknown(&self, name: &str, namespace: &str) -> String {
        let hosts = self.services.keys().map(String::as_str);
        let mut hint = did_you_mean(name, hosts.clone());
        if hint.is_empty() {
            let whole = format!("{name}.{namespace}{SUFFIX}");
            hint = did_you_mean(&whole, hosts);
        }
        format!("found `{name}`, expected a host that a ServiceEntry declares{hint}")
    }
}

/// The suffix that completes `name.namespace`.
pub(super) const SUFFIX: &str = ".svc.cluster.local";
