//! All subchannels of a mesh.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::config::{ClientTls, ConnectionSettings, EndpointAddresses, Name};
use crate::policy::subchannel::Settings;
use crate::runtime::accounting::Counts;
use crate::runtime::connect::{Connect, Security};
use crate::runtime::timeout::Deadlines;

use super::PoolSettings;
use super::subchannel::{ConnectionExtras, Subchannel, SubchannelKey};

/// Subchannels by endpoint, shared by all clusters and channels of a mesh on one runtime.
///
/// The pool owns no subchannel: one exists as long as a cluster has its endpoint, and is connected as long as one of these
/// clusters wants it to be.
pub(crate) struct Pool<C: Connect> {
    pub(super) connector: Arc<C>,
    pub(super) settings: PoolSettings,
    /// For clusters that say nothing of TLS.
    tls: Option<Arc<ClientTls>>,
    pub(super) subchannel_settings: Arc<Settings>,
    /// Limits the attempts that run at the same time; waiting ones start in the order in which they came.
    pub(super) permits: Arc<Semaphore>,
    pub(crate) counts: Counts,
    /// Deadlines of the calls on its connections.
    pub(crate) deadlines: Arc<Deadlines>,
    /// The runtime of connections and cluster tasks.
    pub(super) runtime: Handle,
    subchannels: Mutex<Subchannels<C>>,
}

type Subchannels<C> = HashMap<SubchannelKey, Weak<Subchannel<C>>>;

impl<C: Connect> Pool<C> {
    /// An empty pool, for tests that pick without calls: no cluster becomes idle. Its tasks run on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(test)]
    pub(crate) fn new(connector: impl Into<Arc<C>>, settings: PoolSettings) -> Arc<Self> {
        let settings = PoolSettings { idle_timeout: None, ..settings };
        Self::with_counts(connector, (settings, None), Counts::default())
    }

    /// An empty pool of a mesh.
    pub(crate) fn with_counts(
        connector: impl Into<Arc<C>>,
        (settings, tls): (PoolSettings, Option<Arc<ClientTls>>),
        counts: Counts,
    ) -> Arc<Self> {
        Arc::new(Self {
            counts,
            deadlines: Arc::new(Deadlines::new(Handle::current())),
            connector: connector.into(),
            settings,
            tls,
            subchannel_settings: Arc::new(settings.subchannel),
            permits: Arc::new(Semaphore::new(settings.max_connecting.0.clamp(1, Semaphore::MAX_PERMITS))),
            runtime: Handle::current(),
            subchannels: Mutex::default(),
        })
    }

    /// How many endpoints have a subchannel at the moment.
    pub(crate) fn subchannel_count(&self) -> usize {
        self.lock().len()
    }

    /// The subchannel of an endpoint of a cluster with these settings.
    pub(super) fn subchannel(
        self: &Arc<Self>,
        addresses: &EndpointAddresses,
        hostname: &Name,
        (connection, tls): (&Arc<ConnectionSettings>, Option<&Arc<ClientTls>>),
        extras: ConnectionExtras,
    ) -> Arc<Subchannel<C>> {
        let key = SubchannelKey {
            identity: addresses.identity(),
            // TLS-02: a cluster's own security goes first
            security: Security::of(tls.or(self.tls.as_ref()), hostname),
            connection: connection.clone(),
            extras: (extras != ConnectionExtras::default()).then(|| Arc::new(extras)),
        };
        let mut subchannels = self.lock();
        if let Some(existing) = subchannels.get(&key).and_then(Weak::upgrade) {
            return existing;
        }
        let fresh = Subchannel::new(self.clone(), key.clone(), addresses.clone(), hostname.clone());
        let fresh = Arc::new(fresh);
        subchannels.insert(key, Arc::downgrade(&fresh));
        fresh
    }

    /// Removes a dropped subchannel, unless another one has replaced it.
    pub(super) fn forget(&self, key: &SubchannelKey) {
        let mut subchannels = self.lock();
        if subchannels.get(key).is_some_and(|subchannel| subchannel.strong_count() == 0) {
            subchannels.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Subchannels<C>> {
        // No code that holds the lock can panic in the middle of a change.
        self.subchannels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connect> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("connector", &self.connector)
            .field("settings", &self.settings)
            .field("subchannels", &self.subchannel_count())
            .finish_non_exhaustive()
    }
}
