//! The state that all streams, the admin API and the metrics share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::now;
use crate::discovery::ResourceCache;
use crate::resources::{ResourceKind, ResourceSet};

use super::ledger::{Full, Ledger};
use super::report::Report;
use super::status::LoadList;

/// The load that clients report. Clones share their state.
#[derive(Debug, Clone)]
pub struct LoadReports {
    ledger: Arc<Mutex<Ledger>>,
    last_id: Arc<AtomicU64>,
    pub(super) cluster_names: ClusterNames,
}

/// Keeps the reports of one stream.
#[derive(Debug)]
pub(super) struct Reporting {
    reports: LoadReports,
    pub(super) id: u64,
}

impl LoadReports {
    /// Of clients that are told to report once per `interval`; zero means that they are not asked to.
    pub fn new(interval: Duration) -> Self {
        Self {
            ledger: Arc::new(Mutex::new(Ledger::new(interval))),
            last_id: Arc::default(),
            cluster_names: ClusterNames::default(),
        }
    }

    /// The current load of all clusters; with every reporter of one cluster, if a name is given.
    pub fn list(&self, cluster: Option<&str>) -> LoadList {
        let now = now();
        let mut ledger = self.lock();
        ledger.expire(now);
        LoadList::of(now, &ledger, cluster)
    }

    /// How often clients are told to report; zero if they are not asked to.
    pub fn interval(&self) -> Duration {
        self.lock().interval()
    }

    pub(super) fn begin(&self) -> Reporting {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        Reporting { reports: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporting {
    pub(super) fn take(&self, node_id: &Arc<str>, report: Report) -> Result<(), Full> {
        self.reports.lock().on_report(now(), self.id, node_id, report)
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        self.reports.lock().on_end(now(), self.id);
    }
}

/// The names of all clusters, for clients that do not report all of them by themselves; shared by all streams. Clones share their state.
#[derive(Debug, Clone, Default)]
pub(super) struct ClusterNames(Arc<Mutex<Latest>>);

/// A list that stays the same allocation until a name comes or goes.
pub(super) type Names = Arc<[Arc<str>]>;

#[derive(Debug, Default)]
struct Latest {
    set: Option<Arc<ResourceSet>>,
    names: Names,
}

impl ClusterNames {
    /// The names of the clusters that are served now.
    pub(super) fn of(&self, cache: &ResourceCache) -> Names {
        let Some(snapshot) = cache.latest() else { return Names::default() };
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.set.as_ref().is_some_and(|set| Arc::ptr_eq(set, &snapshot.set)) {
            let clusters = snapshot.set.sorted(ResourceKind::Cluster);
            let is_same = clusters.iter().map(|cluster| &cluster.name).eq(latest.names.iter());
            if !is_same {
                latest.names = clusters.iter().map(|cluster| Arc::clone(&cluster.name)).collect();
            }
            latest.set = Some(snapshot.set);
        }
        Arc::clone(&latest.names)
    }
}
