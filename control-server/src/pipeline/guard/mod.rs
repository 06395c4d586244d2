//! Holds back changes that remove much.
//!
//! A change that would take away more than a share of a service's endpoints, or of all services, is rarely meant: a folder is
//! half copied, a generator has failed. It waits as a whole, because its parts may belong together (routes that pin calls
//! beside the services that they name), until an operator approves it or until, with what comes later, it removes no more
//! than that. What comes later and removes little takes effect meanwhile.

mod census;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kinds::{Object, ObjectId};
use crate::source::Change;
use crate::state::WaitingChange;
use census::Census;

/// The share of endpoints of a service, or of all services, that one change may remove, in percent; with 100 it may remove all.
/// Fewer than ten may always be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRemoval(pub u8);

impl Default for MaxRemoval {
    fn default() -> Self {
        Self(50)
    }
}

/// Decides which changes take effect.
#[derive(Debug)]
pub(super) struct Guard {
    max_removal: MaxRemoval,
    /// Begins the ids of changes that wait, so that they differ from those of an earlier process.
    run: String,
    /// The objects in effect that declare services or endpoints.
    declaring: BTreeMap<ObjectId, Arc<Object>>,
    held: BTreeMap<ObjectId, Change>,
    /// Numbers the changes that have waited.
    number: u64,
    waiting: Option<WaitingChange>,
}

impl Guard {
    pub(super) fn new(max_removal: MaxRemoval, run: String) -> Self {
        let (declaring, held) = (BTreeMap::new(), BTreeMap::new());
        Self { max_removal, run, declaring, held, number: 0, waiting: None }
    }

    /// The change that waits.
    pub(super) fn waiting(&self) -> Option<&WaitingChange> {
        self.waiting.as_ref()
    }

    /// Lets changes take effect, whatever they remove.
    pub(super) fn pass(&mut self, changes: Vec<Change>) -> Vec<Change> {
        for change in &changes {
            match change.object().filter(|object| census::counts(object)) {
                Some(object) => drop(self.declaring.insert(object.id.clone(), Arc::clone(object))),
                None => drop(self.declaring.remove(change.id())),
            }
        }
        changes
    }

    /// Takes changes that happened together, each of another object; returns those that take effect now.
    pub(super) fn admit(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let changes = self.without_moves_of_held(changes);
        let all: BTreeMap<ObjectId, Change> = self
            .held
            .iter()
            .map(|(id, change)| (id.clone(), change.clone()))
            .chain(changes.iter().map(|change| (change.id().clone(), change.clone())))
            .collect();
        let removals = self.removals(all.values());
        if removals.is_empty() {
            self.held.clear();
            self.waiting = None;
            return self.pass(all.into_values().collect());
        }
        if self.held.is_empty() || !self.removals(changes.iter()).is_empty() {
            self.held = all;
            self.wait(removals);
            return Vec::new();
        }
        let before = self.held.len();
        self.held.retain(|id, _| changes.iter().all(|change| change.id() != id));
        let mut passed = self.pass(changes);
        let removals = self.removals(self.held.values());
        if removals.is_empty() {
            self.waiting = None;
            let held = std::mem::take(&mut self.held);
            passed.extend(self.pass(held.into_values().collect()));
        } else if self.held.len() != before {
            self.wait(removals);
        }
        passed
    }

    /// Lets the change that waits take effect; `None` if none of this id waits.
    pub(super) fn approve(&mut self, id: &str) -> Option<Vec<Change>> {
        self.waiting.take_if(|waiting| waiting.id == id)?;
        let held = std::mem::take(&mut self.held);
        Some(self.pass(held.into_values().collect()))
    }

    /// An object that has moved since its change waits has the content that waits.
    fn without_moves_of_held(&mut self, changes: Vec<Change>) -> Vec<Change> {
        let mut others = Vec::new();
        for change in changes {
            match (self.held.get_mut(change.id()), change) {
                (Some(held), Change::Moved(one)) => *held = Change::Upsert(one),
                (_, change) => others.push(change),
            }
        }
        others
    }

    fn wait(&mut self, reasons: Vec<String>) {
        self.number += 1;
        let id = format!("{}-{}", self.run, self.number);
        self.waiting = Some(WaitingChange { id, objects: self.held.len(), reasons });
    }

    /// What these changes would remove beyond the limits, as sentences.
    fn removals<'a>(&self, changes: impl Iterator<Item = &'a Change> + Clone) -> Vec<String> {
        if self.max_removal.0 >= 100 {
            return Vec::new();
        }
        let most_removed = |change: &Change| {
            let before = self.declaring.get(change.id());
            before.map_or(0, |before| census::most_removed(before, change.object().map(|object| &**object)))
        };
        if changes.clone().map(most_removed).fold(0, usize::saturating_add) < LEAST {
            return Vec::new();
        }
        let mut after: BTreeMap<&ObjectId, &Arc<Object>> = self.declaring.iter().collect();
        for change in changes {
            match change.object() {
                Some(object) => drop(after.insert(change.id(), object)),
                None => drop(after.remove(change.id())),
            }
        }
        let before = census::count(self.declaring.values().map(|object| &**object));
        let after = census::count(after.values().map(|object| &***object));
        self.differences(&before, &after)
    }

    fn differences(&self, before: &Census, after: &Census) -> Vec<String> {
        let mut reasons = Vec::new();
        let services = before.keys().filter(|host| !after.contains_key(*host)).count();
        if self.is_much(services, before.len()) {
            reasons.push(format!("{services} of {} services", before.len()));
        }
        let mut of_services = before.iter().filter_map(|(host, count)| {
            let removed = count.saturating_sub(after.get(host).copied().unwrap_or(0));
            self.is_much(removed, *count).then(|| format!("{removed} of {count} endpoints of {host}"))
        });
        reasons.extend(of_services.by_ref().take(MAX_REASONS));
        match of_services.count() {
            0 => {}
            more => reasons.push(format!("endpoints of {more} more services")),
        }
        reasons
    }

    fn is_much(&self, removed: usize, of: usize) -> bool {
        removed >= LEAST && removed * 100 > of * usize::from(self.max_removal.0)
    }
}

/// So many may be removed at once where there are few.
const LEAST: usize = 10;
const MAX_REASONS: usize = 10;
