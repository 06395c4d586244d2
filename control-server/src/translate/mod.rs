//! From the model to xDS resources. Pure; unchanged services are not translated again.
//!
//! A service is translated on its own, and only when it differs from the last time; of its resources, those with the same
//! content stay the same `Arc`. The resources are what any gRPC client accepts (CS-15): no field is set that one of them
//! would refuse, and every resource is decoded with our own client's decoder before it is served.
//!
//! Endpoints are made twice: inline for most clients, and as collections of resources for clients that support them, where
//! a change of one endpoint costs the same for any number of endpoints.

mod accept;
mod cluster;
mod collections;
mod endpoints;
mod envoy;
mod fault;
mod headers;
mod lb_policy;
mod listener;
mod matcher;
mod outlier;
mod route;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::finding::Finding;
use crate::kinds::ObjectId;
use crate::model::{Model, Service};
use crate::resources::{Collection, EncodedResource, ResourceKind, ResourceSet, Slot};
use crate::state::Diagnostic;
use crate::yaml::FieldPath;

/// The resources of a service, by slot and name, and its endpoint collections.
#[derive(Debug, Clone, Default)]
struct Resources {
    single: BTreeMap<(Slot, Arc<str>), Arc<EncodedResource>>,
    collections: BTreeMap<Arc<str>, Arc<Collection>>,
}

/// Translates models, and remembers the last one.
#[derive(Debug)]
pub(crate) struct Translator {
    load_reporting: LoadReporting,
    services: HashMap<String, Memo>,
    /// Of all services together.
    set: ResourceSet,
    refusal: RefusalCheck,
}

/// Returns why clients would refuse a resource.
type RefusalCheck = fn(ResourceKind, &Bytes) -> Option<String>;

/// Whether clusters ask their clients for load reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadReporting {
    /// Clusters ask for them.
    On,
    /// They do not.
    #[default]
    Off,
}

impl Default for Translator {
    fn default() -> Self {
        Self::new(LoadReporting::default())
    }
}

/// A service and its translation.
#[derive(Debug)]
struct Memo {
    service: Arc<Service>,
    resources: Resources,
    /// Why the resources are those of an earlier version.
    refused: Vec<Refusal>,
}

/// A resource that a client would refuse, and the object that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    made_by: ObjectId,
    reason: String,
}

/// A resource without its version.
#[derive(Debug)]
struct Made {
    slot: Slot,
    name: String,
    bytes: Bytes,
    made_by: ObjectId,
}

/// A collection without its versions: names and contents of its members.
#[derive(Debug)]
struct MadeCollection {
    name: String,
    members: Vec<(String, Bytes)>,
}

impl Translator {
    pub(crate) fn new(load_reporting: LoadReporting) -> Self {
        let (services, set) = (HashMap::new(), ResourceSet::default());
        Self { load_reporting, services, set, refusal: accept::refusal }
    }

    /// All resources of a model, with the revision left at 0, and the findings about them.
    pub(crate) fn translate(&mut self, model: &Model) -> (ResourceSet, Vec<Diagnostic>) {
        let mut outdated: Vec<Memo> = Vec::new();
        outdated.extend(
            self.services.extract_if(|host, _| !model.services.contains_key(host)).map(|(_, memo)| memo),
        );
        let mut changed = Vec::new();
        for (host, service) in &model.services {
            match self.services.get_mut(host) {
                Some(memo) if Arc::ptr_eq(&memo.service, service) => {}
                Some(memo) if memo.service == *service => memo.service = Arc::clone(service),
                _ => {
                    let previous = self.services.remove(host);
                    let memo = remake(service, previous.as_ref(), self.load_reporting, self.refusal);
                    outdated.extend(previous);
                    changed.push(host);
                    self.services.insert(host.clone(), memo);
                }
            }
        }
        self.replace(&outdated, &changed);
        let refused = self.services.values().flat_map(|memo| &memo.refused);
        let diagnostics = refused.filter_map(|refusal| diagnostic(refusal, model)).collect();
        (self.set.clone(), diagnostics)
    }

    /// Removes old resources before it adds new ones: a name may move from one service to another.
    fn replace(&mut self, outdated: &[Memo], changed: &[&String]) {
        for memo in outdated {
            for ((slot, name), resource) in &memo.resources.single {
                if self.set.get(*slot, name).is_some_and(|found| Arc::ptr_eq(found, resource)) {
                    self.set.remove(*slot, name);
                }
            }
            memo.resources.collections.keys().for_each(|name| self.set.remove_collection(name));
        }
        for memo in changed.iter().filter_map(|host| self.services.get(*host)) {
            let Resources { single, collections } = &memo.resources;
            single.iter().for_each(|((slot, _), resource)| self.set.insert(*slot, Arc::clone(resource)));
            collections.values().for_each(|collection| self.set.insert_collection(Arc::clone(collection)));
        }
    }
}

fn remake(
    service: &Arc<Service>,
    previous: Option<&Memo>,
    load_reporting: LoadReporting,
    refusal: RefusalCheck,
) -> Memo {
    let service = Arc::clone(service);
    let (made, collections) = service::translate(&service, load_reporting);
    // References to collections were made from the same endpoints, of which none is refused.
    let common = made.iter().filter(|one| one.slot == Slot::from(one.slot.kind()));
    let refused: Vec<Refusal> = common
        .filter_map(|one| {
            let reason = refusal(one.slot.kind(), &one.bytes)?;
            Some(Refusal { made_by: one.made_by.clone(), reason })
        })
        .collect();
    let nothing = Resources::default();
    let previous = previous.map_or(&nothing, |memo| &memo.resources);
    if !refused.is_empty() {
        return Memo { service, resources: previous.clone(), refused };
    }
    let single = made.into_iter().map(|one| {
        let known = previous.single.get(&(one.slot, Arc::from(one.name.as_str())));
        let resource = encode(one.name, one.bytes, known);
        ((one.slot, Arc::clone(&resource.name)), resource)
    });
    let collections = collections.into_iter().map(|one| {
        let collection = collect(one, &previous.collections);
        (Arc::clone(&collection.name), collection)
    });
    let resources = Resources { single: single.collect(), collections: collections.collect() };
    Memo { service, resources, refused }
}

/// Unchanged resources keep their allocation.
fn encode(name: String, bytes: Bytes, previous: Option<&Arc<EncodedResource>>) -> Arc<EncodedResource> {
    if let Some(same) = previous.filter(|resource| resource.bytes == bytes) {
        return Arc::clone(same);
    }
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    hasher.write(&bytes);
    let version = Arc::from(format!("{:016x}", hasher.finish()));
    let name = previous.map_or_else(|| Arc::from(name), |previous| Arc::clone(&previous.name));
    Arc::new(EncodedResource { name, version, bytes })
}

fn collect(made: MadeCollection, previous: &BTreeMap<Arc<str>, Arc<Collection>>) -> Arc<Collection> {
    let previous = previous.get(made.name.as_str());
    let member = |(name, bytes): (String, Bytes)| {
        let known = previous.and_then(|previous| previous.member(&name));
        encode(name, bytes, known)
    };
    let members = made.members.into_iter().map(member).collect();
    let name = previous.map_or_else(|| Arc::from(made.name), |previous| Arc::clone(&previous.name));
    let collection = Collection::new(name, members);
    match previous {
        Some(same) if same.version == collection.version => Arc::clone(same),
        _ => Arc::new(collection),
    }
}

fn diagnostic(refusal: &Refusal, model: &Model) -> Option<Diagnostic> {
    let one = model.objects.iter().find(|one| one.object.id == refusal.made_by)?;
    let message = format!(
        "clients would refuse what this becomes: {}; what was last good stays in use",
        refusal.reason
    );
    Some(one.object.diagnostic(&Finding::error(FieldPath::root(), message)))
}
