//! A configuration made by hand whose mesh counts what load reports carry.

use std::sync::Arc;

use mesh_core::config::{Cluster, ClusterSettings, MeshConfig};
use mesh_core::runtime::{ConfigSource, ConfigWatch, FixedSource, LoadStore, SourceError, Target};

/// A source with a store for load reports.
#[derive(Debug)]
pub struct ReportingSource {
    configs: FixedSource,
    store: Arc<LoadStore>,
}

impl ReportingSource {
    /// Every target has this configuration.
    pub fn any(config: MeshConfig) -> Self {
        Self { configs: FixedSource::any(config), store: Arc::default() }
    }

    /// Where the mesh counts.
    pub fn store(&self) -> &Arc<LoadStore> {
        &self.store
    }
}

impl ConfigSource for ReportingSource {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        self.configs.watch(target)
    }

    fn load_store(&self) -> Option<Arc<LoadStore>> {
        Some(self.store.clone())
    }
}

/// The same virtual hosts and clusters, with other settings of the clusters.
///
/// # Panics
/// Never: every cluster of `config` is kept.
pub fn with_settings(config: &MeshConfig, change: impl Fn(&mut ClusterSettings)) -> MeshConfig {
    let clusters = config.clusters().iter().map(|(name, cluster)| {
        let cluster = cluster.clone().map(|cluster| {
            let mut settings = ClusterSettings::clone(&cluster.settings);
            change(&mut settings);
            Cluster::new(settings, cluster.discovery)
        });
        (name.clone(), cluster)
    });
    MeshConfig::new(config.virtual_hosts().to_vec(), clusters.collect(), None)
        .expect("every cluster is there")
}
