//! How many services and endpoints objects declare.
//!
//! Counted from the objects alone: the same for every client, and known before anything is built of them.

use std::collections::{BTreeMap, HashMap};

use crate::kinds::endpoint_slice::{EndpointSlice, SERVICE_NAME};
use crate::kinds::{Object, Spec};

/// Endpoints by host, of every service that is declared.
pub(super) type Census = BTreeMap<String, usize>;

/// Whether an object declares services or endpoints.
pub(super) fn counts(object: &Object) -> bool {
    match &object.spec {
        Spec::ServiceEntry(_) | Spec::WorkloadEntry(_) | Spec::Service(_) | Spec::EndpointSlice(_) => true,
        Spec::VirtualService(_)
        | Spec::DestinationRule(_)
        | Spec::GrpcRoute(_)
        | Spec::HttpRoute(_)
        | Spec::ReferenceGrant(_)
        | Spec::TrafficPolicy(_)
        | Spec::MeshConfig(_)
        | Spec::RateLimitPolicy(_)
        | Spec::PeerAuthentication(_)
        | Spec::RequestAuthentication(_)
        | Spec::AuthorizationPolicy(_) => false,
    }
}

/// How many services, or endpoints of one service, are gone at most when an object becomes another one, or is removed;
/// `usize::MAX` if that depends on other objects. Costs less than counting everything.
pub(super) fn most_removed(before: &Object, after: Option<&Object>) -> usize {
    match (&before.spec, after.map(|after| &after.spec)) {
        (Spec::ServiceEntry(before), Some(Spec::ServiceEntry(after)))
            if before.workload_selector == after.workload_selector =>
        {
            let hosts = before.hosts.iter().filter(|host| !after.hosts.contains(host)).count();
            if hosts > 0 { usize::MAX } else { before.endpoints.len().saturating_sub(after.endpoints.len()) }
        }
        (Spec::Service(before), Some(Spec::Service(after))) if before.selector == after.selector => 0,
        (Spec::ServiceEntry(_) | Spec::Service(_), _) => usize::MAX,
        (Spec::WorkloadEntry(before), Some(Spec::WorkloadEntry(after))) if before.labels == after.labels => 0,
        (Spec::WorkloadEntry(_), _) => 1,
        (Spec::EndpointSlice(slice), Some(Spec::EndpointSlice(other)))
            if Some(&before.metadata.labels) == after.map(|after| &after.metadata.labels) =>
        {
            serving(slice).saturating_sub(serving(other))
        }
        (Spec::EndpointSlice(slice), _) => serving(slice),
        _ => 0,
    }
}

fn serving(slice: &EndpointSlice) -> usize {
    slice.endpoints.iter().filter(|endpoint| endpoint.conditions.is_serving()).count()
}

/// Counts what these objects declare together.
pub(super) fn count<'a>(objects: impl Iterator<Item = &'a Object> + Clone) -> Census {
    let mut census = Census::new();
    let workloads = Workloads::of(objects.clone());
    for object in objects.clone() {
        let namespace = &object.id.namespace;
        match &object.spec {
            Spec::ServiceEntry(entry) => {
                let selected = entry.workload_selector.as_ref();
                let selected = selected.map_or(0, |selector| workloads.count(namespace, &selector.labels));
                for host in &entry.hosts {
                    *census.entry(host.to_ascii_lowercase()).or_default() += entry.endpoints.len() + selected;
                }
            }
            Spec::Service(service) => {
                let selected = workloads.count(namespace, &service.selector);
                *census.entry(host_of_service(&object.id.name, namespace)).or_default() += selected;
            }
            _ => {}
        }
    }
    for object in objects {
        if let Spec::EndpointSlice(slice) = &object.spec
            && let Some(service) = object.metadata.labels.get(SERVICE_NAME)
            && let Some(count) = census.get_mut(&host_of_service(service, &object.id.namespace))
        {
            *count += serving(slice);
        }
    }
    census
}

fn host_of_service(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}.svc.cluster.local")
}

type Labels = BTreeMap<String, String>;

/// Workloads by namespace and by each of their labels.
struct Workloads<'a>(HashMap<(&'a str, &'a str, &'a str), Vec<&'a Labels>>);

impl<'a> Workloads<'a> {
    fn of(objects: impl Iterator<Item = &'a Object>) -> Self {
        let mut by_label: HashMap<_, Vec<_>> = HashMap::new();
        for object in objects {
            let Spec::WorkloadEntry(entry) = &object.spec else { continue };
            for (name, value) in entry.labels.iter() {
                let key = (object.id.namespace.as_str(), name.as_str(), value.as_str());
                by_label.entry(key).or_default().push(&*entry.labels);
            }
        }
        Self(by_label)
    }

    /// How many have all these labels; none for no labels.
    fn count(&self, namespace: &str, wanted: &Labels) -> usize {
        let having = wanted.iter().map(|(name, value)| self.having(namespace, name, value));
        let fewest = having.min_by_key(|found| found.len()).unwrap_or_default();
        let has_all = |labels: &Labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
        fewest.iter().filter(|labels| has_all(labels)).count()
    }

    fn having<'b>(&'b self, namespace: &'b str, name: &'b str, value: &'b str) -> &'b [&'b Labels] {
        self.0.get(&(namespace, name, value)).map(Vec::as_slice).unwrap_or_default()
    }
}
