//! Clusters: a service's port, or a subset of it.

use std::collections::BTreeMap;

use super::declaration::{Declaration, Port};
use super::endpoints::{Callers, Endpoint, Located, Workloads};
use super::policy::Policy;
use super::report::Report;
use super::rule::Rule;
use super::tls::EndpointTls;
use crate::kinds::destination_rule::Subset;

/// Endpoints that calls go to, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) discovery: Discovery,
    /// `None`: in plaintext.
    pub(crate) tls: Option<EndpointTls>,
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
        Self { name, policy: Policy::default(), discovery: Discovery::Unavailable(reason), tls: None }
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
        workloads.report_plaintext(port.number, report);
        clusters.extend(of_port(declaration.host(), &port, None, rule, workloads));
        for subset in rule.subsets() {
            clusters.extend(of_port(declaration.host(), &port, Some(subset), rule, workloads));
        }
    }
    clusters
}

/// The cluster of a port or a subset, or one for each name that clients have to resolve.
fn of_port(
    host: &str,
    port: &Port<'_>,
    subset: Option<&Subset>,
    rule: &Rule<'_>,
    workloads: &Workloads<'_>,
) -> Vec<Cluster> {
    let everything = BTreeMap::new();
    let labels = subset.map_or(&everything, |subset| &subset.labels);
    let (policy, ruled_by) = rule.policy(subset, port);
    let name = cluster_name(port.number, subset.map_or("", |subset| subset.name.as_str()), host);
    if let Some(reason) = policy.unmet_demand(port.is_tls, ruled_by) {
        // It stays, empty, for the clients that use it already: they would go on with one that is gone.
        return vec![Cluster::unavailable(name, reason)];
    }
    let located = workloads.of_port(port.number, labels, policy.failover_labels());
    let tls = match &policy.tls {
        Some(tls) => {
            EndpointTls::stated(tls, host, || workloads.identities(port.number, labels, Callers::All))
        }
        // No rule says how: clients do what the endpoints take.
        None => Ok(located.takes_mtls().then(|| {
            EndpointTls::of_mesh(workloads.identities(port.number, labels, Callers::WithMutualTls))
        })),
    };
    let tls = match tls {
        Ok(tls) => tls,
        Err(reason) => return vec![Cluster::unavailable(name, reason.to_owned())],
    };
    let parts = divide(&name, located, &policy).into_iter();
    parts
        .map(|part| Cluster {
            name: part.cluster,
            policy: policy.clone(),
            discovery: part.discovery,
            tls: tls.clone(),
        })
        .collect()
}

/// A part of a port's endpoints that is a cluster of its own.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) cluster: String,
    /// Its share of the calls, at least 1.
    pub(super) weight: u32,
    discovery: Discovery,
}

/// The clusters of a port's endpoints. gRPC clients resolve one name per cluster, so every name is a cluster, and routes spread
/// calls over them by weight.
pub(super) fn divide(name: &str, located: Located, policy: &Policy) -> Vec<Part> {
    let Located { endpoints, names } = if policy.tls.is_none() { located.alike() } else { located };
    let is_whole = names.len() + usize::from(!endpoints.is_empty()) <= 1;
    let mut parts: Vec<Part> = Vec::new();
    for one in names {
        let cluster = if is_whole { name.to_owned() } else { format!("{name}|{}:{}", one.host, one.port) };
        let discovery = Discovery::LogicalDns { host: one.host, port: one.port };
        parts.push(Part { cluster, weight: one.weight, discovery });
    }
    if parts.is_empty() || !endpoints.is_empty() {
        let weight = endpoints.iter().map(|one| one.weight).fold(0_u32, u32::saturating_add).max(1);
        parts.push(Part { cluster: name.to_owned(), weight, discovery: Discovery::Endpoints(endpoints) });
    }
    parts
}
