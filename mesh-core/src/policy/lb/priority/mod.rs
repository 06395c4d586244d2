//! Failover between priorities (gRFC A56).
//!
//! ```text
//! for each priority, highest first:
//!     no balancer yet      -> make one, start its failover timer
//!     ready or idle        -> use it, deactivate all lower ones
//!     failover timer runs  -> use it for now, try no lower one
//!     otherwise            -> next priority
//! none of them             -> the first that is connecting, else the last
//! ```
//!
//! All calls go to one priority (LB-13). An aggregate's priorities are those of its leaves, so that its calls go to one
//! leaf at a time (LB-03).

mod child;
mod children;
mod level;
mod names;
mod owned;
mod undiscovered;

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::Name;

use super::picker::{Failing, Waiting, no_endpoint};
use super::update::difference;
use super::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Picker};
use child::Child;
use children::Children;
use level::{Level, LevelChange};
use names::{ChildName, ChildNames};

/// The priorities of a cluster.
#[derive(Debug)]
pub(super) struct Priority {
    names: ChildNames,
    /// Highest first.
    levels: Vec<Level>,
    children: Children,
    selected: Option<ChildName>,
    note: Option<Arc<str>>,
    is_changed: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            names: ChildNames::default(),
            levels: Vec::new(),
            children: Children::default(),
            selected: None,
            note: None,
            is_changed: true,
        }
    }
}

impl Priority {
    /// Selects the priority to use, and makes balancers for priorities that are needed for it.
    fn choose(&mut self, now: Instant, rng: &mut dyn Rng) {
        for at in 0..self.levels.len() {
            let level = &self.levels[at];
            let name = level.name;
            if self.children.get(name).is_none() {
                self.children.start(level, self.note.as_ref(), now, rng);
            }
            let Some(child) = self.children.get_mut(name) else { continue };
            child.reactivate();
            if child.is_usable() {
                for lower in &self.levels[at + 1..] {
                    if let Some(child) = self.children.get_mut(lower.name) {
                        child.deactivate(now);
                    }
                }
                return self.select(Some(name));
            }
            if child.is_failover_pending() {
                return self.select(Some(name));
            }
        }
        // LB-09
        let is_connecting = |level: &&Level| self.children.get(level.name).is_some_and(Child::is_connecting);
        let level = self.levels.iter().find(is_connecting).or_else(|| self.levels.last());
        self.select(level.map(|level| level.name));
    }

    fn select(&mut self, name: Option<ChildName>) {
        self.is_changed |= self.selected != name;
        self.selected = name;
    }

    fn selected_child(&self) -> Option<&Child> {
        self.children.get(self.selected?)
    }
}

impl Balancer for Priority {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let LbUpdate { priorities, note } = update;
        let is_note_new = std::mem::replace(&mut self.note, note) != self.note;
        self.is_changed = true;
        self.children.endpoints.begin_round();
        let names = self.names.assign(&priorities);
        let named = names.into_iter().zip(priorities).map(|(name, priority)| Level { name, priority });
        let (levels, old): (Vec<_>, _) = (named.collect(), std::mem::take(&mut self.levels));
        let before = |level: &Level| old.iter().find(|old| old.name == level.name);
        let compare = |level| {
            let known = before(level).map_or(&[][..], |before| &before.priority.localities);
            difference(known, &level.priority.localities)
        };
        let changes: Vec<_> = levels.iter().map(compare).collect();
        for (level, changes) in levels.iter().zip(&changes) {
            changes.added.iter().for_each(|endpoint| self.children.endpoints.own(level.name, endpoint));
        }
        for (level, changes) in levels.iter().zip(&changes) {
            let removed = changes.removed.iter();
            removed.for_each(|endpoint| self.children.endpoints.disown(level.name, endpoint.id));
        }
        // LB-10: a priority that is no longer configured is removed at once
        let is_gone = |old: &&Level| levels.iter().all(|level| level.name != old.name);
        old.iter().filter(is_gone).for_each(|gone| self.children.remove(gone));
        let note = self.note.as_ref();
        for (level, changes) in levels.iter().zip(&changes) {
            let change = before(level).map_or(LevelChange::Localities, |before| level.change_from(before));
            match change {
                LevelChange::Nothing if !is_note_new => {}
                LevelChange::Nothing | LevelChange::Localities => {
                    self.children.update(level, note, changes.added.iter().copied(), now, rng);
                }
                LevelChange::Policy if self.children.is_deactivated(level.name) => self.children.stop(level),
                LevelChange::Discovered | LevelChange::Policy => {
                    if let Some(child) = self.children.get_mut(level.name) {
                        child.replace(level.balancer());
                    }
                    self.children.update(level, note, level.endpoints(), now, rng);
                }
                LevelChange::Connections => self.children.stop(level),
            }
        }
        let moved: Vec<_> = changes.iter().flat_map(|changes| &changes.added).map(|added| added.id).collect();
        self.levels = levels;
        self.choose(now, rng); // LB-11: once, after all children have their update
        self.children.release_orphans(moved);
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        let Some(endpoint) = self.children.endpoints.get_mut(id) else { return };
        endpoint.state = state.clone();
        let owner = endpoint.owner;
        if let Some(child) = self.children.get_mut(owner) {
            child.balancer.on_connectivity(now, id, state, rng);
            self.children.settle(owner, now);
            self.choose(now, rng);
        }
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        let Some(name) = self.selected else { return };
        if let Some(child) = self.children.get_mut(name) {
            child.balancer.exit_idle(now, rng);
            self.children.settle(name, now);
            self.choose(now, rng);
        }
    }

    fn connectivity(&self) -> Connectivity {
        match self.selected_child() {
            Some(child) => child.balancer.connectivity(),
            // LB-09: no priorities
            None => Connectivity::TransientFailure(no_endpoint(None, self.note.as_deref())),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.children.next_deadline()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        for name in self.children.names() {
            let Some(child) = self.children.get_mut(name) else { continue };
            child.on_deadline(now);
            if child.balancer.next_deadline().is_some_and(|deadline| deadline <= now) {
                child.balancer.on_deadline(now, rng);
                self.children.settle(name, now);
            }
        }
        self.choose(now, rng);
        self.children.retire(now);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.children.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        let selected = self.selected.and_then(|name| self.children.get_mut(name));
        if let Some(child) = selected
            && let Some((_, picker)) = child.balancer.poll_picker()
        {
            child.picker = Some(picker);
            self.is_changed = true;
        }
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let state = self.connectivity();
        let picker = self.selected_child().and_then(|child| child.picker.clone());
        let picker = picker.unwrap_or_else(|| match &state {
            Connectivity::TransientFailure(reason) => Arc::new(Failing(reason.clone())),
            Connectivity::Idle | Connectivity::Connecting | Connectivity::Ready => Arc::new(Waiting),
        });
        Some((state, picker))
    }

    fn selected(&self) -> Option<&Name> {
        let selected = self.levels.iter().find(|level| Some(level.name) == self.selected)?;
        Some(&selected.priority.settings.name)
    }

    // LB-07
    fn needs(&self, cluster: &str) -> bool {
        let has_child = |level: &Level| self.children.get(level.name).is_some();
        self.levels.iter().any(|level| *level.priority.settings.name == *cluster && has_child(level))
    }
}
