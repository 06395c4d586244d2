//! From the clusters that a walk has found to those of a configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mesh_core::config::{Cluster, ClusterSettings, Discovery, Name, ResourceError, RouteAction, VirtualHost};

use super::aggregate::{Aggregates, GraphNode, MAX_DEPTH};
use super::walk::Target;
use super::{Key, KeyKind};

/// A cluster in the walk.
pub(super) enum Found {
    Error(ResourceError),
    Leaf(Cluster),
    Aggregate(Arc<ClusterSettings>, Vec<Name>),
    /// The cluster or its endpoints are missing.
    Missing,
}

/// Every cluster that a route of the host may choose or mirror calls to, once.
pub(super) fn cluster_names(host: &VirtualHost) -> Vec<Name> {
    let mut seen = HashSet::new();
    let forwards = host.routes.iter().filter_map(|route| match &route.action {
        RouteAction::Forward(forward) => Some(forward),
        _ => None,
    });
    let names = forwards.flat_map(|forward| forward.cluster_names());
    names.filter(|name| seen.insert(Name::clone(name))).cloned().collect()
}

/// The clusters that the routes choose from, and the leaves of those that are aggregates.
pub(super) fn resolve(
    target: &Target,
    roots: Vec<Name>,
    found: &HashMap<Name, Found>,
) -> HashMap<Name, Result<Cluster, ResourceError>> {
    let mut clusters = HashMap::with_capacity(roots.len());
    let mut aggregates = Aggregates::new(|name: &Name| match found.get(name) {
        Some(Found::Aggregate(_, children)) => GraphNode::Aggregate(children),
        Some(Found::Leaf(_)) => GraphNode::Leaf,
        Some(Found::Error(_) | Found::Missing) => GraphNode::Absent,
        None => GraphNode::TooDeep,
    });
    let mut used = Vec::new();
    for root in roots {
        let Some(Found::Aggregate(settings, _)) = found.get(&root) else {
            used.push(root);
            continue;
        };
        let cluster = flatten(target, &root, settings, &mut aggregates);
        if let Ok(Cluster { discovery: Discovery::Aggregate(leaves), .. }) = &cluster {
            used.extend(leaves.iter().cloned());
        }
        clusters.insert(root, cluster);
    }
    for name in used {
        match found.get(&name) {
            Some(Found::Leaf(cluster)) => _ = clusters.insert(name, Ok(cluster.clone())),
            Some(Found::Error(error)) => _ = clusters.insert(name, Err(error.clone())),
            Some(Found::Aggregate(..) | Found::Missing) | None => {}
        }
    }
    clusters
}

// RT-32
fn flatten<'f, F: Fn(&Name) -> GraphNode<'f>>(
    target: &Target,
    name: &Name,
    settings: &Arc<ClusterSettings>,
    aggregates: &mut Aggregates<F>,
) -> Result<Cluster, ResourceError> {
    let leaves = aggregates.leaves(name);
    let reason = match leaves {
        Ok(leaves) if !leaves.is_empty() => {
            let discovery = Discovery::Aggregate(leaves.into());
            return Ok(Cluster::new(settings.clone(), discovery));
        }
        Ok(_) => "none of the clusters that it is made of exists".to_owned(),
        Err(_) => format!("is made of clusters more than {MAX_DEPTH} deep, or of itself"),
    };
    let key = Key::new(KeyKind::Cluster, name);
    Err(ResourceError::new(target.context.text(&key, &reason)))
}
