//! Assembles a configuration from parts, and reuses equal parts of the last configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::config::{
    Cluster, ConfigError, Discovery, FilterInstance, HeaderMutations, MeshConfig, MutationOrder, Name,
    ResourceError, VirtualHost,
};

/// All parts of a configuration.
#[derive(Debug)]
pub(super) struct ConfigParts {
    pub(super) virtual_host: Arc<VirtualHost>,
    pub(super) clusters: HashMap<Name, Result<Cluster, ResourceError>>,
    pub(super) max_stream_duration: Option<Duration>,
    pub(super) filters: Arc<[FilterInstance]>,
    pub(super) headers: Arc<HeaderMutations>,
    pub(super) header_order: MutationOrder,
}

impl ConfigParts {
    /// The configuration; `last` itself if nothing is different.
    pub(super) fn assemble(mut self, last: Option<&Arc<MeshConfig>>) -> Result<Arc<MeshConfig>, ConfigError> {
        if let Some(last) = last {
            let mut same = self.max_stream_duration == last.max_stream_duration();
            same &= share(&mut self.filters, last.filters());
            same &= share(&mut self.headers, last.headers());
            same &= self.header_order == last.header_order();
            same &= match &**last.virtual_hosts() {
                [host] => share(&mut self.virtual_host, host),
                _ => false,
            };
            same &= self.clusters.len() == last.clusters().len();
            for (name, cluster) in &mut self.clusters {
                same &= match (cluster, last.clusters().get(name)) {
                    (Ok(cluster), Some(Ok(last))) => share_cluster(cluster, last),
                    (Err(error), Some(Err(last))) => error == last,
                    _ => false,
                };
            }
            if same {
                return Ok(last.clone());
            }
        }
        let config = MeshConfig::new(vec![self.virtual_host], self.clusters, self.max_stream_duration)?;
        Ok(Arc::new(config.with_filters(self.filters).with_headers(self.headers, self.header_order)))
    }
}

/// Replaces equal parts by those of `last`. Returns whether all are equal.
fn share_cluster(cluster: &mut Cluster, last: &Cluster) -> bool {
    let same_settings = share(&mut cluster.settings, &last.settings);
    let same_discovery = match (&mut cluster.discovery, &last.discovery) {
        (Discovery::Endpoints(Ok(endpoints)), Discovery::Endpoints(Ok(last))) => share(endpoints, last),
        (Discovery::Aggregate(leaves), Discovery::Aggregate(last)) => share(leaves, last),
        (discovery, last) => discovery == last,
    };
    same_settings && same_discovery
}

fn share<T: PartialEq + ?Sized>(part: &mut Arc<T>, last: &Arc<T>) -> bool {
    let same = Arc::ptr_eq(part, last) || **part == **last;
    if same {
        part.clone_from(last);
    }
    same
}
