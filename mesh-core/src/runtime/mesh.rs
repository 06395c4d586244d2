//! The mesh: one per process as a rule, shared by all its channels.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{self, Handle};

use crate::config::{MeshConfig, Name};
use crate::policy::retry::RetryBudget;

use super::balance::{Pool, PoolSettings};
use super::circuit_breaker::LoadRegistry;
use super::connect::{Connect, Http2Settings};
use super::rng::Randomness;
use super::target::{Compiler, Counts, TargetContext, TargetHandle};
use super::{ChannelError, ConfigSource, FixedSource, LoadStore, Target};

/// Everything that the channels of a process share: where configurations come from, connections, and the counts that
/// circuit breakers go by.
///
/// A cheap handle: clones are the same mesh. It runs nothing itself; tasks begin with the first channel, on the tokio
/// runtime of that moment, and end with the last one.
///
/// ```
/// use mesh_core::config::MeshConfig;
/// use mesh_core::runtime::Mesh;
///
/// let config = MeshConfig::to_endpoints("greeter", ["127.0.0.1:50051".parse()?]);
/// let mesh = Mesh::fixed(config);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone)]
pub struct Mesh(Arc<Inner>);

struct Inner {
    source: Box<dyn ConfigSource>,
    pool: PoolSettings,
    http2: Http2Settings,
    retry_budget: RetryBudget,
    randomness: Arc<Randomness>,
    loads: Arc<LoadRegistry>,
    load_store: Option<Arc<LoadStore>>,
    /// A [`Domain`] for each pair of request body and connector, and for each runtime: tasks and connections of a
    /// runtime that has ended are of no use to the next.
    domains: Mutex<HashMap<(TypeId, runtime::Id), Arc<dyn Any + Send + Sync>>>,
}

/// What channels with the same request body and connector share.
struct Domain<B: 'static, C: Connect<B>> {
    pool: Arc<Pool<B, C>>,
    targets: Mutex<HashMap<Target, Weak<TargetHandle<B, C>>>>,
}

impl Mesh {
    /// A mesh that is told what to do by `source`, with every setting at its default.
    pub fn new(source: impl ConfigSource) -> Self {
        Self::builder(source).build()
    }

    /// A mesh without a control plane: every target has this configuration.
    pub fn fixed(config: MeshConfig) -> Self {
        Self::new(FixedSource::any(config))
    }

    /// A mesh with settings of its own.
    pub fn builder(source: impl ConfigSource) -> MeshBuilder {
        MeshBuilder {
            source: Box::new(source),
            pool: PoolSettings::default(),
            http2: Http2Settings::default(),
            retry_budget: RetryBudget::default(),
            seed: None,
        }
    }

    /// A handle that does not keep the mesh.
    pub fn downgrade(&self) -> WeakMesh {
        WeakMesh(Arc::downgrade(&self.0))
    }

    /// How its HTTP/2 connections behave.
    pub fn http2(&self) -> Http2Settings {
        self.0.http2
    }

    pub(crate) fn retry_budget(&self) -> RetryBudget {
        self.0.retry_budget
    }

    pub(crate) fn draw(&self) -> u64 {
        self.0.randomness.next_u64()
    }

    /// The target's one handle; started if no channel has it yet. `connector` serves if it is the first of its kind.
    pub(crate) fn target<B: Send + 'static, C: Connect<B>>(
        &self,
        target: &Target,
        connector: C,
    ) -> Result<Arc<TargetHandle<B, C>>, ChannelError> {
        let runtime = Handle::try_current().map_err(|_| ChannelError::no_runtime())?.id();
        let domain = self.domain(runtime, connector);
        let mut targets = lock(&domain.targets);
        let existing = targets.get(target).and_then(Weak::upgrade);
        // a task that is gone has been left behind on a runtime that has ended
        if let Some(existing) = existing.filter(|existing| existing.is_alive()) {
            return Ok(existing);
        }
        let watch = self.0.source.watch(target).map_err(|error| ChannelError::source(target, error))?;
        let inner = &self.0;
        let context = TargetContext::new(target.clone(), self.node_id(), inner.randomness.clone());
        let counts = Counts { loads: inner.loads.clone(), store: inner.load_store.clone() };
        let compiler = Compiler::new(domain.pool.clone(), counts, inner.randomness.clone());
        let handle = Arc::new(TargetHandle::start(context, watch, compiler));
        targets.retain(|_, handle| handle.strong_count() > 0);
        targets.insert(target.clone(), Arc::downgrade(&handle));
        Ok(handle)
    }

    fn domain<B: Send + 'static, C: Connect<B>>(
        &self,
        runtime: runtime::Id,
        connector: C,
    ) -> Arc<Domain<B, C>> {
        let mut domains = lock(&self.0.domains);
        let id = (TypeId::of::<Domain<B, C>>(), runtime);
        let existing = domains.get(&id).cloned().and_then(|domain| domain.downcast().ok());
        existing.unwrap_or_else(|| {
            let pool = Pool::new(connector, self.0.pool);
            let domain = Arc::new(Domain { pool, targets: Mutex::default() });
            domains.insert(id, domain.clone());
            domain
        })
    }

    fn node_id(&self) -> Name {
        self.0.source.node_id()
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("source", &self.0.source).finish_non_exhaustive()
    }
}

/// A handle that does not keep its mesh.
#[derive(Clone)]
pub struct WeakMesh(Weak<Inner>);

impl WeakMesh {
    /// The mesh, if anybody still has it.
    pub fn upgrade(&self) -> Option<Mesh> {
        self.0.upgrade().map(Mesh)
    }
}

impl fmt::Debug for WeakMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakMesh").field(&self.upgrade()).finish()
    }
}

/// The steps to a [`Mesh`] with settings of its own.
#[derive(Debug)]
pub struct MeshBuilder {
    source: Box<dyn ConfigSource>,
    pool: PoolSettings,
    http2: Http2Settings,
    retry_budget: RetryBudget,
    seed: Option<u64>,
}

impl MeshBuilder {
    /// How connections are made.
    #[must_use]
    pub fn connections(mut self, settings: PoolSettings) -> Self {
        self.pool = settings;
        self
    }

    /// How HTTP/2 connections behave; no keepalive by default.
    #[must_use]
    pub fn http2(mut self, settings: Http2Settings) -> Self {
        self.http2 = settings;
        self
    }

    /// How many of a cluster's calls may be retries: 20 %, and at least 3, by default.
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = budget;
        self
    }

    /// Seeds every random decision, for runs that can be repeated. Threads draw from generators of their own, so more
    /// than one thread leaves the order open.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The mesh.
    pub fn build(self) -> Mesh {
        Mesh(Arc::new(Inner {
            load_store: self.source.load_store(),
            source: self.source,
            pool: self.pool,
            http2: self.http2,
            retry_budget: self.retry_budget,
            randomness: Arc::new(Randomness::new(self.seed.unwrap_or_else(rand::random))),
            loads: Arc::default(),
            domains: Mutex::default(),
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
