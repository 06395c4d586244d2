//! Clusters: a service's port, or a subset of it.

use std::collections::BTreeMap;

use super::endpoints::{Endpoint, Located, Workloads};
use super::policy::Policy;
use super::registry::Declaration;
use super::report::Report;
use super::rules::Rule;
use crate::kinds::destination_rule::Subset;
use crate::kinds::service_entry::Port;

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
}

/// As Istio names it, so that clients of Istio find it.
pub(crate) fn cluster_name(port: u32, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// All clusters of a service.
pub(super) fn clusters(
    host: &str,
    declaration: &Declaration,
    rule: Option<&Rule>,
    workloads: &Workloads,
    report: &mut Report,
) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for port in &declaration.entry().ports {
        workloads.report_duplicates(port, report);
        let everything = cluster(host, port, None, rule, workloads);
        clusters.push(everything);
        for subset in rule.into_iter().flat_map(Rule::subsets) {
            clusters.push(cluster(host, port, Some(subset), rule, workloads));
        }
    }
    if let (Some(rule), Some(port)) = (rule, declaration.entry().ports.first()) {
        for (index, subset) in rule.own_subsets().enumerate() {
            if matches!(workloads.of_port(port, &subset.labels), Located::Known(endpoints) if endpoints.is_empty())
            {
                rule.warn_of_empty_subset(index, report);
            }
        }
    }
    clusters
}

fn cluster(
    host: &str,
    port: &Port,
    subset: Option<&Subset>,
    rule: Option<&Rule>,
    workloads: &Workloads,
) -> Cluster {
    let everything = BTreeMap::new();
    let labels = subset.map_or(&everything, |subset| &subset.labels);
    let discovery = match workloads.of_port(port, labels) {
        Located::Known(endpoints) => Discovery::Endpoints(endpoints),
        Located::ByName { host, port } => Discovery::LogicalDns { host, port },
    };
    let own = rule.and_then(Rule::traffic_policy);
    let of_subset = subset.and_then(|subset| subset.traffic_policy.as_ref());
    Cluster {
        name: cluster_name(port.number, subset.map_or("", |subset| subset.name.as_str()), host),
        policy: Policy::new(own, of_subset, port.number),
        discovery,
    }
}
