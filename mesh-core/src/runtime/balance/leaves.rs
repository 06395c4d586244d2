//! The leaves of a cluster.

use std::sync::Arc;

use crate::config::Cluster;

/// The clusters of one balancer: a cluster with endpoints of its own, or the leaves of an aggregate in the order of
/// preference, each at its first place (LB-03).
#[derive(Debug, Clone)]
pub(crate) struct Leaves {
    pub(super) first: Cluster,
    pub(super) further: Vec<Cluster>,
    /// Why other leaves are missing, for errors of calls.
    pub(super) note: Option<Arc<str>>,
}

impl Leaves {
    /// Leaves of an aggregate. `None`: there are none.
    pub(crate) fn new(clusters: impl IntoIterator<Item = Cluster>, note: Option<Arc<str>>) -> Option<Self> {
        let mut clusters = clusters.into_iter();
        let mut leaves = Self { first: clusters.next()?, further: Vec::new(), note };
        for cluster in clusters {
            if leaves.iter().all(|known| known.settings.name != cluster.settings.name) {
                leaves.further.push(cluster);
            }
        }
        Some(leaves)
    }

    /// Whether both are the same, by a comparison that does not read endpoints and settings.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.further.len() == other.further.len()
            && self.iter().zip(other.iter()).all(|(leaf, other)| leaf.is_same(other))
            && self.note == other.note
    }

    fn iter(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.first).chain(&self.further)
    }
}

impl From<&Cluster> for Leaves {
    /// A cluster with endpoints of its own.
    fn from(cluster: &Cluster) -> Self {
        Self { first: cluster.clone(), further: Vec::new(), note: None }
    }
}
