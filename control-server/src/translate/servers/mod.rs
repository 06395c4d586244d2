//! Listeners of servers, by the policies of their namespace and their labels.
//!
//! A listener is made when a server asks for it, and kept while the policies stay: what is served costs as much as there are
//! servers, not as there might be. A policy that servers would refuse is found when it is taken, and bars the servers that it
//! is for.

mod audit;
mod claim;
mod custom;
mod filters;
mod listener;
mod logic;
mod operation;
mod rules;
mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;

use crate::model::{Barred, DEFAULT_TRUST_DOMAIN, Governed, ServerPolicies};
use crate::resources::{
    ClientScope, EncodedResource, MadeBy, ResourceKind, SERVER_LISTENERS, ServerListeners,
};
use crate::state::ClientFamily;

use super::{Refusal, RefusalCheck};
pub(super) use custom::asked_services;
use listener::Server;

/// The policies for servers of every namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Servers {
    namespaces: HashMap<Arc<str>, Arc<Namespace>>,
}

/// The policies of a namespace, and the listeners that have been made by them.
#[derive(Debug)]
struct Namespace {
    policies: ServerPolicies,
    refusal: RefusalCheck,
    made: Mutex<HashMap<Request, Option<Arc<EncodedResource>>>>,
}

/// What a listener depends on, beside the policies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    name: String,
    labels: BTreeMap<String, String>,
    family: ClientFamily,
    may_ask: Option<BTreeSet<String>>,
}

impl Servers {
    /// Takes the policies of a namespace; returns those that servers would refuse, and whether any listener may be another one.
    /// An empty name stands for every namespace without policies of its own.
    pub(super) fn replace(
        &mut self,
        namespace: Arc<str>,
        policies: Option<ServerPolicies>,
        refusal: RefusalCheck,
    ) -> (Vec<Refusal>, bool) {
        let Some(mut policies) = policies else {
            return (Vec::new(), self.namespaces.remove(&namespace).is_some());
        };
        let refused = bar_refused(&mut policies, refusal);
        if self.namespaces.get(&namespace).is_some_and(|before| before.policies == policies) {
            return (refused, false);
        }
        let made = Mutex::default();
        self.namespaces.insert(namespace, Arc::new(Namespace { policies, refusal, made }));
        (refused, true)
    }
}

/// Bars the servers of every policy that servers would refuse.
fn bar_refused(policies: &mut ServerPolicies, refusal: RefusalCheck) -> Vec<Refusal> {
    let mut refused = Vec::new();
    let mut kept = Vec::new();
    for one in std::mem::take(&mut policies.governed) {
        let alone = ServerPolicies { governed: vec![one.clone()], barred: Vec::new(), ..policies.clone() };
        match refusal_of(&alone, &one, refusal) {
            None => kept.push(one),
            Some(reason) => {
                let made_by = one.object.id.clone();
                policies.barred.push(Barred { servers: one.servers, policy: made_by.to_string() });
                refused.push(Refusal { made_by, resource: Arc::default(), reason, consequence: BARRED });
            }
        }
    }
    policies.governed = kept;
    refused
}

/// Why a server would refuse the listener that a policy alone leads to.
fn refusal_of(alone: &ServerPolicies, policy: &Governed, refusal: RefusalCheck) -> Option<String> {
    let labels = policy.servers.sample();
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let server = Server { labels: &labels, family: ClientFamily::MeshTonic, may_ask: None };
    let listener = listener::translate("policy", address, alone, server);
    refusal(ResourceKind::Listener, &listener.encode_to_vec().into())
}

impl ServerListeners for Servers {
    fn listener(&self, name: &str, server: &ClientScope) -> Option<Arc<EncodedResource>> {
        // A server that does not say where it belongs would get around the policies of its namespace.
        let namespace = server.namespace.as_deref()?;
        let own = self.namespaces.get(namespace).or_else(|| self.namespaces.get(""));
        let request = Request {
            name: name.to_owned(),
            labels: server.labels.clone(),
            family: server.family,
            may_ask: server.may_ask.clone(),
        };
        match own {
            Some(own) => own.listener(request),
            None => make(&ServerPolicies::default(), &request, super::accept::refusal),
        }
    }

    /// Every policy has the same one; without policies none depends on it.
    fn trust_domain(&self) -> Arc<str> {
        let any = self.namespaces.values().next();
        any.map_or_else(|| DEFAULT_TRUST_DOMAIN.into(), |any| Arc::clone(&any.policies.trust_domain))
    }
}

impl Namespace {
    fn listener(&self, request: Request) -> Option<Arc<EncodedResource>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&request) {
            return known.clone();
        }
        // Names and labels are what clients say: they must not fill the memory.
        if made.len() >= MAX_MADE {
            made.clear();
        }
        let listener = make(&self.policies, &request, self.refusal);
        made.insert(request, listener.clone());
        listener
    }
}

/// `None`: the name has no address, or servers would refuse the listener.
fn make(policies: &ServerPolicies, request: &Request, refusal: RefusalCheck) -> Option<Arc<EncodedResource>> {
    let address: SocketAddr = request.name.strip_prefix(SERVER_LISTENERS)?.parse().ok()?;
    let name = request.name.as_str();
    let Request { labels, family, may_ask, .. } = request;
    let server = Server { labels, family: *family, may_ask: may_ask.as_ref() };
    let listener = listener::translate(name, address, policies, server);
    let bytes = listener.encode_to_vec().into();
    if let Some(reason) = refusal(ResourceKind::Listener, &bytes) {
        tracing::error!(name, reason, "servers would refuse this listener: it is not served");
        return None;
    }
    let policies = policies.governed.iter().filter(|one| one.servers.holds(&request.labels));
    let made_by: MadeBy = policies.map(|one| Arc::from(one.object.id.to_string())).collect();
    Some(Arc::new(EncodedResource::new(name.into(), bytes).made_by(made_by)))
}

const BARRED: &str = "the servers that it is for refuse every call";
const MAX_MADE: usize = 20_000;
