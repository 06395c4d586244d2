//! The running client: [`XdsClient`], and the one task behind it.
//!
//! ```text
//!   handles, watches ──commands──▶ worker ──▶ protocol::AdsState ──▶ dependency::Graph of each target
//!          ▲                       │   ▲                                        │
//!          └──────configurations───┼───┼────────────────────────────────────────┘
//!                                  ▼   │
//!                               transport
//! ```
//!
//! Invariants: the worker holds no sender of its own commands, and nothing waits for room in a channel that the worker
//! empties, so it can neither outlive its users nor block them.

pub(crate) mod clock;
mod collections;
mod decode;
mod encode;
mod options;
mod peer_log;
mod peers;
mod plan;
mod process_wide;
mod registry;
mod resource_watch;
mod snapshot;
mod status;
mod targets;
mod watchers;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mesh_core::config::Name;
use mesh_core::counters::CounterStore;
use mesh_core::runtime::{
    ConfigSource, ConfigWatch, EjectionStore, LoadStore, QueueStore, ServerConfigWatch, SourceError, Target,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::bootstrap::{Bootstrap, BootstrapError, ServerConfig};
use crate::load_report::Reporter;
use crate::protocol::AdsState;
use crate::resource::ResourceType;
use crate::transport::{AdsTransport, GrpcTransport};

use plan::Plan;
use registry::WatchRegistry;
use worker::Worker;

pub use options::Options;
pub use process_wide::{running, shared, shared_mesh, shared_mesh_with, shared_with};
pub use resource_watch::{ResourceView, ResourceWatch};
pub use status::{ServerStatus, Status};

/// Starts an xDS client for the bootstrap's servers, with the default [`Options`].
///
/// Nothing is connected, and no task runs, until something is watched. The task then runs on the tokio runtime that
/// this is called in.
///
/// # Errors
/// [`StartError::NoRuntime`] outside a tokio runtime.
pub fn start(bootstrap: Bootstrap) -> Result<XdsClient, StartError> {
    let options = Options::default();
    start_with(bootstrap, GrpcTransport::new(&options), options)
}

/// Starts an xDS client with a transport of your own, or with other options:
///
/// ```
/// use xds_client::bootstrap::{Bootstrap, ServerConfig};
/// use xds_client::{Options, start_with, transport::GrpcTransport};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bootstrap = Bootstrap::builder().server(ServerConfig::insecure("127.0.0.1:15010")).node_id("n1").build()?;
/// let mut options = Options::default();
/// options.max_message_size = 256 << 20;
/// let client = start_with(bootstrap, GrpcTransport::new(&options), options)?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`StartError::NoRuntime`] outside a tokio runtime.
pub fn start_with<T: AdsTransport>(
    bootstrap: Bootstrap,
    transport: T,
    options: Options,
) -> Result<XdsClient, StartError> {
    let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let Plan { servers, settings } = Plan::new(&bootstrap, &options);
    if settings.servers.is_empty() {
        return Err(StartError::NoServer);
    }
    let ads = Arc::new(Mutex::new(AdsState::new(settings)));
    let (commands, received) = mpsc::unbounded_channel();
    let node_id: Name = bootstrap.node().id.as_str().into();
    let (transport, load) = (Arc::new(transport), Arc::default());
    let (ejections, queues, counters) = (Arc::default(), Arc::default(), Arc::default());
    let reporter = Reporter::new(&bootstrap, &load, transport.clone(), &options);
    let worker = Worker::new(&bootstrap, &servers, transport, &options, ads.clone(), received);
    let work = async { _ = tokio::join!(worker.run(), reporter.run()) };
    let registry = WatchRegistry::new(commands, runtime, Box::pin(work));
    Ok(XdsClient {
        inner: Arc::new(ClientInner {
            bootstrap,
            options,
            servers,
            node_id,
            ads,
            registry,
            load,
            ejections,
            queues,
            counters,
        }),
    })
}

/// A running xDS client: provides configurations for any number of targets over one stream to each server that is
/// needed.
///
/// Cheap to clone. The stream ends with the last watch, the task with the last watch and the last handle.
#[derive(Clone)]
pub struct XdsClient {
    inner: Arc<ClientInner>,
}

#[derive(Debug)]
struct ClientInner {
    bootstrap: Bootstrap,
    options: Options,
    /// By [`ServerId`](crate::protocol::ServerId).
    servers: Vec<ServerConfig>,
    node_id: Name,
    ads: Arc<Mutex<AdsState>>,
    registry: WatchRegistry,
    /// Counts of calls, for load reports.
    load: Arc<LoadStore>,
    /// Ejections by outlier detection, for metrics and status.
    ejections: Arc<EjectionStore>,
    /// How many calls wait for room on connections, for metrics and status.
    queues: Arc<QueueStore>,
    /// What filters, servers and connections count, for metrics.
    counters: Arc<CounterStore>,
}

impl XdsClient {
    /// The watched resources and the state of each. Takes time linear in the number of resources.
    pub fn status(&self) -> Status {
        let ClientInner { servers, node_id, ads, ejections, queues, counters, .. } = &*self.inner;
        let status = Status::of(&lock(ads), servers, node_id.clone(), ejections);
        Status {
            queued: queues.clusters(),
            remaining: queues.remaining(),
            counters: counters.values(),
            ..status
        }
    }

    /// Watches a single resource of any type, your own types too, over the client's existing streams. The resources of
    /// targets are watched without this.
    ///
    /// A type URL means one type in a client: the first that is watched, ours before any other. A watch for values of
    /// another type sees an error. Costs nothing but the resource itself.
    pub fn watch_resource<V: Send + Sync + 'static>(
        &self,
        resource_type: impl ResourceType,
        name: impl Into<Name>,
    ) -> ResourceWatch<V> {
        let inner = &self.inner;
        let (views, guard) = inner.registry.watch_resource(inner, Arc::new(resource_type), name.into());
        ResourceWatch::new(views, guard)
    }

    /// The bootstrap that it was started with.
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.inner.bootstrap
    }
}

impl ConfigSource for XdsClient {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        let ClientInner { bootstrap, node_id, registry, .. } = &*self.inner;
        let refused = |reason: &dyn fmt::Display| SourceError::new(format!("{reason} (node {node_id})"));
        let listener = bootstrap.listener_name(target).map_err(|error| refused(&error))?;
        Ok(registry.watch(&self.inner, target, &listener.into()))
    }

    // SV-01
    fn watch_server(&self, address: SocketAddr) -> Result<ServerConfigWatch, SourceError> {
        let ClientInner { bootstrap, node_id, registry, .. } = &*self.inner;
        // BS-39
        let listener = bootstrap.server_listener_name(address);
        let listener = listener.map_err(|error| SourceError::new(format!("{error} (node {node_id})")))?;
        Ok(registry.watch_server(&self.inner, listener.into()))
    }

    fn node_id(&self) -> Name {
        self.inner.node_id.clone()
    }

    fn load_store(&self) -> Option<Arc<LoadStore>> {
        Some(self.inner.load.clone())
    }

    fn ejections(&self) -> Option<Arc<EjectionStore>> {
        Some(self.inner.ejections.clone())
    }

    fn queues(&self) -> Option<Arc<QueueStore>> {
        Some(self.inner.queues.clone())
    }

    fn counters(&self) -> Option<Arc<CounterStore>> {
        Some(self.inner.counters.clone())
    }
}

impl fmt::Debug for XdsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientInner { servers, node_id, .. } = &*self.inner;
        f.debug_struct("XdsClient")
            .field("servers", &servers.iter().map(ServerConfig::uri).collect::<Vec<_>>())
            .field("node", node_id)
            .finish_non_exhaustive()
    }
}

/// A panic of another thread leaves the state usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a client cannot be started.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime to run on.
    #[error("no tokio runtime: call this within one, for example in #[tokio::main]")]
    NoRuntime,
    /// The bootstrap names no server.
    #[error("the xDS bootstrap has no server")]
    NoServer,
    /// The client that the process shares is running with other options.
    #[error(
        "the process's xDS client is running with other options: give the process's first channel these, or start a client \
         of your own with xds_client::start_with"
    )]
    OtherOptions,
    /// There is no bootstrap in the environment, or it is wrong.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

mesh_core::debug_with_causes!(StartError);

/// A handle that does not keep the [`XdsClient`] alive, for metrics and status.
#[derive(Clone)]
pub struct WeakXdsClient {
    inner: Weak<ClientInner>,
}

impl WeakXdsClient {
    /// The client; `None` when the last handle and watch is gone.
    pub fn upgrade(&self) -> Option<XdsClient> {
        self.inner.upgrade().map(|inner| XdsClient { inner })
    }
}

impl XdsClient {
    /// A handle that does not keep the client alive. A watch does.
    pub fn downgrade(&self) -> WeakXdsClient {
        WeakXdsClient { inner: Arc::downgrade(&self.inner) }
    }
}

impl fmt::Debug for WeakXdsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakXdsClient").field("client", &self.upgrade()).finish()
    }
}
