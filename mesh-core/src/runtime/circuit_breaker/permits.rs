//! What a call or a connection holds while it counts against a limit of its cluster.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::{ClusterSettings, RoutingPriority};

use super::ClusterLoad;

/// A call that waits for a connection or for room on one, counted against its cluster's limit until it is dropped.
// LB-27
#[derive(Debug)]
pub(crate) struct PendingCall {
    load: Arc<ClusterLoad>,
    priority: RoutingPriority,
}

impl PendingCall {
    /// `None`: as many as the limit wait already.
    pub(crate) fn new(load: &Arc<ClusterLoad>, priority: RoutingPriority, limit: u32) -> Option<Self> {
        let pending = &load.of(priority).pending;
        take(pending, limit).then(|| Self { load: load.clone(), priority })
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.load.of(self.priority).pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The limit of a cluster's connections.
// LB-27
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimit {
    load: Arc<ClusterLoad>,
    most: u32,
}

impl ConnectionLimit {
    /// The limit by the settings of a cluster; `None`: there is none.
    pub(crate) fn of(settings: &ClusterSettings, load: &Arc<ClusterLoad>) -> Option<Self> {
        let [default, high] =
            [&settings.limits, &settings.high_priority_limits].map(|limits| limits.max_connections);
        // calls of high priority have connections of their own in Envoy, and none unless a limit for them is set
        let most = default?.saturating_add(high.unwrap_or_default());
        Some(Self { load: load.clone(), most })
    }

    /// Counts the first connection to an endpoint.
    pub(crate) fn first(&self) -> CountedConnection {
        self.load.connections.fetch_add(1, Ordering::Relaxed);
        CountedConnection(self.load.clone())
    }

    /// Counts a further connection to an endpoint. `None`: as many as the limit are open.
    pub(crate) fn further(&self) -> Option<CountedConnection> {
        take(&self.load.connections, self.most).then(|| CountedConnection(self.load.clone()))
    }
}

/// Two limits are the same if they count the same connections up to the same number.
impl PartialEq for ConnectionLimit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.load, &other.load) && self.most == other.most
    }
}

impl Eq for ConnectionLimit {}

impl Hash for ConnectionLimit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.load), self.most).hash(state);
    }
}

/// A connection that counts against its cluster's limit until this is dropped.
#[derive(Debug)]
pub(crate) struct CountedConnection(Arc<ClusterLoad>);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds one, unless there are as many as the limit.
fn take(count: &AtomicU32, limit: u32) -> bool {
    let add = |count: u32| (count < limit).then(|| count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}
