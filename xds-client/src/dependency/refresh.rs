//! The parts in use, as they are now, while something that is to replace them has not come.

use std::collections::{HashMap, HashSet};

use mesh_core::config::{Cluster, Discovery, MeshConfig, Name, ResourceError};

use super::Resources;
use super::assemble::Parts;
use super::walk::{Found, Walk, cluster_names, resolve};

impl<R: Resources> Walk<'_, R> {
    /// RT-32: the routes of `last`, with the clusters and endpoints of today. What is new may never come; endpoints
    /// that come and go meanwhile are not to be missed for it.
    ///
    /// What is waited for stays as it is, and nothing that works gives way to an error: a server that has already
    /// taken back what the new routes do not need must not fail calls that still take the old ones.
    pub(super) fn refresh(&mut self, last: &MeshConfig) -> Option<Parts> {
        let [host] = &**last.virtual_hosts() else { return None };
        let mut roots = cluster_names(host);
        // The new is not to wait for what only the old needs.
        let missing = std::mem::take(&mut self.missing);
        let found = self.clusters(&roots);
        self.missing = missing;
        roots.retain(|root| is_complete(&found, root));
        let mut clusters = last.clusters().clone();
        for (name, cluster) in resolve(self.target, roots, &found) {
            if works(&cluster) || !clusters.get(&name).is_some_and(works) {
                clusters.insert(name, cluster);
            }
        }
        Some(Parts {
            virtual_host: host.clone(),
            clusters,
            max_stream_duration: last.max_stream_duration(),
            filters: last.filters().clone(),
            headers: last.headers().clone(),
            header_order: last.header_order(),
        })
    }
}

/// Whether everything has come that the cluster is made of.
fn is_complete(found: &HashMap<Name, Found>, root: &Name) -> bool {
    let mut seen = HashSet::new();
    let mut left = vec![root];
    while let Some(name) = left.pop() {
        match found.get(name) {
            Some(Found::Missing) => return false,
            Some(Found::Aggregate(_, children)) if seen.insert(name) => left.extend(children),
            _ => {}
        }
    }
    true
}

fn works(cluster: &Result<Cluster, ResourceError>) -> bool {
    matches!(cluster, Ok(cluster) if !matches!(cluster.discovery, Discovery::Endpoints(Err(_))))
}
