//! The counts for load reports, by server.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::config::{ClusterSettings, Name};
use crate::policy::load_report::{ClusterCounts, ClusterReport};

/// The counts of a mesh's clusters for load reports. The configuration source makes the store and
/// gives it to the mesh ([`ConfigSource::load_store`](crate::runtime::ConfigSource::load_store)), which counts; the source
/// takes reports from it.
///
/// Clusters of all channels are counted together, by `{server, cluster, service name}`. Of clusters that are not in use any
/// more, the last 1000 are kept for a last report: a server without load reports never takes it.
pub struct LoadStore {
    pub(super) clusters: Mutex<ReportedClusters>,
    /// How many clusters in use report to each server.
    servers: watch::Sender<BTreeMap<Name, usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClusterKey {
    server: Name,
    cluster: Name,
    service_name: Name,
}

#[derive(Default)]
pub(super) struct ReportedClusters {
    pub(super) entries: HashMap<ClusterKey, Entry>,
    /// Clusters that wait for a last report, in the order in which their use ended.
    left: BTreeMap<u64, ClusterKey>,
    /// The next place in `left`.
    next: u64,
}

pub(super) struct Entry {
    counts: Arc<ClusterCounts>,
    /// When the counts were last taken.
    since: Instant,
    /// How many configurations have the cluster; calls without a response keep their configuration.
    uses: usize,
    /// Its place in `left`, if it is not in use any more.
    left: Option<u64>,
}

impl LoadStore {
    /// Takes the reports for one server, of the clusters for which `wants` is true, and resets their counts, except requests in
    /// progress. Clusters without any count are left out.
    ///
    /// A cluster that is not in use any more is forgotten when it was taken and has no request in progress.
    // TR-66
    pub fn take(&self, now: Instant, server: &str, wants: impl Fn(&str) -> bool) -> Vec<ClusterReport> {
        let mut reports = Vec::new();
        let ReportedClusters { entries, left, .. } = &mut *self.lock();
        entries.retain(|key, entry| {
            if *key.server != *server {
                return true;
            }
            let sums = wants(&key.cluster).then(|| {
                let since = std::mem::replace(&mut entry.since, now);
                let interval = now.saturating_duration_since(since);
                entry.counts.take().map(|sums| (interval, sums))
            });
            let sums = sums.flatten();
            let keep = entry.uses > 0 || sums.is_some();
            if let Some(place) = entry.left.filter(|_| !keep) {
                left.remove(&place);
            }
            reports.extend(sums.map(|(interval, sums)| ClusterReport {
                cluster: key.cluster.clone(),
                service_name: key.service_name.clone(),
                interval,
                sums,
            }));
            keep
        });
        reports.sort_by(|a, b| (&a.cluster, &a.service_name).cmp(&(&b.cluster, &b.service_name)));
        reports
    }

    /// The servers to which clusters in use report, each with the number of these clusters. The receiver is notified when a
    /// server is added or removed; the channel closes with the store.
    pub fn servers(&self) -> watch::Receiver<BTreeMap<Name, usize>> {
        self.servers.subscribe()
    }

    /// Starts to count for a cluster. `None`: its load is not reported.
    pub(crate) fn start(self: &Arc<Self>, now: Instant, settings: &ClusterSettings) -> Option<Reporting> {
        let server = settings.load_reporting.clone()?;
        let key = ClusterKey {
            server,
            cluster: settings.name.clone(),
            service_name: settings.service_name.clone(),
        };
        let counts = {
            let ReportedClusters { entries, left, .. } = &mut *self.lock();
            let entry = entries.entry(key.clone());
            let entry =
                entry.or_insert_with(|| Entry { counts: Arc::default(), since: now, uses: 0, left: None });
            entry.uses += 1;
            if let Some(place) = entry.left.take() {
                left.remove(&place);
            }
            entry.counts.clone()
        };
        self.servers.send_if_modified(|servers| {
            let uses = servers.entry(key.server.clone()).or_default();
            *uses += 1;
            *uses == 1
        });
        Some(Reporting::new(self.clone(), key, counts))
    }

    /// Undoes one [`start`](Self::start). The counts stay for a last report.
    pub(super) fn stop(&self, key: &ClusterKey) {
        self.lock().stop(key);
        self.servers.send_if_modified(|servers| {
            let Some(uses) = servers.get_mut(&key.server) else { return false };
            *uses -= 1;
            let is_last = *uses == 0;
            if is_last {
                servers.remove(&key.server);
            }
            is_last
        });
    }

    fn lock(&self) -> MutexGuard<'_, ReportedClusters> {
        // No code that holds the lock can panic in the middle of a change.
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReportedClusters {
    #[cfg(test)]
    pub(super) fn footprint(&self) -> (usize, usize) {
        (self.entries.len(), self.left.len())
    }

    fn stop(&mut self, key: &ClusterKey) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.uses -= 1;
        if entry.uses > 0 {
            return;
        }
        entry.left = Some(self.next);
        self.left.insert(self.next, key.clone());
        self.next += 1;
        if self.left.len() > MAX_LEFT
            && let Some((_, oldest)) = self.left.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }
}

impl Default for LoadStore {
    fn default() -> Self {
        Self { clusters: Mutex::default(), servers: watch::Sender::new(BTreeMap::new()) }
    }
}

impl fmt::Debug for LoadStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadStore").field("servers", &*self.servers.borrow()).finish_non_exhaustive()
    }
}

/// How many clusters that are not in use any more wait for a last report.
pub(super) const MAX_LEFT: usize = 1_000;

/// A cluster in use whose load is reported. When it is dropped, the counts are reported a last time.
pub(crate) struct Reporting {
    store: Arc<LoadStore>,
    key: ClusterKey,
    counts: Arc<ClusterCounts>,
}

impl Reporting {
    pub(super) fn new(store: Arc<LoadStore>, key: ClusterKey, counts: Arc<ClusterCounts>) -> Self {
        Self { store, key, counts }
    }

    /// The counts of the cluster's calls.
    pub(crate) fn counts(&self) -> &Arc<ClusterCounts> {
        &self.counts
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.store.stop(&self.key);
    }
}

impl fmt::Debug for Reporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").field("key", &self.key).finish_non_exhaustive()
    }
}
