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
mod level;
mod names;
mod owned;
mod undiscovered;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::Name;

use super::picker::{Failing, Waiting, no_endpoint};
use super::update::difference;
use super::{Balancer, Command, Connectivity, EndpointId, LbEndpoint, LbUpdate, Picker};
use child::Child;
use level::{Level, LevelChange};
use names::{ChildName, ChildNames};
use owned::Owned;

/// The priorities of a cluster.
#[derive(Debug)]
pub(super) struct Priority {
    names: ChildNames,
    /// Highest first.
    levels: Vec<Level>,
    /// The balancers of priorities that have been needed (LB-07).
    children: BTreeMap<ChildName, Child>,
    endpoints: Owned,
    selected: Option<ChildName>,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            names: ChildNames::default(),
            levels: Vec::new(),
            children: BTreeMap::new(),
            endpoints: Owned::default(),
            selected: None,
            note: None,
            commands: VecDeque::new(),
            is_changed: true,
        }
    }
}

impl Priority {
    /// Sends a child its endpoints, and the states of endpoints that are new to it but connected or failed already.
    fn update_child<'a>(
        &mut self,
        Level { name, priority }: &Level,
        new: impl IntoIterator<Item = &'a LbEndpoint>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let Some(child) = self.children.get_mut(name) else { return };
        let update = LbUpdate { priorities: vec![priority.clone()], note: self.note.clone() };
        child.balancer.update(now, update, rng);
        for endpoint in new {
            match self.endpoints.get(endpoint.id).map(|known| &known.state) {
                None | Some(Connectivity::Idle) => {}
                Some(state) => child.balancer.on_connectivity(now, endpoint.id, state.clone(), rng),
            }
        }
        self.settle(*name, now);
    }

    /// Makes the child of a priority that is needed for the first time.
    fn start_child(&mut self, at: usize, now: Instant, rng: &mut dyn Rng) {
        let level = self.levels[at].clone();
        self.children.insert(level.name, Child::new(now, level.balancer()));
        self.update_child(&level, level.endpoints(), now, rng);
    }

    /// Removes the child of a priority; [`choose`](Self::choose) makes another one if it is needed.
    fn stop_child(&mut self, level: &Level) {
        self.children.remove(&level.name);
        self.is_changed = true;
        self.release_orphans(level.endpoints().map(|endpoint| endpoint.id));
    }

    /// Takes commands, state and picker of a child after an input.
    fn settle(&mut self, name: ChildName, now: Instant) {
        let Some(child) = self.children.get_mut(&name) else { return };
        while let Some(command) = child.balancer.poll_command() {
            if let Command::Disconnect(id) = command
                && let Some(endpoint) = self.endpoints.get_mut(id)
            {
                endpoint.state = Connectivity::Idle;
            }
            self.commands.push_back(command);
        }
        child.observe(now);
    }

    /// Selects the priority to use, and makes balancers for priorities that are needed for it.
    fn choose(&mut self, now: Instant, rng: &mut dyn Rng) {
        for at in 0..self.levels.len() {
            let name = self.levels[at].name;
            if !self.children.contains_key(&name) {
                self.start_child(at, now, rng);
            }
            let Some(child) = self.children.get_mut(&name) else { continue };
            child.reactivate();
            if child.is_usable() {
                for lower in &self.levels[at + 1..] {
                    if let Some(child) = self.children.get_mut(&lower.name) {
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
        let is_connecting = |level: &&Level| self.children.get(&level.name).is_some_and(Child::is_connecting);
        let level = self.levels.iter().find(is_connecting).or_else(|| self.levels.last());
        self.select(level.map(|level| level.name));
    }

    fn select(&mut self, name: Option<ChildName>) {
        self.is_changed |= self.selected != name;
        self.selected = name;
    }

    fn selected_child(&self) -> Option<&Child> {
        self.children.get(&self.selected?)
    }

    /// LB-10: removes the balancers of priorities whose retirement timer is over.
    fn retire(&mut self, now: Instant) {
        let count = self.children.len();
        self.children.retain(|_, child| !child.is_retired(now));
        if self.children.len() < count {
            self.release_orphans(self.endpoints.ids());
        }
    }

    /// Disconnects the given endpoints whose priority has no balancer.
    fn release_orphans(&mut self, endpoints: impl IntoIterator<Item = EndpointId>) {
        for id in endpoints {
            let Some(known) = self.endpoints.get_mut(id) else { continue };
            if !matches!(known.state, Connectivity::Idle) && !self.children.contains_key(&known.owner) {
                known.state = Connectivity::Idle;
                self.commands.push_back(Command::Disconnect(id));
            }
        }
    }
}

impl Balancer for Priority {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let LbUpdate { priorities, note } = update;
        let is_note_new = std::mem::replace(&mut self.note, note) != self.note;
        self.is_changed = true;
        self.endpoints.begin_round();
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
            changes.added.iter().for_each(|endpoint| self.endpoints.own(level.name, endpoint));
        }
        for (level, changes) in levels.iter().zip(&changes) {
            changes.removed.iter().for_each(|endpoint| self.endpoints.disown(level.name, endpoint.id));
        }
        // LB-10: a priority that is no longer configured is removed at once
        for gone in old.iter().filter(|old| levels.iter().all(|level| level.name != old.name)) {
            self.children.remove(&gone.name);
            gone.endpoints().for_each(|endpoint| self.endpoints.disown(gone.name, endpoint.id));
        }
        for (level, changes) in levels.iter().zip(&changes) {
            let change = before(level).map_or(LevelChange::Localities, |before| level.change_from(before));
            match change {
                LevelChange::Nothing if !is_note_new => {}
                LevelChange::Nothing | LevelChange::Localities => {
                    self.update_child(level, changes.added.iter().copied(), now, rng);
                }
                LevelChange::Discovered => {
                    if let Some(child) = self.children.get_mut(&level.name) {
                        child.replace(level.balancer());
                    }
                    self.update_child(level, level.endpoints(), now, rng);
                }
                LevelChange::Settings => self.stop_child(level),
            }
        }
        let moved: Vec<_> = changes.iter().flat_map(|changes| &changes.added).map(|added| added.id).collect();
        self.levels = levels;
        self.choose(now, rng); // LB-11: once, after all children have their update
        self.release_orphans(moved);
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        let Some(endpoint) = self.endpoints.get_mut(id) else { return };
        endpoint.state = state.clone();
        let owner = endpoint.owner;
        if let Some(child) = self.children.get_mut(&owner) {
            child.balancer.on_connectivity(now, id, state, rng);
            self.settle(owner, now);
            self.choose(now, rng);
        }
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        let Some(name) = self.selected else { return };
        if let Some(child) = self.children.get_mut(&name) {
            child.balancer.exit_idle(now, rng);
            self.settle(name, now);
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
        self.children.values().filter_map(Child::next_deadline).min()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        let names: Vec<_> = self.children.keys().copied().collect();
        for name in names {
            let Some(child) = self.children.get_mut(&name) else { continue };
            child.on_deadline(now);
            if child.balancer.next_deadline().is_some_and(|deadline| deadline <= now) {
                child.balancer.on_deadline(now, rng);
                self.settle(name, now);
            }
        }
        self.choose(now, rng);
        self.retire(now);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        let selected = self.selected.and_then(|name| self.children.get_mut(&name));
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
        let has_child = |level: &Level| self.children.contains_key(&level.name);
        self.levels.iter().any(|level| *level.priority.settings.name == *cluster && has_child(level))
    }
}
