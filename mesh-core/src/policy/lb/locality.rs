//! The localities of a priority, by weight (gRFC A28 weighted_target, A52 wrr_locality).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::ClusterSettings;
use crate::policy::weighted_choice::WeightedChoice;
use crate::shared::SharedList;

use super::connectivity::{Phase, PhaseCounts};
use super::endpoint::IdMap;
use super::picker::{Failing, Waiting, no_endpoint};
use super::{
    Balancer, Command, Connectivity, EndpointId, LbLocality, LbPriority, LbUpdate, Pick, PickContext, Picker,
    UniformPick, leaf,
};

/// The localities of a priority, each with a policy of its own; calls go to a ready one by weight.
#[derive(Debug)]
pub(super) struct WeightedLocalities {
    settings: Arc<ClusterSettings>,
    children: BTreeMap<ChildKey, Child>,
    /// The child of each endpoint. Has removed endpoints too, until their ids are reused; their children ignore them.
    owners: IdMap<ChildKey>,
    counts: PhaseCounts,
    last_error: Option<Arc<str>>,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
    /// The last key that was assigned.
    key: ChildKey,
}

/// Identifies a child as long as its locality is configured.
type ChildKey = u64;

#[derive(Debug)]
struct Child {
    /// The locality in the last update.
    locality: LbLocality,
    balancer: Box<dyn Balancer>,
    /// LB-17: failed until it is ready.
    counted: Phase,
    picker: Arc<dyn Picker>,
    /// Its balancer has had no update.
    is_new: bool,
}

impl WeightedLocalities {
    /// A balancer without localities, for a cluster of these settings.
    pub(super) fn new(settings: Arc<ClusterSettings>) -> Self {
        Self {
            settings,
            children: BTreeMap::new(),
            owners: IdMap::default(),
            counts: PhaseCounts::default(),
            last_error: None,
            note: None,
            commands: VecDeque::new(),
            is_changed: true,
            key: 0,
        }
    }

    /// Takes commands, state and picker of a child after an input.
    fn settle(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else { return };
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
    }

    fn tell(&mut self, key: ChildKey, input: impl FnOnce(&mut dyn Balancer)) {
        if let Some(child) = self.children.get_mut(&key) {
            input(&mut *child.balancer);
        }
        self.settle(key);
    }

    fn keys(&self, is_meant: impl Fn(&Child) -> bool) -> Vec<ChildKey> {
        self.children.iter().filter(|(_, child)| is_meant(child)).map(|(key, _)| *key).collect()
    }

    /// The child of each locality, a new one if it has none; children without a locality are removed.
    fn match_children(&mut self, localities: &[LbLocality]) -> Vec<ChildKey> {
        let known = self.children.values().map(|child| &child.locality.id);
        if known.eq(localities.iter().map(|locality| &locality.id)) {
            return self.keys(|_| true);
        }
        let mut old = std::mem::take(&mut self.children);
        let mut by_id: BTreeMap<_, _> =
            old.iter().map(|(key, child)| (child.locality.id.clone(), *key)).collect();
        let mut keys = Vec::with_capacity(localities.len());
        for locality in localities {
            let key = by_id.remove(&locality.id).unwrap_or_else(|| self.next_key());
            let child = old.remove(&key).unwrap_or_else(|| self.new_child(locality));
            self.children.insert(key, child);
            keys.push(key);
        }
        old.into_values().for_each(|child| self.counts.remove(child.counted));
        keys
    }

    fn next_key(&mut self) -> ChildKey {
        self.key += 1;
        self.key
    }

    /// A child for a locality, without endpoints.
    fn new_child(&mut self, locality: &LbLocality) -> Child {
        let child = Child {
            locality: LbLocality { endpoints: SharedList::default(), ..locality.clone() },
            balancer: leaf(&self.settings.lb_policy),
            counted: Phase::Connecting,
            picker: Arc::new(Waiting),
            is_new: true,
        };
        self.counts.add(child.counted);
        child
    }

    /// LB-18: sets the locality of a child. Returns whether its balancer needs an update.
    fn follow(&mut self, key: ChildKey, locality: &LbLocality) -> bool {
        let Some(child) = self.children.get_mut(&key) else { return false };
        let before = std::mem::replace(&mut child.locality, locality.clone());
        let added = SharedList::changes(&before.endpoints, &locality.endpoints).added;
        self.owners.extend(added.iter().map(|endpoint| (endpoint.id, key)));
        // A new child gets an update even without endpoints.
        std::mem::take(&mut child.is_new) || !before.endpoints.is_same(&locality.endpoints)
    }
}

impl Balancer for WeightedLocalities {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let is_note_new = std::mem::replace(&mut self.note, update.note.clone()) != update.note;
        let localities = update.into_localities();
        self.last_error = None;
        self.is_changed = true;
        for (key, locality) in self.match_children(&localities).into_iter().zip(localities) {
            if self.follow(key, &locality) || is_note_new {
                let priorities = vec![LbPriority::new(self.settings.clone(), vec![locality])];
                let update = LbUpdate { priorities, note: self.note.clone() };
                self.tell(key, |balancer| balancer.update(now, update, rng));
            } else {
                self.settle(key);
            }
        }
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        let Some(key) = self.owners.get(&id).copied() else { return };
        self.tell(key, |balancer| balancer.on_connectivity(now, id, state, rng));
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        for key in self.keys(|child| child.counted == Phase::Idle) {
            self.tell(key, |balancer| balancer.exit_idle(now, rng));
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
        self.children.values().filter_map(|child| child.balancer.next_deadline()).min()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        let is_due = |child: &Child| child.balancer.next_deadline().is_some_and(|deadline| deadline <= now);
        for key in self.keys(is_due) {
            self.tell(key, |balancer| balancer.on_deadline(now, rng));
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        for child in self.children.values_mut() {
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
        // the children in the phase of the whole: ready ones for calls, failed ones for their errors
        let chosen = self.children.values().filter(|child| child.counted == phase);
        let chosen: Vec<_> = chosen.map(|child| (child.locality.weight, child.picker.clone())).collect();
        let picker = match &state {
            Connectivity::TransientFailure(reason) if chosen.is_empty() => Arc::new(Failing(reason.clone())),
            _ => LocalityPicker::over(chosen),
        };
        Some((state, picker))
    }
}

/// Chooses a locality by weight and lets its picker choose (LB-17).
#[derive(Debug)]
struct LocalityPicker {
    choice: WeightedChoice,
    children: Box<[Arc<dyn Picker>]>,
}

impl LocalityPicker {
    /// A picker over these weights and children; a single child is its own picker.
    fn over(children: Vec<(u32, Arc<dyn Picker>)>) -> Arc<dyn Picker> {
        if let [(_, only)] = &children[..] {
            return only.clone();
        }
        let choice = WeightedChoice::new(children.iter().map(|(weight, _)| (*weight).max(1)));
        Arc::new(Self { choice, children: children.into_iter().map(|(_, picker)| picker).collect() })
    }
}

impl Picker for LocalityPicker {
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        match self.children.get(self.choice.pick(rng)) {
            Some(child) => child.pick(context, rng),
            None => Pick::Wait(None),
        }
    }

    fn uniform(&self) -> Option<UniformPick> {
        let (first, others) = self.children.split_first()?;
        let uniform = first.uniform()?;
        others.iter().all(|child| child.uniform() == Some(uniform)).then_some(uniform)
    }
}
