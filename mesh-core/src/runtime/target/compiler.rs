//! From a configuration to what calls need of it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::{self, Discovery, MeshConfig, Name, ResourceError};
use crate::runtime::balance::{ClusterHandle, Pool};
use crate::runtime::connect::Connect;
use crate::runtime::rng::Randomness;

use super::leaf::{Leaf, Leaves};
use super::routes::Routes;
use super::{Cluster, Snapshot, TargetContext};

/// Compiles a target's successive configurations; what did not change is kept.
pub(crate) struct Compiler<C: Connect> {
    pool: Arc<Pool<C>>,
    randomness: Arc<Randomness>,
    current: Option<Arc<MeshConfig>>,
    routes: Option<Arc<Routes>>,
    leaves: HashMap<Name, Live<C>>,
}

/// A cluster that has endpoints of its own, and what it was made from.
struct Live<C: Connect> {
    cluster: config::Cluster,
    leaf: Arc<Leaf<C>>,
}

impl<C: Connect> Compiler<C> {
    pub(crate) fn new(pool: Arc<Pool<C>>, randomness: Arc<Randomness>) -> Self {
        Self { pool, randomness, current: None, routes: None, leaves: HashMap::new() }
    }

    /// Begins to compile the routes of a large configuration on a thread that may be blocked; `None`: there are few, or
    /// they have been compiled before, so that [`compile`](Self::compile) is quick.
    pub(super) fn prepare(
        &self,
        config: &Arc<MeshConfig>,
        context: &TargetContext,
    ) -> Option<JoinHandle<Arc<Routes>>> {
        let size: usize =
            config.virtual_hosts().iter().map(|host| host.routes.len() + host.domains.len()).sum();
        if size < LARGE || self.routes.as_ref().is_some_and(|routes| routes.are_those_of(config)) {
            return None;
        }
        let (config, authority) = (config.clone(), context.target.authority.clone());
        Some(spawn_blocking(move || Arc::new(Routes::new(&config, &authority))))
    }

    /// Uses routes that have been [prepared](Self::prepare) from the same configuration, or compiles them.
    ///
    /// `None`: nothing has changed that clusters do not tell calls themselves, as they do of endpoints.
    pub(super) fn compile(
        &mut self,
        config: &Arc<MeshConfig>,
        context: &Arc<TargetContext>,
        prepared: Option<Arc<Routes>>,
    ) -> Option<Snapshot<C>> {
        if self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, config)) {
            return None;
        }
        let are_leaves_kept = self.follow_leaves(config);
        let routes = match self.routes.take() {
            Some(routes) if routes.are_those_of(config) => {
                if are_leaves_kept && self.are_others_those_of(config) {
                    self.current = Some(config.clone());
                    self.routes = Some(routes);
                    return None;
                }
                routes
            }
            _ => prepared.unwrap_or_else(|| Arc::new(Routes::new(config, &context.target.authority))),
        };
        let clusters = routes.cluster_names().map(|name| self.cluster(name, config, context)).collect();
        self.current = Some(config.clone());
        self.routes = Some(routes.clone());
        Some(Snapshot::new(routes, clusters))
    }

    /// There is no configuration: its clusters go once the last call has let go of them.
    pub(super) fn forget(&mut self) {
        self.current = None;
        for (_, Live { cluster, leaf }) in self.leaves.drain() {
            leaf.end(cluster.settings, ResourceError::new("the target has no configuration any more"));
        }
    }

    /// Starts clusters that are new, updates those that stay, forgets the others (RT-24). Whether all leaves are the
    /// same as before.
    fn follow_leaves(&mut self, config: &MeshConfig) -> bool {
        let mut is_kept = true;
        let mut leaves = HashMap::with_capacity(config.clusters().len());
        for (name, cluster) in config.clusters() {
            let Ok(cluster) = cluster else { continue };
            if matches!(cluster.discovery, Discovery::Aggregate(_)) {
                continue;
            }
            let live = match self.leaves.remove(name) {
                Some(live) => Self::update(live, cluster),
                None => {
                    is_kept = false;
                    self.start(cluster)
                }
            };
            leaves.insert(name.clone(), live);
        }
        for (name, Live { cluster, leaf }) in std::mem::replace(&mut self.leaves, leaves) {
            is_kept = false;
            if let Some(Err(error)) = config.clusters().get(&name) {
                leaf.end(cluster.settings, error.clone());
            }
        }
        is_kept
    }

    /// Whether clusters that are aggregates, or in error, are as they were.
    fn are_others_those_of(&self, config: &MeshConfig) -> bool {
        let Some(current) = &self.current else { return false };
        let is_same = |(name, cluster): (&Name, &Result<config::Cluster, ResourceError>)| match (
            cluster,
            current.clusters().get(name),
        ) {
            (Ok(cluster), Some(Ok(before))) => match (&cluster.discovery, &before.discovery) {
                (Discovery::Aggregate(children), Discovery::Aggregate(before)) => children == before,
                (Discovery::Aggregate(_), _) | (_, Discovery::Aggregate(_)) => false,
                _ => true,
            },
            (Err(error), Some(Err(before))) => error == before,
            _ => false,
        };
        current.clusters().len() == config.clusters().len() && config.clusters().iter().all(is_same)
    }

    fn start(&self, cluster: &config::Cluster) -> Live<C> {
        let handle = ClusterHandle::start(cluster, &self.pool, self.randomness.next_u64());
        let leaf = Leaf { handle, gone: OnceLock::new() };
        Live { cluster: cluster.clone(), leaf: Arc::new(leaf) }
    }

    fn update(live: Live<C>, cluster: &config::Cluster) -> Live<C> {
        if live.cluster.is_same(cluster) {
            return live;
        }
        live.leaf.handle.update(cluster);
        Live { cluster: cluster.clone(), ..live }
    }

    /// What calls to a cluster see.
    fn cluster(&self, name: &Name, config: &MeshConfig, context: &Arc<TargetContext>) -> Arc<Cluster<C>> {
        let leaves = match config.clusters().get(name) {
            Some(Ok(cluster)) => match &cluster.discovery {
                Discovery::Aggregate(children) => self.leaves_of(children, config),
                Discovery::Endpoints(_) | Discovery::LogicalDns { .. } => {
                    self.leaves_of(std::slice::from_ref(name), config)
                }
            },
            Some(Err(error)) => Err(error.clone()),
            None => Err(ResourceError::new("the configuration does not have it")),
        };
        Arc::new(Cluster::new(name.clone(), leaves, context.clone()))
    }

    /// RT-32: children that are not there are skipped, and an aggregate of nothing is an error.
    fn leaves_of(&self, names: &[Name], config: &MeshConfig) -> Result<Leaves<C>, ResourceError> {
        let mut leaves = names.iter().filter_map(|name| self.leaves.get(name)).map(|live| live.leaf.clone());
        if let Some(first) = leaves.next() {
            return Ok(Leaves::new(first, leaves));
        }
        let error = names.iter().find_map(|name| config.clusters().get(name)?.as_ref().err());
        Err(error.cloned().unwrap_or_else(|| ResourceError::new("it is an aggregate of no clusters")))
    }
}

/// From how many routes and domains a configuration is large: half a millisecond of a worker.
const LARGE: usize = 1000;
