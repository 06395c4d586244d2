//! From the model to xDS resources. Pure; unchanged services are not translated again.
//!
//! A service is translated on its own, and only when something that it is made from has changed; of its resources, those with
//! the same content stay the same `Arc`. The resources are what any gRPC client accepts (CS-15): no field is set that one of them
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
mod locality;
mod matcher;
mod outlier;
mod route;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::finding::Finding;
use crate::kinds::ObjectId;
use crate::model::{Model, Rebuilt};
use crate::resources::{ResourceKind, ResourceSet, Slot};
use crate::state::{Code, Diagnostic};
use crate::yaml::FieldPath;
use service::Translation;

/// The names under which a service's resources stand.
#[derive(Debug, Default)]
struct Names {
    resources: BTreeSet<(Slot, Arc<str>)>,
    collections: BTreeSet<Arc<str>>,
}

/// Translates services, and holds what is served of all of them.
#[derive(Debug)]
pub(crate) struct Translator {
    load_reporting: LoadReporting,
    names: HashMap<Arc<str>, Names>,
    set: ResourceSet,
    /// Why the resources of a host are those of an earlier version.
    refused: BTreeMap<Arc<str>, Vec<Refusal>>,
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

/// A resource that a client would refuse, and the object that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    made_by: ObjectId,
    reason: String,
}

impl Translator {
    pub(crate) fn new(load_reporting: LoadReporting) -> Self {
        Self {
            load_reporting,
            names: HashMap::new(),
            set: ResourceSet::default(),
            refused: BTreeMap::new(),
            refusal: accept::refusal,
        }
    }

    /// All resources, with the revision left at 0.
    pub(crate) fn resources(&self) -> &ResourceSet {
        &self.set
    }

    /// Takes services that were built again.
    pub(crate) fn translate(&mut self, rebuilt: Vec<Rebuilt>) {
        let mut made: Vec<(Arc<str>, Translation)> = Vec::new();
        for Rebuilt { host, service } in rebuilt {
            let translation = match &service {
                Some(service) => service::translate(service, self.load_reporting, &self.set),
                None => Translation::default(),
            };
            let refused = self.refusals(&translation);
            if refused.is_empty() {
                self.refused.remove(&host);
                made.push((host, translation));
            } else {
                // What was last good stays.
                self.refused.insert(host, refused);
            }
        }
        self.replace(made);
    }

    fn refusals(&self, translation: &Translation) -> Vec<Refusal> {
        // References to collections were made from the same endpoints, of which none is refused.
        let common = translation.changed.iter().filter(|(slot, ..)| *slot == Slot::from(slot.kind()));
        let refused = common.filter_map(|(slot, resource, made_by)| {
            let reason = (self.refusal)(slot.kind(), &resource.bytes)?;
            Some(Refusal { made_by: made_by.clone(), reason })
        });
        refused.collect()
    }

    /// Removes old names before it adds new ones: a name may move from one service to another.
    fn replace(&mut self, made: Vec<(Arc<str>, Translation)>) {
        for (host, translation) in &made {
            let Some(before) = self.names.remove(host) else { continue };
            for (slot, name) in before.resources {
                if !translation.resources.contains_key(&(slot, Arc::clone(&name))) {
                    self.set.remove(slot, &name);
                }
            }
            for name in before.collections {
                if !translation.collections.contains_key(&name) {
                    self.set.remove_collection(&name);
                }
            }
        }
        for (host, translation) in made {
            let names = Names {
                resources: translation.resources.keys().cloned().collect(),
                collections: translation.collections.keys().cloned().collect(),
            };
            for ((slot, name), resource) in translation.resources {
                if self.set.scoped(slot, &name) != Some(&resource) {
                    self.set.insert_scoped(slot, name, resource);
                }
            }
            for (name, collection) in translation.collections {
                self.set.insert_scoped_collection(name, collection);
            }
            if !names.resources.is_empty() {
                self.names.insert(host, names);
            }
        }
    }

    /// What clients would refuse.
    pub(crate) fn diagnostics(&self, model: &Model) -> Vec<Diagnostic> {
        let refused = self.refused.values().flatten();
        refused.filter_map(|refusal| diagnostic(refusal, model)).collect()
    }
}

fn diagnostic(refusal: &Refusal, model: &Model) -> Option<Diagnostic> {
    let one = model.object(&refusal.made_by)?;
    let message = format!(
        "clients would refuse what this becomes: {}; what was last good stays in use",
        refusal.reason
    );
    Some(one.object.diagnostic(&Finding::error(FieldPath::root(), message).code(Code::RefusedByClients)))
}
