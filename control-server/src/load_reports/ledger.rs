//! The latest report of every client, and their sums. Pure: time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::MAX_ENTRIES;
use super::report::{Cluster, ClusterKey, Report};

/// The latest report of each client.
#[derive(Debug)]
pub(super) struct Ledger {
    interval: Duration,
    reporters: BTreeMap<u64, Reporter>,
    /// When each of them stops counting, next one first.
    expiries: BTreeSet<(Instant, u64)>,
    /// Of all reports together.
    entries: usize,
}

/// One client's stream.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) node_id: Arc<str>,
    pub(super) received: Instant,
    pub(super) report: Report,
    has_left: bool,
}

/// A report that exceeds the limit of all reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Ledger {
    /// Clients are told to report once per `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, reporters: BTreeMap::new(), expiries: BTreeSet::new(), entries: 0 }
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Replaces the client's last report.
    ///
    /// # Errors
    /// All reports together are too large; the client's last report then counts until it is too old.
    pub(super) fn on_report(
        &mut self,
        now: Instant,
        id: u64,
        node_id: &Arc<str>,
        report: Report,
    ) -> Result<(), Full> {
        self.expire(now);
        let last = self.reporters.get(&id).map_or(0, |reporter| reporter.report.entries());
        let entries = self.entries - last + report.entries();
        if entries > MAX_ENTRIES {
            return Err(Full);
        }
        self.entries = entries;
        let reporter = Reporter { node_id: node_id.clone(), received: now, report, has_left: false };
        let expiry = reporter.expiry(self.interval);
        if let Some(last) = self.reporters.insert(id, reporter) {
            self.expiries.remove(&(last.expiry(self.interval), id));
        }
        self.expiries.insert((expiry, id));
        Ok(())
    }

    /// A stream has ended. Its last report counts until another stream of the same process may have reported.
    pub(super) fn on_end(&mut self, now: Instant, id: u64) {
        if let Some(reporter) = self.reporters.get_mut(&id) {
            self.expiries.remove(&(reporter.expiry(self.interval), id));
            reporter.has_left = true;
            self.expiries.insert((reporter.expiry(self.interval), id));
        }
        self.expire(now);
    }

    /// Drops reports that are too old; costs nothing while there are none.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((expiry, id)) = self.expiries.first().copied()
            && expiry <= now
        {
            self.expiries.pop_first();
            if let Some(reporter) = self.reporters.remove(&id) {
                self.entries -= reporter.report.entries();
            }
        }
    }

    /// All reporters whose report counts, oldest stream first.
    pub(super) fn reporters(&self) -> impl ExactSizeIterator<Item = (u64, &Reporter)> {
        self.reporters.iter().map(|(id, reporter)| (*id, reporter))
    }

    /// The sums of all reports, and how many clients each part comes from.
    pub(super) fn sums(&self) -> BTreeMap<&ClusterKey, (usize, Cluster)> {
        let mut sums: BTreeMap<&ClusterKey, (usize, Cluster)> = BTreeMap::new();
        let reports = self.reporters.values().flat_map(|reporter| &reporter.report.clusters);
        for (key, cluster) in reports {
            let (reporters, sum) = sums.entry(key).or_default();
            *reporters += 1;
            sum.drops.add(&cluster.drops);
            for (locality, load) in &cluster.localities {
                sum.localities.entry(locality.clone()).or_default().add(load);
            }
        }
        sums
    }
}

impl Reporter {
    /// When its last report stops counting.
    fn expiry(&self, interval: Duration) -> Instant {
        self.received + interval * if self.has_left { 1 } else { STAYING }
    }
}

/// How many intervals the last report of a silent client counts.
const STAYING: u32 = 3;
