//! Updates the configuration in use while its replacement is incomplete.

use std::collections::{HashMap, HashSet};

use mesh_core::config::{Cluster, Discovery, MeshConfig, Name, ResourceError};

use super::Resources;
use super::assemble::ConfigParts;
use super::resolve::{Found, cluster_names, resolve};
use super::walk::Walk;

impl<R: Resources> Walk<'_, R> {
    /// RT-32: the routes of `last`, with the current clusters and endpoints. The new configuration may never be complete;
    /// endpoints must be added and removed meanwhile.
    ///
    /// A missing part stays as it is, and no error replaces a working part: a server that has already deleted what only the
    /// old routes need must not fail calls that still use them.
    pub(super) fn refresh(&mut self, last: &MeshConfig) -> Option<ConfigParts> {
        let [host] = &**last.virtual_hosts() else { return None };
        let mut roots = cluster_names(host);
        // The new configuration does not wait for resources that only the old one needs.
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
        Some(ConfigParts {
            virtual_host: host.clone(),
            clusters,
            max_stream_duration: last.max_stream_duration(),
            filters: last.filters().clone(),
            headers: last.headers().clone(),
            header_order: last.header_order(),
        })
    }
}

/// Whether every part of the cluster is present.
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
