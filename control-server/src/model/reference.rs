//! Where routes send calls: destinations, found or missing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::cluster::{Cluster, cluster_name};
use super::declaration::Declaration;
use super::index::Reader;
use super::route::{Action, Share};
use super::rule::Rule;
use super::viewer::Viewer;
use super::{Settings, name, service};
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::virtual_service::Destination;

/// A destination, as an object names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A port of a host, which may not exist.
    Service {
        host: String,
        /// `None`: none is named, and the host has several.
        port: Option<u32>,
        /// Empty: all endpoints.
        subset: String,
    },
    /// It must not be used, or nothing can be meant by it; and why.
    Missing(String),
}

/// A target with its weight and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WeightedTarget {
    pub(super) target: Target,
    pub(super) weight: u32,
    pub(super) headers: HeaderChanges,
}

/// Finds the destinations of one service's routes, for one class of clients.
#[derive(Debug)]
pub(super) struct Destinations<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    pub(super) settings: &'r Settings,
    pub(super) viewer: &'r Viewer,
    /// The host whose routes these are.
    owner: &'r str,
    /// The clusters for what is missing, by name.
    unavailable: RefCell<BTreeMap<String, Cluster>>,
}

impl<'r, 'a> Destinations<'r, 'a> {
    pub(super) fn new(
        owner: &'r str,
        viewer: &'r Viewer,
        reader: &'r Reader<'a>,
        settings: &'r Settings,
    ) -> Self {
        Self { reader, settings, viewer, owner, unavailable: RefCell::default() }
    }

    /// The clusters that stand for what is missing.
    pub(super) fn into_unavailable(self) -> impl Iterator<Item = Cluster> {
        self.unavailable.into_inner().into_values()
    }

    /// The target of a destination in an object of `namespace`, for calls to `port`: a service with one port has that one,
    /// another has the called port.
    pub(super) fn target(&self, destination: &Destination, namespace: &str, port: u32) -> Target {
        let host = self.reader.find(&destination.host, namespace);
        let host = host.unwrap_or_else(|| name::complete(&destination.host, namespace));
        let declaration = Declaration::of(&host, self.viewer, self.reader);
        let named = destination.port.map(|port| port.number);
        let only = || declaration.as_ref().and_then(Declaration::only_port);
        let called = || declaration.as_ref().is_none_or(|found| found.has_port(port)).then_some(port);
        let port = named.or_else(only).or_else(called);
        Target::Service { host, port, subset: destination.subset.clone().unwrap_or_default() }
    }

    /// The action that spreads calls over targets by their weights; targets without a weight get none. The share of a target
    /// that is missing fails.
    pub(super) fn forward(&self, targets: &[WeightedTarget]) -> Option<Action> {
        let mut shares: Vec<Share> = Vec::new();
        let mut hash_headers: Vec<String> = Vec::new();
        for WeightedTarget { target, weight, headers } in targets.iter().filter(|one| one.weight > 0) {
            let (cluster, hash_header) = match self.cluster(target) {
                Ok(found) => found,
                Err(reason) => (self.fail(reason), None),
            };
            let is_same = |share: &&mut Share| share.cluster == cluster && share.headers == *headers;
            match shares.iter_mut().find(is_same) {
                Some(share) => share.weight = share.weight.saturating_add(*weight),
                None => shares.push(Share { cluster, weight: *weight, headers: headers.clone() }),
            }
            hash_headers.extend(hash_header.filter(|header| !hash_headers.contains(header)));
        }
        (!shares.is_empty()).then_some(Action::Forward { shares, hash_headers })
    }

    /// The action that fails every call.
    pub(super) fn refuse(&self, reason: String) -> Action {
        let cluster = self.fail(reason);
        let share = Share { cluster, weight: 1, headers: HeaderChanges::default() };
        Action::Forward { shares: vec![share], hash_headers: Vec::new() }
    }

    /// The cluster of a target and the header that chooses the endpoint.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn cluster(&self, target: &Target) -> Result<(String, Option<String>), String> {
        let (host, port, subset) = match target {
            Target::Missing(reason) => return Err(reason.clone()),
            Target::Service { host, port, subset } => (host, port, subset),
        };
        let Some(declaration) = Declaration::of(host, self.viewer, self.reader) else {
            let is_hidden = self.reader.is_declared(host);
            let reason = if is_hidden { "is not exported to the client" } else { "is not declared" };
            return Err(format!("{host} {reason}"));
        };
        if let Some(reason) = service::unreadable_rule(host, self.reader, self.settings) {
            return Err(reason);
        }
        let ports = || declaration.port_list();
        let port = port.ok_or_else(|| format!("{host} has several ports: {}", ports()))?;
        if !declaration.has_port(port) {
            return Err(format!("{host} has no port {port}, only {}", ports()));
        }
        let rule = Rule::of(host, declaration.namespace(), self.viewer, self.reader, self.settings);
        let of_subset = rule.subset(subset);
        if of_subset.is_none() && !subset.is_empty() {
            return Err(format!("{host} has no subset {subset}"));
        }
        let is_tls = declaration.ports().iter().any(|one| one.number == port && one.is_tls);
        let (policy, ruled_by) = rule.policy(of_subset, port);
        if let Some(reason) = policy.unmet_demand(is_tls, ruled_by) {
            return Err(reason);
        }
        Ok((cluster_name(port, subset, host), policy.hash_header().map(str::to_owned)))
    }

    /// A cluster of this service whose calls fail. Clients show its name when they do, so it says why.
    fn fail(&self, reason: String) -> String {
        // Two services may refer to the same missing one: each has a cluster of its own for it.
        let name = format!("unavailable|{reason}|{}", self.owner);
        let made = || Cluster::unavailable(name.clone(), reason);
        self.unavailable.borrow_mut().entry(name.clone()).or_insert_with(made);
        name
    }
}
