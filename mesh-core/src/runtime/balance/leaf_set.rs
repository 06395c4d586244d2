//! The leaves of a cluster's task.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::Name;
use crate::policy::lb::{Balancer, LbPriority};
use crate::runtime::connect::Connect;

use super::endpoints::Endpoints;
use super::idle::has_calls;
use super::leaf::{Leaf, LeafId};
use super::logical_dns::LogicalDns;

/// The leaves of a cluster's task.
#[derive(Debug)]
pub(super) struct LeafSet {
    /// In the order of preference.
    leaves: Vec<Leaf>,
    /// Leaves that are no longer configured. Dropped after the next publication.
    gone: Vec<Leaf>,
    /// Why other leaves are missing.
    note: Option<Arc<str>>,
}

impl LeafSet {
    /// A set without leaves.
    pub(super) fn new(note: Option<Arc<str>>) -> Self {
        Self { leaves: Vec::new(), gone: Vec::new(), note }
    }

    /// Adds a leaf at the end.
    pub(super) fn push(&mut self, leaf: Leaf) {
        self.leaves.push(leaf);
    }

    /// Removes and returns all leaves.
    pub(super) fn take(&mut self) -> Vec<Leaf> {
        std::mem::take(&mut self.leaves)
    }

    /// Keeps leaves that are no longer configured until [`sweep`](Self::sweep).
    pub(super) fn retire(&mut self, mut leaves: Vec<Leaf>) {
        self.gone.append(&mut leaves);
    }

    /// Sets why other leaves are missing. Returns whether the text has changed.
    pub(super) fn set_note(&mut self, note: Option<Arc<str>>) -> bool {
        std::mem::replace(&mut self.note, note) != self.note
    }

    /// Why leaves have no endpoints, or are missing.
    pub(super) fn note(&self) -> Option<Arc<str>> {
        let notes = self.leaves.iter().map(|leaf| &leaf.note).chain([&self.note]).flatten();
        let notes: Vec<&str> = notes.map(|note| &**note).collect();
        (!notes.is_empty()).then(|| notes.join("; ").into())
    }

    /// The priorities of all leaves, for the balancer.
    pub(super) fn priorities(&self) -> Vec<LbPriority> {
        self.leaves.iter().flat_map(Leaf::priorities).collect()
    }

    pub(super) fn find(&mut self, id: Option<LeafId>) -> Option<&mut Leaf> {
        self.leaves.iter_mut().find(|leaf| Some(leaf.id()) == id)
    }

    /// Whether calls to any leaf run.
    pub(super) fn have_calls(&self) -> bool {
        self.leaves.iter().any(|leaf| has_calls(&leaf.accounting.load))
    }

    /// The leaf whose last lookup has this number.
    pub(super) fn of_lookup(&mut self, number: u64) -> Option<&mut Leaf> {
        let is_meant = |leaf: &&mut Leaf| leaf.dns.as_ref().is_some_and(|dns| dns.is_lookup(number));
        self.leaves.iter_mut().find(is_meant)
    }

    /// The leaves whose settings ask for other streams or health checks than before, since the last call.
    pub(super) fn with_new_streams(&mut self) -> Vec<LeafId> {
        let leaves = self.leaves.iter_mut();
        leaves
            .filter_map(|leaf| (leaf.streams.take_reset() | leaf.checks.take_reset()).then(|| leaf.id()))
            .collect()
    }

    /// The leaf of this name; without one, the first leaf.
    pub(super) fn selected(&self, name: Option<&Name>) -> Option<&Leaf> {
        let selected = self.leaves.iter().find(|leaf| Some(leaf.name()) == name);
        selected.or_else(|| self.leaves.first())
    }

    /// The DNS names of the leaves that the balancer needs.
    pub(super) fn needed_names_mut(
        &mut self,
        balancer: &dyn Balancer,
    ) -> impl Iterator<Item = &mut LogicalDns> {
        let is_needed = |leaf: &&mut Leaf| leaf.dns.is_some() && balancer.needs(leaf.name());
        self.leaves.iter_mut().filter(is_needed).filter_map(|leaf| leaf.dns.as_mut())
    }

    /// When the next lookup, or the next interval of outlier detection, is due.
    pub(super) fn next_deadline(&self, balancer: &dyn Balancer) -> Option<Instant> {
        let is_needed = |leaf: &&Leaf| leaf.dns.is_some() && balancer.needs(leaf.name());
        let needed = self.leaves.iter().filter(is_needed).filter_map(|leaf| leaf.dns.as_ref());
        let lookups = needed.filter_map(LogicalDns::next_deadline);
        let intervals = self.leaves.iter().filter_map(|leaf| leaf.outliers.next_deadline());
        lookups.chain(intervals).min()
    }

    /// Runs outlier detection of leaves whose interval is over.
    pub(super) fn on_deadline(&mut self, now: Instant, balancer: &mut dyn Balancer, rng: &mut dyn Rng) {
        for leaf in &mut self.leaves {
            leaf.outliers.on_deadline(now, &mut *balancer, &mut *rng);
        }
    }

    /// Writes new ejections, failed health checks and returns to log, metrics and status.
    pub(super) fn show<C: Connect>(&mut self, now: Instant, endpoints: &Endpoints<C>) {
        for leaf in &mut self.leaves {
            leaf.outliers.show(endpoints);
            if let Some(unhealthy) = leaf.checks.take_changes(now, endpoints) {
                leaf.outliers.show_unhealthy(unhealthy);
            }
        }
    }

    /// Drops endpoints and leaves that are no longer configured.
    pub(super) fn sweep<C: Connect>(&mut self, endpoints: &mut Endpoints<C>) {
        for leaf in self.leaves.iter_mut().chain(&mut self.gone) {
            endpoints.sweep(&mut leaf.listing);
        }
        self.gone.clear();
    }
}
