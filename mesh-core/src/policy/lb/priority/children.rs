//! The balancers of priorities that have been needed, and their endpoints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::policy::lb::{Command, Connectivity, EndpointId, LbEndpoint, LbUpdate};

use super::child::Child;
use super::level::Level;
use super::names::ChildName;
use super::owned::Owned;

/// The balancers of priorities that have been needed (LB-07), the endpoints of all priorities, and commands for the driver.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_name: BTreeMap<ChildName, Child>,
    pub(super) endpoints: Owned,
    pub(super) commands: VecDeque<Command>,
}

impl Children {
    /// The child of a priority; `None`: it has not been needed (LB-07).
    pub(super) fn get(&self, name: ChildName) -> Option<&Child> {
        self.by_name.get(&name)
    }

    pub(super) fn get_mut(&mut self, name: ChildName) -> Option<&mut Child> {
        self.by_name.get_mut(&name)
    }

    /// Whether a priority has a child that is not needed now.
    pub(super) fn is_deactivated(&self, name: ChildName) -> bool {
        self.get(name).is_some_and(Child::is_deactivated)
    }

    pub(super) fn names(&self) -> Vec<ChildName> {
        self.by_name.keys().copied().collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_name.values().filter_map(Child::next_deadline).min()
    }

    /// Sends a child its endpoints, and the states of endpoints that are new to it but connected or failed already.
    pub(super) fn update<'a>(
        &mut self,
        Level { name, priority }: &Level,
        note: Option<&Arc<str>>,
        new: impl IntoIterator<Item = &'a LbEndpoint>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let Some(child) = self.by_name.get_mut(name) else { return };
        let update = LbUpdate { priorities: vec![priority.clone()], note: note.cloned() };
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
    pub(super) fn start(&mut self, level: &Level, note: Option<&Arc<str>>, now: Instant, rng: &mut dyn Rng) {
        self.by_name.insert(level.name, Child::new(now, level.balancer()));
        self.update(level, note, level.endpoints(), now, rng);
    }

    /// Removes the child of a priority, and disconnects its endpoints.
    pub(super) fn stop(&mut self, level: &Level) {
        self.by_name.remove(&level.name);
        self.release_orphans(level.endpoints().map(|endpoint| endpoint.id));
    }

    /// LB-10: removes the child of a priority that is no longer configured, and its endpoints.
    pub(super) fn remove(&mut self, gone: &Level) {
        self.by_name.remove(&gone.name);
        gone.endpoints().for_each(|endpoint| self.endpoints.disown(gone.name, endpoint.id));
    }

    /// Takes commands, state and picker of a child after an input.
    pub(super) fn settle(&mut self, name: ChildName, now: Instant) {
        let Some(child) = self.by_name.get_mut(&name) else { return };
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

    /// LB-10: removes the balancers of priorities whose retirement timer is over.
    pub(super) fn retire(&mut self, now: Instant) {
        let count = self.by_name.len();
        self.by_name.retain(|_, child| !child.is_retired(now));
        if self.by_name.len() < count {
            self.release_orphans(self.endpoints.ids());
        }
    }

    /// Disconnects the given endpoints whose priority has no balancer.
    pub(super) fn release_orphans(&mut self, endpoints: impl IntoIterator<Item = EndpointId>) {
        for id in endpoints {
            let Some(known) = self.endpoints.get_mut(id) else { continue };
            if !matches!(known.state, Connectivity::Idle) && !self.by_name.contains_key(&known.owner) {
                known.state = Connectivity::Idle;
                self.commands.push_back(Command::Disconnect(id));
            }
        }
    }
}
