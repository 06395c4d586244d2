//! The model: from objects to services with their endpoints, routes and policies. Pure and incremental.
//!
//! ```text
//! changes -> Index (objects by key) -> affected units -> Service (one per host) -> translation
//!                                          `-> findings of objects
//! ```
//!
//! A unit is what is built at once: a service, or the findings about one object. Every lookup goes through a [`Reader`] that
//! records its key; a change affects the units that have looked up one of its keys, and no other. So the cost of a change is
//! that of the services that depend on it, whatever else there is.
//!
//! No object is refused because of what it refers to: a route to something that is missing fails its calls, and only those
//! ([`Target::Missing`](reference::Target)). Whose object counts for a client depends on the client's [`Viewer`](viewer::Viewer).

mod aliases;
mod attached;
mod attached_check;
mod balancing;
mod check;
mod cluster;
mod conflict;
mod declaration;
mod delegate;
mod endpoints;
mod gateway_check;
mod gateway_route;
mod grpc_route;
mod http_route;
mod index;
mod key;
mod limits;
mod matches;
mod mtls;
mod name;
mod policy;
mod policy_check;
mod rebuilding;
mod reference;
mod report;
mod route;
mod rule;
mod servers;
mod service;
mod settings;
mod tls;
mod units;
mod viewer;
mod virtual_service;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::kinds::ObjectId;
use crate::resources::Table;
use crate::source::{Change, Sourced};
use crate::state::Diagnostic;
use index::Index;
use key::Key;
use rebuilding::Rebuilding;
pub(crate) use tls::{EndpointTls, IDENTITY, PeerName};
use units::{Unit, Units};

pub(crate) use balancing::{HashKey, LoadBalancing, SlowStart};
pub(crate) use cluster::{Cluster, Discovery};
pub(crate) use endpoints::{Endpoint, label_name};
pub(crate) use limits::{Budget, Connections, Pings};
pub(crate) use mtls::{Mode, speaks_mtls};
pub(crate) use policy::{LocalityPolicy, Outlier, Policy};
pub(crate) use route::{
    Action, Answers, HeaderMatch, Mirror, PathMatch, PathRewrite, QueryMatch, Redirect, Retry, Rewrite,
    Route, RouteMatch, Share,
};
pub(crate) use servers::{Barred, Governed, ServerPolicies};
pub(crate) use service::{Service, ServicePort, ServiceView};
pub(crate) use settings::DEFAULT_TRUST_DOMAIN;
pub use settings::{OnInvalid, Settings};

/// All objects, and what depends on which.
#[derive(Debug, Default)]
pub(crate) struct Model {
    settings: Settings,
    index: Index,
    units: Units,
    /// By unit.
    diagnostics: Table<Arc<[Diagnostic]>>,
}

/// What was built again.
#[derive(Debug)]
pub(crate) enum Rebuilt {
    /// `None`: the host is not declared any more.
    Service { host: Arc<str>, service: Option<Service> },
    /// `None`: the namespace has no policies any more. Of an empty name: every namespace without policies of its own.
    Servers { namespace: Arc<str>, policies: Option<ServerPolicies> },
}

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Applies changes; returns the services and servers' policies that they affect, each built when it is asked for: all
    /// services of a start need much memory at once. Findings are complete when all have been taken.
    pub(crate) fn apply(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
    ) -> impl Iterator<Item = Rebuilt> + '_ {
        let mut affected = BTreeSet::new();
        for change in changes {
            let keys = match change {
                // An object that has moved may take precedence over others, and its findings stand elsewhere.
                Change::Upsert(one) | Change::Moved(one) => {
                    affected.insert(Unit::Object(one.object.id.clone()));
                    self.index.insert(one)
                }
                Change::Refused(refused) => self.index.refuse(refused),
                Change::Delete(id) => {
                    let keys = self.index.remove(&id);
                    affected.insert(Unit::Object(id));
                    keys
                }
            };
            for key in keys {
                self.mark(&key, &mut affected);
            }
        }
        Rebuilding::new(self, affected)
    }

    /// Marks the units that depend on a key.
    fn mark(&self, key: &Key, affected: &mut BTreeSet<Unit>) {
        affected.extend(self.units.readers_of(key.hash()));
        if let Some(wildcard) = key.wildcard() {
            affected.extend(self.units.services_covered_by(wildcard));
        }
        if let Key::Host(host) = key {
            affected.insert(Unit::Service(host.as_str().into()));
        }
        if let Key::Policies(namespace) = key {
            affected.insert(Unit::Servers(namespace.as_str().into()));
            if *namespace == self.settings.root_namespace {
                affected.insert(Unit::Servers(Arc::default()));
            }
        }
    }

    /// The object of this identity.
    pub(crate) fn object(&self, id: &ObjectId) -> Option<&Sourced> {
        self.index.get(id)
    }

    /// Everything that was found, by unit.
    pub(crate) fn diagnostics(&self) -> &Table<Arc<[Diagnostic]>> {
        &self.diagnostics
    }
}
