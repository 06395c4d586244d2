//! What is to be reported, by server.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::config::{ClusterSettings, Name};
use crate::policy::load_report::{ClusterCounts, ClusterReport};

use super::Reporting;

/// What the clusters of a mesh have had to do, for those servers that want to know. The configuration source makes one and
/// gives it to the mesh ([`ConfigSource::load_store`](crate::runtime::ConfigSource::load_store)), which counts; the source
/// takes reports from it.
///
/// Clusters of all channels count together, by `{server, cluster, service name}`.
pub struct LoadStore {
    pub(super) clusters: Mutex<HashMap<ClusterKey, Entry>>,
    /// How many clusters in use report to each server.
    servers: watch::Sender<BTreeMap<Name, usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClusterKey {
    server: Name,
    cluster: Name,
    service_name: Name,
}

pub(super) struct Entry {
    counts: Arc<ClusterCounts>,
    /// Beginning of the time that the counts are of.
    since: Instant,
    /// How many configurations have the cluster; calls that have no response yet hold on to theirs.
    uses: usize,
}

impl LoadStore {
    /// Takes the reports for one server, of those clusters that `wants` them. What is taken counts from zero again; requests
    /// in progress go on counting. Clusters to which nothing happened are left out (TR-66).
    ///
    /// A cluster that is not in use any more is taken a last time, and forgotten once nothing of it is in progress.
    pub fn take(&self, now: Instant, server: &str, wants: impl Fn(&str) -> bool) -> Vec<ClusterReport> {
        let mut reports = Vec::new();
        self.lock().retain(|key, entry| {
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

    /// The servers that clusters in use report to, each with the number of such clusters. Changes are seen when a server
    /// comes or goes; the channel closes with the store.
    pub fn servers(&self) -> watch::Receiver<BTreeMap<Name, usize>> {
        self.servers.subscribe()
    }

    /// Begins to count for a cluster. `None`: nobody wants to know.
    pub(crate) fn start(self: &Arc<Self>, now: Instant, settings: &ClusterSettings) -> Option<Reporting> {
        let server = settings.load_reporting.clone()?;
        let key = ClusterKey {
            server,
            cluster: settings.name.clone(),
            service_name: settings.service_name.clone(),
        };
        let counts = {
            let mut clusters = self.lock();
            let entry = clusters.entry(key.clone());
            let entry = entry.or_insert_with(|| Entry { counts: Arc::default(), since: now, uses: 0 });
            entry.uses += 1;
            entry.counts.clone()
        };
        self.servers.send_if_modified(|servers| {
            let uses = servers.entry(key.server.clone()).or_default();
            *uses += 1;
            *uses == 1
        });
        Some(Reporting::new(self.clone(), key, counts, settings.reported_metrics.clone()))
    }

    /// Undoes one [`start`](Self::start). The counts stay for a last report.
    pub(super) fn stop(&self, key: &ClusterKey) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.uses -= 1;
        }
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

    fn lock(&self) -> MutexGuard<'_, HashMap<ClusterKey, Entry>> {
        // Nothing that holds the lock can panic half way.
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
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
