//! Compiles configurations for calls.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::{Discovery, MeshConfig, Name, ResourceError};
use crate::filter::FilterScope;
use crate::runtime::balance::{ClusterHandle, Leaves, Pool};
use crate::runtime::connect::Connect;
use crate::runtime::rng::Randomness;
use crate::sharded::Refs;

use super::routes::Routes;
use super::{Cluster, Snapshot, TargetContext};

/// Compiles a target's successive configurations; unchanged parts are kept.
pub(crate) struct Compiler<C: Connect> {
    pool: Arc<Pool<C>>,
    randomness: Arc<Randomness>,
    filters: FilterScope,
    current: Option<Arc<MeshConfig>>,
    routes: Option<Arc<Routes>>,
    /// The clusters that routes name. The leaves of an aggregate belong to the aggregate's cluster; a leaf that routes name,
    /// too, is a second cluster that uses the same connections.
    clusters: HashMap<Name, Compiled<C>>,
}

/// A cluster, and the configuration from which it was made.
struct Compiled<C: Connect> {
    cluster: Arc<Refs<Cluster<C>>>,
    state: Result<Live<C>, ResourceError>,
}

struct Live<C: Connect> {
    leaves: Leaves,
    handle: Arc<ClusterHandle<C>>,
}

impl<C: Connect> Compiler<C> {
    pub(crate) fn new(pool: Arc<Pool<C>>, randomness: Arc<Randomness>, filters: FilterScope) -> Self {
        Self { pool, randomness, filters, current: None, routes: None, clusters: HashMap::new() }
    }

    /// Starts to compile the routes of a large configuration on a blocking thread; `None`: there are few, or they have been
    /// compiled before, so that [`compile`](Self::compile) is quick.
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
        let filters = self.filters.clone();
        Some(spawn_blocking(move || Arc::new(Routes::new(&config, &authority, &filters))))
    }

    /// Uses routes that have been [prepared](Self::prepare) from the same configuration, or compiles them.
    ///
    /// `None`: the snapshot stays, because only endpoints or settings have changed, which clusters publish themselves.
    pub(super) fn compile(
        &mut self,
        config: &Arc<MeshConfig>,
        context: &Arc<TargetContext>,
        prepared: Option<Arc<Routes>>,
    ) -> Option<Snapshot<C>> {
        if self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, config)) {
            return None;
        }
        self.current = Some(config.clone());
        let known = self.routes.take().filter(|routes| routes.are_those_of(config));
        let are_routes_kept = known.is_some();
        let compile = || Arc::new(Routes::new(config, &context.target.authority, &self.filters));
        let routes = known.or(prepared).unwrap_or_else(compile);
        self.routes = Some(routes.clone());
        if self.follow_clusters(&routes, config, context) && are_routes_kept {
            return None;
        }
        let cluster = |name| self.clusters.get(name).map(|compiled| compiled.cluster.clone());
        let clusters = routes.cluster_names().filter_map(cluster).collect();
        Some(Snapshot::new(routes, clusters))
    }

    /// Drops the configuration; its clusters end with the last call that uses them.
    pub(super) fn forget(&mut self) {
        (self.current, self.routes) = (None, None);
        for (_, compiled) in self.clusters.drain() {
            compiled.end(ResourceError::new("the target has no configuration any more"));
        }
    }

    /// Starts new clusters, updates those that stay, and drops the others (RT-24). Returns whether the set of clusters is the
    /// same as before.
    fn follow_clusters(
        &mut self,
        routes: &Routes,
        config: &MeshConfig,
        context: &Arc<TargetContext>,
    ) -> bool {
        let mut is_kept = true;
        let mut before = std::mem::take(&mut self.clusters);
        for name in routes.cluster_names() {
            let leaves = leaves_of(name, config);
            let kept = match before.remove(name) {
                Some(compiled) => compiled.follow(&leaves),
                None => None,
            };
            let compiled = kept.unwrap_or_else(|| {
                is_kept = false;
                self.start(name, leaves, context)
            });
            self.clusters.insert(name.clone(), compiled);
        }
        for (name, compiled) in before {
            is_kept = false;
            if let Some(Err(error)) = config.clusters().get(&name) {
                compiled.end(error.clone());
            }
        }
        is_kept
    }

    fn start(
        &self,
        name: &Name,
        leaves: Result<Leaves, ResourceError>,
        context: &Arc<TargetContext>,
    ) -> Compiled<C> {
        let state = leaves.map(|leaves| {
            let handle = ClusterHandle::start(leaves.clone(), &self.pool, self.randomness.next_u64());
            Live { leaves, handle }
        });
        let handle = state.as_ref().map(|live| live.handle.clone()).map_err(Clone::clone);
        let cluster = Refs::new(Cluster::new(name.clone(), handle, context.clone()));
        Compiled { cluster: Arc::new(cluster), state }
    }
}

impl<C: Connect> Compiled<C> {
    /// Updates the cluster. `None`: it has to be replaced by another one.
    fn follow(mut self, leaves: &Result<Leaves, ResourceError>) -> Option<Self> {
        match (&mut self.state, leaves) {
            (Ok(live), Ok(leaves)) => {
                if !live.leaves.is_same(leaves) {
                    live.handle.update(leaves.clone());
                    live.leaves = leaves.clone();
                }
                Some(self)
            }
            (Err(before), Err(error)) => (before == error).then_some(self),
            (Ok(_), Err(error)) => {
                self.end(error.clone());
                None
            }
            (Err(_), Ok(_)) => None,
        }
    }

    /// RT-26: the cluster was removed from the configuration. Calls that wait for it fail, also those that wait for ready.
    fn end(self, error: ResourceError) {
        if let Ok(live) = self.state {
            live.handle.end(error);
        }
    }
}

/// The leaves of a cluster: itself, or those of an aggregate.
///
/// RT-32: missing leaves are skipped, and an aggregate without leaves is an error.
fn leaves_of(name: &Name, config: &MeshConfig) -> Result<Leaves, ResourceError> {
    let cluster = match config.clusters().get(name) {
        Some(cluster) => cluster.as_ref().map_err(Clone::clone)?,
        None => return Err(ResourceError::new("the configuration does not have it")),
    };
    let Discovery::Aggregate(children) = &cluster.discovery else { return Ok(Leaves::from(cluster)) };
    let (mut leaves, mut missing) = (Vec::new(), Vec::new());
    for child in children.iter().filter_map(|name| config.clusters().get(name)) {
        match child {
            Ok(leaf) => leaves.push(leaf.clone()),
            Err(error) => missing.push(error.to_string()),
        }
    }
    let missing = (!missing.is_empty()).then(|| missing.join("; "));
    Leaves::new(leaves, missing.as_deref().map(Into::into)).ok_or_else(|| {
        ResourceError::new(missing.unwrap_or_else(|| "it is an aggregate of no clusters".to_owned()))
    })
}

/// From this many routes and domains on a configuration is large: it takes half a millisecond of a worker thread.
const LARGE: usize = 1000;
