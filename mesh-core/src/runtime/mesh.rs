//! The mesh: one per process as a rule, shared by all its channels.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{self, Handle};

use crate::config::{ClientTls, MeshConfig, Name};
use crate::filter::FilterScope;
use crate::observe::CallObserver;
use crate::policy::retry::RetryBudget;

use super::accounting::Counts;
use super::balance::{Pool, PoolSettings};
use super::connect::{Connect, Dial, Http2Connector, Http2Settings};
use super::mirror::{MirrorLimits, MirrorRoom};
use super::rng::Randomness;
use super::target::{Compiler, TargetContext, TargetHandle};
use super::{ChannelError, ConfigSource, FixedSource, ServerConfigWatch, SourceError, Target};

/// The state that the channels of a process share: the configuration source, connections, and the counts of circuit
/// breakers.
///
/// A cheap handle: clones are the same mesh. It starts no task itself; the first channel starts them on its tokio runtime,
/// and they end with the last channel.
///
/// `C` makes its connections: HTTP/2 over TCP by default.
///
/// ```
/// use mesh_core::config::MeshConfig;
/// use mesh_core::runtime::Mesh;
///
/// let config = MeshConfig::to_endpoints("greeter", ["127.0.0.1:50051".parse()?]);
/// let mesh = Mesh::fixed(config);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct Mesh<C: Connect = Http2Connector>(Arc<MeshInner<C>>);

struct MeshInner<C: Connect> {
    source: Box<dyn ConfigSource>,
    connector: Arc<C>,
    pool: PoolSettings,
    tls: Option<Arc<ClientTls>>,
    retry_budget: RetryBudget,
    mirrors: MirrorLimits,
    randomness: Arc<Randomness>,
    filters: FilterScope,
    observers: Arc<[Arc<dyn CallObserver>]>,
    counts: Counts,
    /// One for each runtime that has a channel: a runtime cannot use the tasks and connections of another one that has
    /// ended.
    domains: Mutex<HashMap<runtime::Id, Weak<Domain<C>>>>,
}

/// The state that the channels of a runtime share. Channels own it and the mesh does not, so that it is dropped with the
/// runtime's last channel.
pub(super) struct Domain<C: Connect> {
    pub(super) pool: Arc<Pool<C>>,
    targets: Mutex<HashMap<Target, Weak<TargetHandle<C>>>>,
}

impl Mesh {
    /// A mesh with the configurations of `source` and default settings.
    pub fn new(source: impl ConfigSource) -> Self {
        Self::builder(source).build()
    }

    /// A mesh without a control plane. Only the target of `config` has a configuration: with
    /// [`MeshConfig::to_endpoints`] that is the one of the given name. A channel to another target cannot be built, and the
    /// error lists targets with similar names.
    ///
    /// [`FixedSource::any`] serves every target.
    pub fn fixed(config: MeshConfig) -> Self {
        Self::new(FixedSource::only(config))
    }

    /// A mesh with settings of its own.
    pub fn builder(source: impl ConfigSource) -> MeshBuilder {
        MeshBuilder {
            source: Box::new(source),
            connector: Http2Connector::default(),
            pool: PoolSettings::default(),
            tls: None,
            retry_budget: RetryBudget::default(),
            mirrors: MirrorLimits::default(),
            observers: Vec::new(),
            seed: None,
        }
    }
}

impl<C: Connect> Mesh<C> {
    /// A handle that does not keep the mesh.
    pub fn downgrade(&self) -> WeakMesh<C> {
        WeakMesh(Arc::downgrade(&self.0))
    }

    pub(crate) fn retry_budget(&self) -> RetryBudget {
        self.0.retry_budget
    }

    pub(super) fn observers(&self) -> &Arc<[Arc<dyn CallObserver>]> {
        &self.0.observers
    }

    pub(crate) fn draw(&self) -> u64 {
        self.0.randomness.next_u64()
    }

    /// The target's handle on this runtime, which all its channels share; the first call starts it.
    pub(super) fn target(
        &self,
        domain: &Domain<C>,
        target: &Target,
    ) -> Result<Arc<TargetHandle<C>>, ChannelError> {
        let mut targets = lock(&domain.targets);
        let existing = targets.get(target).and_then(Weak::upgrade);
        // a task ends early only if its runtime was shut down
        if let Some(existing) = existing.filter(|existing| existing.is_alive()) {
            return Ok(existing);
        }
        let watch = self.0.source.watch(target).map_err(|error| ChannelError::source(target, error))?;
        let inner = &self.0;
        let (randomness, deadlines) = (inner.randomness.clone(), domain.pool.deadlines.clone());
        let queue = inner.pool.queue;
        let counters = inner.source.counters().unwrap_or_default();
        let mirrors = MirrorRoom::new(inner.mirrors, &target.name, &counters);
        let context =
            TargetContext::new(target.clone(), self.node_id(), randomness, deadlines, queue, mirrors);
        let filters = inner.filters.of_target();
        let compiler = Compiler::new(domain.pool.clone(), inner.randomness.clone(), filters);
        let handle = Arc::new(TargetHandle::start(context, watch, compiler));
        targets.retain(|_, handle| handle.strong_count() > 0);
        targets.insert(target.clone(), Arc::downgrade(&handle));
        Ok(handle)
    }

    /// The state that the channels of the current runtime share.
    pub(super) fn domain(&self) -> Result<Arc<Domain<C>>, ChannelError> {
        let runtime = Handle::try_current().map_err(|_| ChannelError::no_runtime())?.id();
        let mut domains = lock(&self.0.domains);
        if let Some(existing) = domains.get(&runtime).and_then(Weak::upgrade) {
            return Ok(existing);
        }
        let settings = (self.0.pool, self.0.tls.clone());
        let pool = Pool::with_counts(self.0.connector.clone(), settings, self.0.counts.clone());
        let domain = Arc::new(Domain { pool, targets: Mutex::default() });
        domains.retain(|_, domain| domain.strong_count() > 0);
        domains.insert(runtime, Arc::downgrade(&domain));
        Ok(domain)
    }

    /// The configuration of a server of this process.
    pub(super) fn watch_server(&self, address: SocketAddr) -> Result<ServerConfigWatch, SourceError> {
        self.0.source.watch_server(address)
    }

    /// What servers share with the mesh's channels: where filters keep state, and randomness.
    pub(super) fn server_parts(&self) -> (FilterScope, Arc<Randomness>) {
        (self.0.filters.clone(), self.0.randomness.clone())
    }

    fn node_id(&self) -> Name {
        self.0.source.node_id()
    }
}

impl<C: Connect> Clone for Mesh<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Connect> fmt::Debug for Mesh<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("source", &self.0.source).finish_non_exhaustive()
    }
}

/// A handle that does not keep its mesh.
pub struct WeakMesh<C: Connect = Http2Connector>(Weak<MeshInner<C>>);

impl<C: Connect> WeakMesh<C> {
    /// The mesh; `None` if its last handle was dropped.
    pub fn upgrade(&self) -> Option<Mesh<C>> {
        self.0.upgrade().map(Mesh)
    }
}

impl<C: Connect> Clone for WeakMesh<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Connect> fmt::Debug for WeakMesh<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakMesh").field(&self.upgrade()).finish()
    }
}

/// The steps to a [`Mesh`] with settings of its own.
#[derive(Debug)]
pub struct MeshBuilder<C: Connect = Http2Connector> {
    source: Box<dyn ConfigSource>,
    connector: C,
    pool: PoolSettings,
    tls: Option<Arc<ClientTls>>,
    retry_budget: RetryBudget,
    mirrors: MirrorLimits,
    observers: Vec<Arc<dyn CallObserver>>,
    seed: Option<u64>,
}

impl MeshBuilder {
    /// How HTTP/2 connections behave; no keepalive by default.
    #[must_use]
    pub fn http2(self, settings: Http2Settings) -> Self {
        Self { connector: self.connector.with_settings(settings), ..self }
    }

    /// Sets the dialer, which opens the byte streams under connections: plain TCP by default; a Unix socket, a pipe in
    /// memory or a proxy, for example.
    #[must_use]
    pub fn dialer(self, dial: impl Dial) -> Self {
        Self { connector: self.connector.with_dialer(dial), ..self }
    }
}

impl<C: Connect> MeshBuilder<C> {
    /// Sets another way to make connections.
    #[must_use]
    pub fn connector<D: Connect>(self, connector: D) -> MeshBuilder<D> {
        let Self { source, connector: _, pool, tls, retry_budget, mirrors, observers, seed } = self;
        MeshBuilder { source, connector, pool, tls, retry_budget, mirrors, observers, seed }
    }

    /// When and how often connections are made, and whether calls wait while all connections are full.
    #[must_use]
    pub fn connections(self, settings: PoolSettings) -> Self {
        Self { pool: settings, ..self }
    }

    /// TLS to the endpoints of every cluster whose configuration says nothing of TLS: for meshes without a control-server, or as
    /// what goes before plaintext with one. An endpoint that speaks plaintext gets no call then.
    ///
    /// ```
    /// use mesh_core::certificate::{CertificateSource, Material, MaterialError, Roots};
    /// use mesh_core::config::{ClientTls, MeshConfig, PeerValidation, RootSource, Sni};
    /// use mesh_core::runtime::{FixedSource, Mesh};
    ///
    /// fn mesh(ca: &[u8]) -> Result<Mesh, MaterialError> {
    ///     let roots = Material::default().with_roots(Roots::from_pem(ca)?);
    ///     let roots = RootSource::Provider(CertificateSource::fixed("ca", roots));
    ///     let tls = ClientTls::new(PeerValidation::new(roots)).with_sni(Sni::validated("greeter.example"));
    ///     let config = MeshConfig::to_endpoints("greeter", [([127, 0, 0, 1], 50051).into()]);
    ///     Ok(Mesh::builder(FixedSource::only(config)).tls(tls).build())
    /// }
    /// ```
    // TLS-02
    #[must_use]
    pub fn tls(self, tls: impl Into<Arc<ClientTls>>) -> Self {
        Self { tls: Some(tls.into()), ..self }
    }

    /// How many of a cluster's calls may be retries: 20 %, and at least 3, by default.
    #[must_use]
    pub fn retry_budget(self, budget: RetryBudget) -> Self {
        Self { retry_budget: budget, ..self }
    }

    /// How much the mirrored requests of each target may cost.
    #[must_use]
    pub fn mirror_limits(self, limits: MirrorLimits) -> Self {
        Self { mirrors: limits, ..self }
    }

    /// Lets one more observer learn of every call and attempt of the mesh's channels, for metrics, spans or an access log, for example.
    /// None by default, and then nothing is measured.
    #[must_use]
    pub fn observer(mut self, observer: impl CallObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Seeds every random decision, for runs that can be repeated. Each thread has its own generator, so with several
    /// threads the order of their draws is not repeated.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Makes the mesh.
    pub fn build(self) -> Mesh<C> {
        let loads = Arc::default();
        if let Some(queues) = self.source.queues() {
            queues.add(&loads);
        }
        let counters = self.source.counters().unwrap_or_default();
        self.connector.count_in(&counters);
        Mesh(Arc::new(MeshInner {
            filters: FilterScope::new(counters.clone()),
            counts: Counts {
                counters,
                loads,
                store: self.source.load_store(),
                ejections: self.source.ejections().unwrap_or_default(),
            },
            source: self.source,
            connector: Arc::new(self.connector),
            pool: self.pool,
            tls: self.tls,
            retry_budget: self.retry_budget,
            mirrors: self.mirrors,
            observers: self.observers.into(),
            randomness: Arc::new(Randomness::new(self.seed.unwrap_or_else(rand::random))),
            domains: Mutex::default(),
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
