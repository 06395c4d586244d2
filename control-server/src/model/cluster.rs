//! Clusters: a service's port, or a subset of it.

use std::collections::BTreeMap;

use super::declaration::{Declaration, Port};
use super::endpoints::{Endpoint, Located, Workloads};
use super::policy::Policy;
use super::report::Report;
use super::rule::Rule;
use crate::kinds::destination_rule::Subset;

/// Endpoints that calls go to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) discovery: Discovery,
}

/// The source of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// A list, which may be empty.
    Endpoints(Vec<Endpoint>),
    /// Clients resolve this name.
    LogicalDns { host: String, port: u32 },
    /// None, so that every call fails, and why.
    Unavailable(String),
}

impl Cluster {
    /// A cluster whose calls fail.
    pub(super) fn unavailable(name: String, reason: String) -> Self {
        Self { name, policy: Policy::default(), discovery: Discovery::Unavailable(reason) }
    }
}

/// As Istio names it, so that clients of Istio find it.
pub(crate) fn cluster_name(port: u32, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// All clusters of a service.
pub(super) fn clusters(
    declaration: &Declaration<'_>,
    rule: &Rule<'_>,
    workloads: &Workloads<'_>,
    report: &mut Report,
) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for port in declaration.ports() {
        workloads.report_duplicates(port.number, report);
        clusters.push(cluster(declaration.host(), &port, None, rule, workloads));
        for subset in rule.subsets() {
            clusters.push(cluster(declaration.host(), &port, Some(subset), rule, workloads));
        }
    }
    clusters
}

fn cluster(
    host: &str,
    port: &Port<'_>,
    subset: Option<&Subset>,
    rule: &Rule<'_>,
    workloads: &Workloads<'_>,
) -> Cluster {
    let everything = BTreeMap::new();
    let labels = subset.map_or(&everything, |subset| &subset.labels);
    let (policy, ruled_by) = rule.policy(subset, port.number);
    let name = cluster_name(port.number, subset.map_or("", |subset| subset.name.as_str()), host);
    if let Some(reason) = policy.unmet_demand(port.is_tls, ruled_by) {
        // It stays, empty, for the clients that use it already: they would go on with one that is gone.
        return Cluster::unavailable(name, reason);
    }
    let discovery = match workloads.of_port(port.number, labels, policy.failover_labels()) {
        Located::Known(endpoints) => Discovery::Endpoints(endpoints),
        Located::ByName { host, port } => Discovery::LogicalDns { host, port },
    };
    Cluster { name, policy, discovery }
}
