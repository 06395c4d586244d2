//! From the model to xDS resources. Pure; what has not changed is not made again.
//!
//! A service is translated on its own, and only when it differs from the last time; of its resources, those with the same
//! content stay the same `Arc`. The resources are what any gRPC client accepts (CS-15): no field is set that one of them
//! would refuse, and every resource is decoded as our own client would before it is served.

mod accept;
mod cluster;
mod endpoints;
mod envoy;
mod lb_policy;
mod listener;
mod matcher;
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
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};
use crate::state::Diagnostic;
use crate::yaml::FieldPath;

/// The resources of a service, by kind and name.
type Resources = BTreeMap<(ResourceKind, Arc<str>), Arc<EncodedResource>>;

/// Translates models, and remembers the last one.
#[derive(Debug)]
pub(crate) struct Translator {
    load_reporting: LoadReporting,
    services: HashMap<String, Memo>,
    /// Of all services together.
    set: ResourceSet,
    refusal: Judge,
}

/// Says why clients would refuse a resource.
type Judge = fn(ResourceKind, &Bytes) -> Option<String>;

/// Whether clusters ask their clients for load reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadReporting {
    /// They ask.
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

/// A service and what it was translated to.
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

/// A resource as it is made, before it is encoded for good.
#[derive(Debug)]
struct Made {
    kind: ResourceKind,
    name: String,
    bytes: Bytes,
    made_by: ObjectId,
}

impl Translator {
    pub(crate) fn new(load_reporting: LoadReporting) -> Self {
        let (services, set) = (HashMap::new(), ResourceSet::default());
        Self { load_reporting, services, set, refusal: accept::refusal }
    }

    /// All resources of a model, with the revision left at 0, and what is wrong with them.
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

    /// First everything old goes, then everything new comes: a name may move from one service to another.
    fn replace(&mut self, outdated: &[Memo], changed: &[&String]) {
        for ((kind, name), resource) in outdated.iter().flat_map(|memo| &memo.resources) {
            if self.set.get(*kind, name).is_some_and(|found| Arc::ptr_eq(found, resource)) {
                self.set.remove(*kind, name);
            }
        }
        for memo in changed.iter().filter_map(|host| self.services.get(*host)) {
            memo.resources
                .iter()
                .for_each(|((kind, _), resource)| self.set.insert(*kind, Arc::clone(resource)));
        }
    }
}

fn remake(
    service: &Arc<Service>,
    previous: Option<&Memo>,
    load_reporting: LoadReporting,
    refusal: Judge,
) -> Memo {
    let service = Arc::clone(service);
    let made = service::translate(&service, load_reporting);
    let refused: Vec<Refusal> = made
        .iter()
        .filter_map(|one| {
            let reason = refusal(one.kind, &one.bytes)?;
            Some(Refusal { made_by: one.made_by.clone(), reason })
        })
        .collect();
    let previous = previous.map(|memo| memo.resources.clone()).unwrap_or_default();
    if !refused.is_empty() {
        return Memo { service, resources: previous, refused };
    }
    let resources = made.into_iter().map(|one| encode(one, &previous)).collect();
    Memo { service, resources, refused }
}

fn encode(made: Made, previous: &Resources) -> ((ResourceKind, Arc<str>), Arc<EncodedResource>) {
    let key = (made.kind, Arc::from(made.name));
    if let Some((key, same)) =
        previous.get_key_value(&key).filter(|(_, resource)| resource.bytes == made.bytes)
    {
        return (key.clone(), Arc::clone(same));
    }
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    hasher.write(&made.bytes);
    let version = Arc::from(format!("{:016x}", hasher.finish()));
    let resource = EncodedResource { name: Arc::clone(&key.1), version, bytes: made.bytes };
    (key, Arc::new(resource))
}

fn diagnostic(refusal: &Refusal, model: &Model) -> Option<Diagnostic> {
    let one = model.objects.iter().find(|one| one.object.id == refusal.made_by)?;
    let message = format!(
        "clients would refuse what this becomes: {}; what was last good stays in use",
        refusal.reason
    );
    Some(one.object.diagnostic(&Finding::error(FieldPath::root(), message)))
}
