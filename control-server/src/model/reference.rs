//! Where routes send calls: destinations, found or missing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::attached::{PortSettings, ServicePolicies};
use super::balancing::HashKey;
use super::cluster::{Cluster, cluster_name, divide};
use super::declaration::Declaration;
use super::endpoints::Workloads;
use super::index::Reader;
use super::mtls::MtlsPolicies;
use super::report::Report;
use super::route::{Action, Mirror, Share};
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

/// What a target is for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// At least one, each with its share of the target's calls, at least 1.
    pub(super) clusters: Vec<(String, u32)>,
    /// What chooses the endpoint.
    pub(super) hash_key: Option<HashKey>,
    /// There is no such target: its calls fail.
    is_missing: bool,
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

    /// The settings of our own policies for calls to a port of the owner.
    pub(super) fn policies_of_port(&self, port: u32) -> PortSettings<'a> {
        let Some(declaration) = Declaration::of(self.owner, self.viewer, self.reader) else {
            return PortSettings::default();
        };
        let ports = declaration.ports();
        let name = ports.iter().find(|one| one.number == port).map_or("", |one| one.name);
        ServicePolicies::of(&declaration, self.reader, self.settings).of_port(name)
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
        let mut hash_keys: Vec<HashKey> = Vec::new();
        let targets: Vec<&WeightedTarget> = targets.iter().filter(|one| one.weight > 0).collect();
        let found: Vec<Found> = targets.iter().map(|one| self.find_or_fail(&one.target)).collect();
        let rows = targets.iter().zip(&found).map(|(target, found)| {
            (target.weight, found.clusters.iter().map(|(_, weight)| *weight).collect())
        });
        let weights = shares_of(&rows.collect::<Vec<_>>());
        for ((target, found), weights) in targets.iter().zip(found).zip(weights) {
            for ((cluster, _), weight) in found.clusters.into_iter().zip(weights) {
                let is_same =
                    |share: &&mut Share| share.cluster == cluster && share.headers == target.headers;
                match shares.iter_mut().find(is_same) {
                    Some(share) => share.weight = share.weight.saturating_add(weight),
                    None => {
                        let (headers, is_missing) = (target.headers.clone(), found.is_missing);
                        shares.push(Share { cluster, weight, headers, is_missing });
                    }
                }
            }
            hash_keys.extend(found.hash_key.filter(|key| !hash_keys.contains(key)));
        }
        (!shares.is_empty()).then_some(Action::Forward { shares, hash_keys })
    }

    /// The action that fails every call.
    pub(super) fn refuse(&self, reason: String) -> Action {
        let cluster = self.fail(reason);
        let share = Share { cluster, weight: 1, headers: HeaderChanges::default(), is_missing: false };
        Action::Forward { shares: vec![share], hash_keys: Vec::new() }
    }

    /// The cluster that gets copies of calls; `None` if the target is missing. Of several the first one, which is one of the
    /// service's names.
    pub(super) fn mirror(&self, target: &Target, share: u32) -> Option<Mirror> {
        let (cluster, _) = self.find(target).ok()?.clusters.into_iter().next()?;
        (share > 0).then_some(Mirror { cluster, share })
    }

    fn find_or_fail(&self, target: &Target) -> Found {
        self.find(target).unwrap_or_else(|reason| {
            let clusters = vec![(self.fail(reason), 1)];
            Found { clusters, hash_key: None, is_missing: true }
        })
    }

    /// The clusters of a target.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn find(&self, target: &Target) -> Result<Found, String> {
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
        let number = port.ok_or_else(|| format!("{host} has several ports: {}", ports()))?;
        let found = declaration.ports().into_iter().find(|one| one.number == number);
        let port = found.ok_or_else(|| format!("{host} has no port {number}, only {}", ports()))?;
        let rule = Rule::of(&declaration, self.viewer, self.reader, self.settings);
        let of_subset = rule.subset(subset);
        if of_subset.is_none() && !subset.is_empty() {
            return Err(format!("{host} has no subset {subset}"));
        }
        let (policy, ruled_by) = rule.policy(of_subset, &port);
        if let Some(reason) = policy.unmet_demand(port.is_tls, ruled_by) {
            return Err(reason);
        }
        let name = cluster_name(number, subset, host);
        let clusters = if declaration.may_have_names() {
            let everything = BTreeMap::new();
            let labels = of_subset.map_or(&everything, |subset| &subset.labels);
            let mtls = MtlsPolicies::of(declaration.namespace(), self.reader, self.settings);
            let workloads = Workloads::new(&declaration, self.reader, &mut Report::default());
            let workloads = workloads.with_mtls(mtls, self.settings);
            let located = workloads.of_port(number, labels, policy.failover_labels());
            divide(&name, located, &policy).into_iter().map(|part| (part.cluster, part.weight)).collect()
        } else {
            vec![(name, 1)]
        };
        Ok(Found { clusters, hash_key: policy.hash_key, is_missing: false })
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

/// The weights of targets, each divided among its clusters in the ratio of their own weights, as whole numbers of one total that
/// fits a route (RDS-12).
fn shares_of(targets: &[(u32, Vec<u32>)]) -> Vec<Vec<u32>> {
    let sums = || targets.iter().map(|(_, parts)| parts.iter().copied().map(u128::from).sum::<u128>().max(1));
    // With several clusters only in one target, or few of them, the ratios are exact.
    let common = sums().fold(1, |common, sum| (common / gcd(common, sum)).saturating_mul(sum));
    let common = common.min(u128::from(u32::MAX));
    let of_target = |((weight, parts), sum): (&(u32, Vec<u32>), u128)| -> Vec<u128> {
        let share = |part: &u32| u128::from(*weight) * u128::from(*part) * common / sum;
        parts.iter().map(share).collect()
    };
    let exact: Vec<Vec<u128>> = targets.iter().zip(sums()).map(of_target).collect();
    let total: u128 = exact.iter().flatten().sum();
    let count = exact.iter().map(Vec::len).sum::<usize>() as u128;
    let limit = u128::from(u32::MAX).saturating_sub(count).max(1);
    let fitting = |share: u128| if total > limit { share * limit / total } else { share };
    let whole = |share: &u128| u32::try_from(fitting(*share).max(1)).unwrap_or(u32::MAX);
    exact.iter().map(|shares| shares.iter().map(whole).collect()).collect()
}

fn gcd(one: u128, other: u128) -> u128 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_divided_in_the_ratio_of_the_clusters() {
        type Row = (&'static [(u32, &'static [u32])], &'static [&'static [u32]]);
        let rows: [Row; 5] = [
            (&[(90, &[1]), (10, &[1])], &[&[90], &[10]]),
            (&[(1, &[1, 3])], &[&[1, 3]]),
            (&[(90, &[1]), (10, &[1, 3])], &[&[360], &[10, 30]]),
            (&[(1, &[1, 1]), (1, &[1, 1, 1])], &[&[3, 3], &[2, 2, 2]]),
            (&[(u32::MAX, &[1, 1])], &[&[2_147_483_646, 2_147_483_646]]),
        ];
        for (targets, expected) in rows {
            let targets: Vec<_> = targets.iter().map(|(weight, parts)| (*weight, parts.to_vec())).collect();
            assert_eq!(shares_of(&targets), expected, "{targets:?}");
        }
    }
}
