//! The localities of a priority, by weight (gRFC A28 weighted_target, A52 wrr_locality).

mod picker;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::{LbPolicy, LocalityId};

use super::connectivity::{Counts, Phase};
use super::failure::no_endpoint;
use super::id_map::IdMap;
use super::picker::{Failing, Waiting};
use super::{Balancer, Command, Connectivity, EndpointId, LbLocality, LbUpdate, Picker, leaf};
use picker::LocalityPicker;

/// The localities of a priority, each with a policy of its own; calls go to a ready one by weight.
#[derive(Debug)]
pub(super) struct WeightedLocalities {
    policy: LbPolicy,
    children: Vec<Child>,
    /// Which child has an endpoint.
    owners: IdMap<usize>,
    counts: Counts,
    last_error: Option<Arc<str>>,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

#[derive(Debug)]
struct Child {
    id: LocalityId,
    weight: u32,
    balancer: Box<dyn Balancer>,
    /// LB-17: failed until it is ready.
    counted: Phase,
    picker: Arc<dyn Picker>,
}

impl WeightedLocalities {
    pub(super) fn new(policy: LbPolicy) -> Self {
        Self {
            policy,
            children: Vec::new(),
            owners: IdMap::default(),
            counts: Counts::default(),
            last_error: None,
            note: None,
            commands: VecDeque::new(),
            is_changed: true,
        }
    }

    /// Takes over what an input to a child has led to.
    fn settle(&mut self, at: usize) {
        let child = &mut self.children[at];
        while let Some(command) = child.balancer.poll_command() {
            self.commands.push_back(command);
        }
        let state = child.balancer.connectivity();
        let from = child.counted;
        child.counted = match state.phase() {
            Phase::Idle | Phase::Connecting if from == Phase::Failed => Phase::Failed,
            phase => phase,
        };
        self.counts.change(from, child.counted);
        if let Connectivity::TransientFailure(reason) = state {
            self.last_error = Some(reason);
        }
        self.is_changed |= from != child.counted;
    }

    fn adopt(&mut self, locality: &LbLocality, kept: Option<Child>) -> usize {
        let at = self.children.len();
        self.owners.extend(locality.endpoints.iter().map(|endpoint| (endpoint.id, at)));
        self.children.push(match kept {
            // LB-18: another weight leaves the rest alone
            Some(child) => Child { weight: locality.weight, ..child },
            None => Child {
                id: locality.id.clone(),
                weight: locality.weight,
                balancer: leaf(&self.policy),
                counted: Phase::Connecting,
                picker: Arc::new(Waiting),
            },
        });
        self.counts.add(self.children[at].counted);
        at
    }
}

impl Balancer for WeightedLocalities {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let mut old: BTreeMap<_, _> =
            std::mem::take(&mut self.children).into_iter().map(|child| (child.id.clone(), child)).collect();
        self.owners.clear();
        (self.counts, self.last_error) = (Counts::default(), None);
        self.note = update.note;
        self.is_changed = true;
        for locality in update.priorities.into_iter().flatten() {
            let at = self.adopt(&locality, old.remove(&locality.id));
            let update = LbUpdate { priorities: vec![vec![locality]], note: self.note.clone() };
            self.children[at].balancer.update(now, update, rng);
            self.settle(at);
        }
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        let Some(at) = self.owners.get(&id).copied() else { return };
        self.children[at].balancer.on_connectivity(now, id, state, rng);
        self.settle(at);
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        for at in 0..self.children.len() {
            if self.children[at].counted == Phase::Idle {
                self.children[at].balancer.exit_idle(now, rng);
                self.settle(at);
            }
        }
    }

    fn connectivity(&self) -> Connectivity {
        match self.counts.best() {
            Phase::Ready => Connectivity::Ready,
            Phase::Connecting => Connectivity::Connecting,
            Phase::Idle => Connectivity::Idle,
            Phase::Failed => Connectivity::TransientFailure(
                self.last_error.clone().unwrap_or_else(|| no_endpoint(None, self.note.as_deref())),
            ),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.children.iter().filter_map(|child| child.balancer.next_deadline()).min()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        for at in 0..self.children.len() {
            if self.children[at].balancer.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.children[at].balancer.on_deadline(now, rng);
                self.settle(at);
            }
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        for child in &mut self.children {
            if let Some((_, picker)) = child.balancer.poll_picker() {
                child.picker = picker;
                self.is_changed = true;
            }
        }
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let state = self.connectivity();
        let phase = state.phase();
        // those that make the state what it is: ready ones for calls, failed ones for their errors
        let chosen = self.children.iter().filter(|child| child.counted == phase);
        let chosen: Vec<_> = chosen.map(|child| (child.weight, child.picker.clone())).collect();
        let picker = match &state {
            Connectivity::TransientFailure(reason) if chosen.is_empty() => Arc::new(Failing(reason.clone())),
            _ => LocalityPicker::over(chosen),
        };
        Some((state, picker))
    }
}
