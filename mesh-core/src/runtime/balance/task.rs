//! A cluster's task: sends events to its balancer and runs the balancer's commands.

use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::Cluster;
use crate::policy::lb::{Balancer, Command, Connectivity, EndpointId, LbUpdate};
use crate::runtime::connect::Connect;

use super::cluster::Shared;
use super::endpoints::Endpoints;
use super::idle::Idleness;
use super::leaf::{Leaf, LeafId};
use super::leaf_set::LeafSet;
use super::mailbox::SubscriptionId;
use super::publication::{Extent, Publication};
use super::subscription::Subscription;
use super::{Leaves, Pool, Published, clock};

/// One cluster's task.
pub(super) struct Task<C: Connect> {
    pub(super) pool: Arc<Pool<C>>,
    pub(super) shared: Arc<Shared<C::Connection>>,
    pub(super) leaves: LeafSet,
    pub(super) balancer: Box<dyn Balancer>,
    pub(super) endpoints: Endpoints<C>,
    /// The last number of a leaf, a subscription or a lookup.
    number: u64,
    pub(super) rng: StdRng,
    pub(super) next: Publication<C::Connection>,
    /// Dropped after the next publication.
    retired: Vec<(EndpointId, Subscription<C>)>,
    /// Some endpoints may be at rest.
    pub(super) may_rest: bool,
    /// `None`: connections are kept without calls.
    pub(super) idleness: Option<Idleness>,
}

impl<C: Connect> Task<C> {
    /// A task whose balancer has the cluster's endpoints; nothing is published yet.
    pub(super) fn new(balancer: Box<dyn Balancer>, leaves: Leaves, pool: Arc<Pool<C>>, seed: u64) -> Self {
        let now = clock::now();
        let first = Leaf::new(now, LeafId(0), leaves.first, &pool);
        let shared = Arc::new(Shared::new(Published::nothing(first.accounting.clone())));
        let idleness = pool.settings.idle_timeout.map(|timeout| Idleness::new(now, timeout));
        let mut task = Self {
            pool,
            balancer,
            endpoints: Endpoints::new(shared.mailbox.clone()),
            shared,
            next: Publication::nothing(first.accounting.clone()),
            leaves: LeafSet::new(leaves.note),
            number: 0,
            rng: StdRng::seed_from_u64(seed),
            retired: Vec::new(),
            may_rest: false,
            idleness,
        };
        task.add_leaf(now, first);
        for cluster in leaves.further {
            let id = LeafId(task.next_number());
            let leaf = Leaf::new(now, id, cluster, &task.pool);
            task.add_leaf(now, leaf);
        }
        task.update_balancer(now);
        task
    }

    fn add_leaf(&mut self, now: Instant, mut leaf: Leaf) {
        leaf.discover(&mut self.endpoints, &self.pool);
        self.push_leaf(now, leaf);
    }

    fn push_leaf(&mut self, now: Instant, mut leaf: Leaf) {
        leaf.configure_outliers(now, &mut *self.balancer, &mut self.rng);
        self.leaves.push(leaf);
    }

    /// The state that it shares with its handle.
    pub(super) fn shared(&self) -> &Arc<Shared<C::Connection>> {
        &self.shared
    }

    pub(super) async fn run(mut self) {
        let mailbox = self.shared.mailbox.clone();
        loop {
            tokio::select! {
                () = mailbox.arrival() => {}
                () = clock::sleep_until(self.next_deadline()) => {}
            }
            if !self.step() {
                return;
            }
        }
    }

    /// Handles all events and publishes the result once. `false`: the cluster's last handle was dropped.
    pub(super) fn step(&mut self) -> bool {
        let now = clock::now();
        // Subchannels that other clusters have connected answer a command at once, so there are several rounds. Events
        // after the last round wake the task again.
        for _ in 0..ROUNDS {
            let pending = self.shared.mailbox.take();
            if pending.closed {
                return false;
            }
            let quiet = pending.is_empty();
            self.read(now, pending);
            if self.balancer.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.balancer.on_deadline(now, &mut self.rng);
            }
            self.leaves.on_deadline(now, &mut *self.balancer, &mut self.rng);
            self.look_for_calls(now);
            let commanded = self.run_commands();
            if quiet && !commanded {
                break;
            }
        }
        self.resolve(now);
        self.publish();
        self.leaves.show(now, &self.endpoints);
        true
    }

    /// Looks up the DNS names of leaves that are needed.
    fn resolve(&mut self, now: Instant) {
        for dns in self.leaves.needed_names_mut(&*self.balancer) {
            self.number += 1;
            dns.resolve(now, self.number, &self.pool.runtime, &self.shared.mailbox);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let leaves = self.leaves.next_deadline(&*self.balancer);
        let idleness = self.idleness.as_ref().and_then(Idleness::next_look);
        self.balancer.next_deadline().into_iter().chain(leaves).chain(idleness).min()
    }

    /// Sets the configuration. Leaves that stay keep their endpoints, also at another place.
    pub(super) fn update(
        &mut self,
        now: Instant,
        clusters: impl IntoIterator<Item = Cluster>,
        note: Option<Arc<str>>,
    ) {
        let mut is_changed = self.leaves.set_note(note);
        let mut before = self.leaves.take();
        for cluster in clusters {
            let name = &cluster.settings.name;
            let Some(at) = before.iter().position(|leaf| leaf.name() == name) else {
                let id = LeafId(self.next_number());
                self.add_leaf(now, Leaf::new(now, id, cluster, &self.pool));
                is_changed = true;
                continue;
            };
            let mut leaf = before.remove(at);
            is_changed |= leaf.update(now, cluster, &mut self.endpoints, &self.pool) || at > 0;
            self.push_leaf(now, leaf);
        }
        is_changed |= !before.is_empty();
        before.iter_mut().for_each(|leaf| leaf.clear(&mut self.endpoints));
        self.leaves.retire(before);
        if is_changed {
            self.update_balancer(now);
        }
        self.restart_streams(now);
    }

    /// Sends the balancer one update with all leaves (LB-11).
    pub(super) fn update_balancer(&mut self, now: Instant) {
        let (priorities, note) = (self.leaves.priorities(), self.leaves.note());
        self.retired.extend(self.endpoints.take_returned());
        self.balancer.update(now, LbUpdate { priorities, note }, &mut self.rng);
        self.next.set_slots(self.endpoints.slots());
    }

    /// Runs the balancer's commands. Returns whether there were any.
    fn run_commands(&mut self) -> bool {
        let mut commanded = false;
        while let Some(command) = self.balancer.poll_command() {
            commanded = true;
            match command {
                Command::Connect(id) => self.connect(id),
                Command::Disconnect(id) => {
                    let subscription = self.endpoints.get_mut(id).and_then(|entry| {
                        entry.slot.state.session.set_connectivity(&Connectivity::Idle);
                        entry.subscription.take()
                    });
                    self.retired.extend(subscription.map(|subscription| (id, subscription)));
                    self.forget_rest(id);
                    if let Some(leaf) = self.leaves.find(self.endpoints.leaf(id)) {
                        leaf.streams.on_disconnected(id);
                        leaf.checks.on_disconnected(id);
                        leaf.outliers.on_connectivity(id, Connectivity::Idle);
                    }
                }
            }
        }
        commanded
    }

    pub(super) fn connect(&mut self, id: EndpointId) {
        let number = self.next_number();
        if let Some(idleness) = &mut self.idleness {
            idleness.start(clock::now());
        }
        let Some(entry) = self.endpoints.get_mut(id).filter(|entry| entry.subscription.is_none()) else {
            return;
        };
        let Some(leaf) = self.leaves.find(Some(entry.leaf)) else { return };
        let slot = &entry.slot;
        let settings = (&leaf.connection, leaf.tls());
        let subchannel = entry.subchannel.get_or_insert_with(|| {
            let extras = leaf.connection_extras(slot.proxy());
            self.pool.subchannel(&slot.addresses, &slot.hostname, settings, extras)
        });
        entry.is_resting = false;
        entry.subscription = Some(subchannel.subscribe(&self.shared.mailbox, SubscriptionId { id, number }));
    }

    fn publish(&mut self) {
        if let Some(picker) = self.balancer.poll_picker() {
            self.next.set_picker(picker);
        }
        if let Some(leaf) = self.leaves.selected(self.balancer.selected()) {
            self.next.set_leaf(&leaf.accounting, &leaf.drops);
        }
        self.publish_rest();
        // After this publication no picker picks removed endpoints: they can be dropped.
        if self.next.publish(&self.shared) == Extent::Endpoints {
            self.leaves.sweep(&mut self.endpoints);
        }
        for (id, subscription) in self.retired.drain(..) {
            if let Some(entry) = self.endpoints.get_mut(id).filter(|entry| entry.subscription.is_none()) {
                entry.slot.state.set_connections(None);
            }
            drop(subscription);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl<C: Connect> Drop for Task<C> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// How often a step handles events that arrive meanwhile before it publishes.
const ROUNDS: usize = 4;
