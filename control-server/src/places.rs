//! Where objects, their fields and endpoints stand in the files of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::kinds::workload_entry::WorkloadEntry;
use crate::kinds::{Object, Spec};
use crate::resources::Table;
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// A place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `kind namespace/name` of the object.
    pub object: String,
    /// Relative to the configuration folder; empty if the object is not in use any more.
    pub file: String,
    /// From 1; 0 if unknown.
    pub line: u32,
    /// The field, for example `spec.http[1]`; empty for the whole object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl fmt::Display for Place {
    /// `shop.yaml:12: VirtualService shop/orders: spec.http[1]`, as messages of compilers begin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}: ", self.file, self.line)?;
        }
        f.write_str(&self.object)?;
        if self.field.is_empty() { Ok(()) } else { write!(f, ": {}", self.field) }
    }
}

/// The objects of one revision, to find out where something stands. Cheap to clone.
#[derive(Clone, Default)]
pub struct Places {
    objects: Table<Sourced>,
}

/// An address that an object declares as an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclaredEndpoint {
    pub(crate) ip: IpAddr,
    pub(crate) place: Place,
}

impl Places {
    pub(crate) fn new(objects: Table<Sourced>) -> Self {
        Self { objects }
    }

    /// The place of an object, by `kind namespace/name`. Of an object that is gone, the name alone is known.
    pub(crate) fn of_object(&self, name: &str) -> Place {
        self.of_field(name, &FieldPath::root())
    }

    /// The place of a field of an object.
    pub(crate) fn of_field(&self, name: &str, field: &FieldPath) -> Place {
        match self.objects.get(name) {
            Some(one) => of_field(&one.object, field),
            None => {
                let (object, field) = (name.to_owned(), field.to_string());
                Place { object, file: String::new(), line: 0, field }
            }
        }
    }

    /// Every address that the objects of these names declare, and that objects of their namespaces may add.
    pub(crate) fn endpoints(&self, declared_by: &[Place]) -> Vec<DeclaredEndpoint> {
        let declaring: Vec<&Object> = declared_by
            .iter()
            .filter_map(|place| self.objects.get(&place.object))
            .map(|one| &*one.object)
            .collect();
        let mut found: Vec<DeclaredEndpoint> =
            declaring.iter().flat_map(|object| own_endpoints(object)).collect();
        let others = self.objects.iter().map(|(_, one)| &*one.object);
        for object in others {
            if declaring.iter().any(|declaring| adds_endpoints(object, declaring)) {
                found.extend(own_endpoints(object));
            }
        }
        found
    }
}

/// Whether an object may add endpoints to the service that another one declares.
fn adds_endpoints(object: &Object, declaring: &Object) -> bool {
    if object.id.namespace != declaring.id.namespace {
        return false;
    }
    match (&object.spec, &declaring.spec) {
        (Spec::WorkloadEntry(entry), Spec::Service(service)) => selects(&service.selector, entry),
        (Spec::WorkloadEntry(entry), Spec::ServiceEntry(service)) => {
            service.workload_selector.as_ref().is_some_and(|selector| selects(&selector.labels, entry))
        }
        (Spec::EndpointSlice(_), Spec::Service(_)) => {
            object.metadata.labels.get(SERVICE_NAME).is_some_and(|name| *name == declaring.id.name)
        }
        _ => false,
    }
}

/// Without a label nothing is selected.
fn selects(labels: &BTreeMap<String, String>, entry: &WorkloadEntry) -> bool {
    !labels.is_empty() && labels.iter().all(|(name, value)| entry.labels.get(name) == Some(value))
}

/// The addresses that an object states itself.
fn own_endpoints(object: &Object) -> Vec<DeclaredEndpoint> {
    let declared = |address: &str, path: &FieldPath| {
        let ip = address.parse().ok()?;
        Some(DeclaredEndpoint { ip, place: of_field(object, path) })
    };
    match &object.spec {
        Spec::ServiceEntry(entry) => {
            let path = FieldPath::spec().field("endpoints");
            let endpoints = entry.endpoints.iter().enumerate();
            endpoints.filter_map(|(index, one)| declared(&one.address, &path.index(index))).collect()
        }
        Spec::WorkloadEntry(entry) => declared(&entry.address, &FieldPath::spec()).into_iter().collect(),
        Spec::EndpointSlice(slice) => {
            let path = FieldPath::root().field("endpoints");
            let endpoints = slice.endpoints.iter().enumerate();
            endpoints
                .filter_map(|(index, one)| declared(one.addresses.first()?, &path.index(index)))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn of_field(object: &Object, field: &FieldPath) -> Place {
    Place {
        object: object.id.to_string(),
        file: object.origin.name().to_string(),
        line: object.origin.position_of(field).line,
        field: field.to_string(),
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("objects", &self.objects.len()).finish()
    }
}

/// The label by which a slice names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
