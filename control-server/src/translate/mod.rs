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
mod connection;
mod cors;
mod endpoints;
mod envoy;
mod family;
mod fault;
mod hash_policy;
mod headers;
mod health_check;
mod lb_policy;
mod listener;
mod locality;
mod matcher;
mod outlier;
mod rate_limit;
mod route;
mod servers;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod zone_aware;

pub(crate) use cluster::is_secured;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;

use crate::finding::Finding;
use crate::kinds::ObjectId;
use crate::model::{Model, Rebuilt, ServerPolicies, Service};
use crate::parallel;
use crate::resources::{ResourceKind, ResourceSet, Slot};
use crate::state::{Code, Diagnostic};
use crate::yaml::FieldPath;
use servers::Servers;
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
    servers: Servers,
    set: ResourceSet,
    /// Why the resources of a host are those of an earlier version, and which policies bar servers.
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
    /// The resource's name.
    resource: Arc<str>,
    reason: String,
    consequence: &'static str,
}

impl Translator {
    pub(crate) fn new(load_reporting: LoadReporting) -> Self {
        let mut set = ResourceSet::default();
        set.set_servers(Arc::new(Servers::default()));
        Self {
            load_reporting,
            names: HashMap::default(),
            servers: Servers::default(),
            set,
            refused: BTreeMap::new(),
            refusal: accept::refusal,
        }
    }

    /// All resources, with the revision left at 0.
    pub(crate) fn resources(&self) -> &ResourceSet {
        &self.set
    }

    /// Takes services that were built again.
    pub(crate) fn translate(&mut self, rebuilt: impl IntoIterator<Item = Rebuilt>) {
        // A name may move from one known service to another, so those are replaced at once. At the start there are none: a part
        // at a time, services need little memory besides what is served in the end.
        let at_once = if self.names.is_empty() { AT_ONCE } else { usize::MAX };
        let mut services: Vec<(Arc<str>, Option<Service>)> = Vec::new();
        for one in rebuilt {
            match one {
                Rebuilt::Service { host, service } => services.push((host, service)),
                Rebuilt::Servers { namespace, policies } => self.take_servers(namespace, policies),
            }
            if services.len() == at_once {
                self.take(&services);
                services.clear();
            }
        }
        self.take(&services);
    }

    /// Translates services, on all cores if there are many, for none depends on another; and serves the result.
    fn take(&mut self, services: &[(Arc<str>, Option<Service>)]) {
        let translated = parallel::map(services, |(_, service)| self.translate_service(service.as_ref()));
        let mut made: Vec<(Arc<str>, Translation)> = Vec::new();
        for ((host, _), (translation, refused)) in services.iter().zip(translated) {
            made.extend(translation.map(|translation| (Arc::clone(host), translation)));
            if refused.is_empty() {
                self.refused.remove(host);
            } else {
                self.refused.insert(Arc::clone(host), refused);
            }
        }
        self.replace(made);
    }

    /// The resources of a service, if clients accept them, and what they would refuse. Instead of refused ones, those that were
    /// last good stay; but not where they are in plaintext and the refused ones are not.
    fn translate_service(&self, service: Option<&Service>) -> (Option<Translation>, Vec<Refusal>) {
        let Some(service) = service else { return (Some(Translation::default()), Vec::new()) };
        let translate = |service: &Service| service::translate(service, self.load_reporting, &self.set);
        let translation = translate(service);
        let mut refused = self.refusals(&translation);
        if refused.is_empty() {
            return (Some(translation), refused);
        }
        let mut service = service.clone();
        let mut is_withheld = false;
        for refusal in &mut refused {
            if service.withhold_tls(&refusal.resource, &refusal.reason) {
                (refusal.consequence, is_withheld) = (WITHHELD, true);
            }
        }
        let translation = is_withheld.then(|| translate(&service));
        (translation.filter(|translation| self.refusals(translation).is_empty()), refused)
    }

    /// Takes the policies for the servers of a namespace.
    fn take_servers(&mut self, namespace: Arc<str>, policies: Option<ServerPolicies>) {
        let unit: Arc<str> = format!("servers of {namespace}").into();
        let (refused, has_changed) = self.servers.replace(namespace, policies, self.refusal);
        if refused.is_empty() {
            self.refused.remove(&unit);
        } else {
            self.refused.insert(unit, refused);
        }
        if has_changed {
            self.set.set_servers(Arc::new(self.servers.clone()));
        }
    }

    fn refusals(&self, translation: &Translation) -> Vec<Refusal> {
        // References to collections were made from the same endpoints, of which none is refused.
        let common = translation.changed.iter().filter(|(slot, ..)| *slot == Slot::from(slot.kind()));
        let refused = common.filter_map(|(slot, resource, made_by)| {
            let reason = (self.refusal)(slot.kind(), &resource.bytes)?;
            let (made_by, resource) = (made_by.clone(), Arc::clone(&resource.name));
            Some(Refusal { made_by, resource, reason, consequence: LAST_GOOD })
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
    let Refusal { reason, consequence, .. } = refusal;
    let message = format!("clients would refuse what this becomes: {reason}; {consequence}");
    Some(one.object.diagnostic(&Finding::error(FieldPath::root(), message).code(Code::RefusedByClients)))
}

/// How many services of a start are translated before what they became takes their place.
const AT_ONCE: usize = 256;

const WITHHELD: &str = "calls fail, because connections without it would be less secure";
const LAST_GOOD: &str = "what was last good stays in use";
