//! A cluster's task: feeds its balancer with what happens and does what it wants.

use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{Cluster, ConnectionSettings, Discovery, EndpointSet};
use crate::policy::lb::{Balancer, Command, Connectivity, EndpointId, LbUpdate};
use crate::runtime::accounting::Accounting;
use crate::runtime::connect::Connect;
use crate::runtime::load_report::Reporting;

use super::cluster::{MakeBalancer, Shared};
use super::endpoints::Endpoints;
use super::logical_dns::LogicalDns;
use super::mailbox::{Event, Letters, Status, Ticket};
use super::outliers::Outliers;
use super::publication::{Extent, Publication};
use super::subchannel::Subscription;
use super::{Pool, Published, clock};

/// One cluster's task.
pub(super) struct Task<C: Connect> {
    pool: Arc<Pool<C>>,
    shared: Arc<Shared<C::Connection>>,
    cluster: Cluster,
    make_balancer: MakeBalancer,
    balancer: Box<dyn Balancer>,
    endpoints: Endpoints<C>,
    outliers: Outliers,
    dns: Option<LogicalDns>,
    connection: Arc<ConnectionSettings>,
    accounting: Arc<Accounting>,
    /// Keeps the cluster's load reported.
    reporting: Option<Arc<Reporting>>,
    /// The last number given to a subscription or a lookup.
    number: u64,
    rng: StdRng,
    next: Publication<C::Connection>,
    /// Let go of once nobody picks them any more.
    retired: Vec<(EndpointId, Subscription<C>)>,
}

impl<C: Connect> Task<C> {
    /// A task that has taken in its cluster but not yet published it.
    pub(super) fn new(make_balancer: MakeBalancer, cluster: &Cluster, pool: Arc<Pool<C>>, seed: u64) -> Self {
        let (accounting, reporting) = Accounting::new(clock::now(), &cluster.settings, &pool.counts);
        let accounting = Arc::new(accounting);
        let shared = Arc::new(Shared::new(Published::nothing(accounting.clone())));
        let outliers = Outliers::new(&cluster.settings, &pool.counts);
        let endpoints = Endpoints::new(accounting.clone(), shared.mailbox.clone());
        let mut task = Self {
            pool,
            shared,
            cluster: cluster.clone(),
            make_balancer,
            balancer: make_balancer(&cluster.settings),
            endpoints,
            outliers,
            dns: None,
            next: Publication::nothing(accounting.clone()),
            connection: Arc::new(cluster.settings.connection.clone()),
            accounting,
            reporting,
            number: 0,
            rng: StdRng::seed_from_u64(seed),
            retired: Vec::new(),
        };
        let now = clock::now();
        task.configure_outliers(now);
        task.discover(now);
        task
    }

    /// What it has in common with its handle.
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

    /// Takes in all that has happened and publishes the outcome once. `false`: nobody uses the cluster any more.
    pub(super) fn step(&mut self) -> bool {
        let now = clock::now();
        // Subchannels that others have connected answer a command at once, hence the rounds. What arrives after the
        // last one wakes the task again.
        for _ in 0..ROUNDS {
            let letters = self.shared.mailbox.take();
            if letters.closed {
                return false;
            }
            let quiet = letters.is_empty();
            self.read(now, letters);
            if self.balancer.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.balancer.on_deadline(now, &mut self.rng);
            }
            self.outliers.on_deadline(now, &mut *self.balancer, &mut self.rng);
            let commanded = self.obey();
            if quiet && !commanded {
                break;
            }
        }
        let number = self.next_number();
        if let Some(dns) = &mut self.dns {
            dns.resolve(now, number, &self.pool.runtime, &self.shared.mailbox);
        }
        self.publish();
        self.outliers.show(&self.endpoints);
        true
    }

    fn next_deadline(&self) -> Option<Instant> {
        let dns = self.dns.as_ref().and_then(LogicalDns::next_deadline);
        [self.balancer.next_deadline(), self.outliers.next_deadline(), dns].into_iter().flatten().min()
    }

    fn read(&mut self, now: Instant, letters: Letters<C::Connection>) {
        if let Some(cluster) = letters.update {
            self.update(now, cluster);
        }
        if letters.wake {
            self.balancer.exit_idle(now, &mut self.rng);
        }
        for event in letters.events {
            match event {
                Event::Wake(id) => self.wake(id),
                Event::FailuresInARow(id) => {
                    self.outliers.on_failures_in_a_row(now, id, &mut *self.balancer, &mut self.rng);
                }
                Event::Subchannel(ticket, status) => self.on_status(now, ticket, status),
                Event::Resolved(number, answer) => {
                    let rng = &mut self.rng;
                    match self.dns.as_mut().and_then(|dns| dns.on_answer(now, number, answer, rng)) {
                        Some(Ok(set)) => self.set_endpoints(now, &set, None),
                        Some(Err(note)) => self.set_endpoints(now, &EndpointSet::default(), Some(note)),
                        None => {}
                    }
                }
            }
        }
    }

    pub(super) fn update(&mut self, now: Instant, cluster: Cluster) {
        let before = std::mem::replace(&mut self.cluster, cluster);
        if !Accounting::is_same(&before.settings, &self.cluster.settings) {
            self.renew_accounting(now);
        }
        let settings = &self.cluster.settings;
        let reconnect = *self.connection != settings.connection;
        let replaced = settings.lb_policy != before.settings.lb_policy
            || settings.locality_policy != before.settings.locality_policy
            || reconnect;
        if reconnect {
            self.connection = Arc::new(settings.connection.clone());
            self.endpoints.forget_subchannels();
        }
        if replaced {
            self.replace_balancer();
        }
        self.configure_outliers(now);
        if replaced || !before.discovery.is_same(&self.cluster.discovery) {
            self.discover(now);
        }
    }

    /// Calls that are on their way end where they began.
    fn renew_accounting(&mut self, now: Instant) {
        let (accounting, reporting) = Accounting::new(now, &self.cluster.settings, &self.pool.counts);
        self.accounting = Arc::new(accounting);
        self.reporting = reporting;
        self.endpoints.set_accounting(&self.accounting);
        self.next.set_accounting(self.accounting.clone());
        self.next.set_slots(self.endpoints.slots());
    }

    fn configure_outliers(&mut self, now: Instant) {
        self.outliers.configure(now, &self.cluster.settings, &mut *self.balancer, &mut self.rng);
    }

    /// The new balancer knows of no connection. Those that it wants are there as soon as it asks, because the old
    /// one's are let go of only after the next publication.
    fn replace_balancer(&mut self) {
        self.balancer = (self.make_balancer)(&self.cluster.settings);
        for (id, entry) in self.endpoints.iter_mut() {
            self.retired.extend(entry.subscription.take().map(|subscription| (id, subscription)));
            self.outliers.on_connectivity(id, Connectivity::Idle);
        }
    }

    /// Looks where the endpoints come from and tells the balancer.
    fn discover(&mut self, now: Instant) {
        let nowhere = EndpointSet::default();
        let discovery = self.cluster.discovery.clone();
        if let Discovery::LogicalDns { host, port } = discovery {
            return self.discover_by_name(now, &host, port);
        }
        self.dns = None;
        match discovery {
            Discovery::Endpoints(Ok(set)) => self.set_endpoints(now, &set, None),
            Discovery::Endpoints(Err(error)) => {
                self.set_endpoints(now, &nowhere, Some(error.to_string().into()));
            }
            Discovery::Aggregate(_) | Discovery::LogicalDns { .. } => {
                let note = "an aggregate cluster has no endpoints of its own";
                self.set_endpoints(now, &nowhere, Some(note.into()));
            }
        }
    }

    fn discover_by_name(&mut self, now: Instant, host: &Arc<str>, port: u16) {
        match &self.dns {
            Some(dns) if dns.is(host, port) => {
                if let Some(set) = dns.endpoints() {
                    self.set_endpoints(now, &set, None);
                }
            }
            _ => {
                self.dns = Some(LogicalDns::new(host.clone(), port, self.pool.settings.dns_interval));
                self.replace_balancer();
                self.endpoints.update(&EndpointSet::default());
                self.outliers.on_turnover(self.endpoints.take_turnover());
                self.next = Publication::nothing(self.accounting.clone());
                self.next.set_slots(self.endpoints.slots());
            }
        }
    }

    fn set_endpoints(&mut self, now: Instant, set: &EndpointSet, note: Option<Arc<str>>) {
        let priorities = self.endpoints.update(set);
        self.retired.extend(self.endpoints.take_returned());
        self.outliers.on_turnover(self.endpoints.take_turnover());
        self.balancer.update(now, LbUpdate { priorities, note }, &mut self.rng);
        self.next.set_drops(&set.drops);
        self.next.set_slots(self.endpoints.slots());
    }

    fn on_status(&mut self, now: Instant, ticket: Ticket, status: Status<C::Connection>) {
        let Some(entry) = self.endpoints.get_mut(ticket.id) else { return };
        if entry.subscription.as_ref().is_none_or(|subscription| subscription.ticket() != ticket) {
            return;
        }
        let (state, connections) = match status {
            Status::Idle => (Connectivity::Idle, None),
            Status::Connecting => (Connectivity::Connecting, None),
            Status::Failed(reason) => (Connectivity::TransientFailure(reason), None),
            Status::Ready(connections) => (Connectivity::Ready, Some(connections)),
        };
        entry.slot.state.set_connections(connections);
        if matches!(state, Connectivity::Idle) {
            entry.subscription = None;
        }
        if let (Some(dns), Connectivity::Idle | Connectivity::TransientFailure(_)) = (&mut self.dns, &state) {
            dns.request();
        }
        let state = self.outliers.on_connectivity(ticket.id, state);
        self.balancer.on_connectivity(now, ticket.id, state, &mut self.rng);
    }

    fn wake(&mut self, id: EndpointId) {
        if let Some(entry) = self.endpoints.get_mut(id) {
            entry.slot.state.wake_handled();
            self.connect(id);
        }
    }

    /// Does what the balancer wants. Whether there was anything to do.
    fn obey(&mut self) -> bool {
        let mut commanded = false;
        while let Some(command) = self.balancer.poll_command() {
            commanded = true;
            match command {
                Command::Connect(id) => self.connect(id),
                Command::Disconnect(id) => {
                    let subscription = self.endpoints.get_mut(id).and_then(|entry| entry.subscription.take());
                    self.retired.extend(subscription.map(|subscription| (id, subscription)));
                    self.outliers.on_connectivity(id, Connectivity::Idle);
                }
            }
        }
        commanded
    }

    fn connect(&mut self, id: EndpointId) {
        let number = self.next_number();
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        if entry.subscription.is_some() {
            return;
        }
        let slot = &entry.slot;
        let subchannel = entry
            .subchannel
            .get_or_insert_with(|| self.pool.subchannel(&slot.addresses, &slot.hostname, &self.connection));
        entry.subscription = Some(subchannel.subscribe(&self.shared.mailbox, Ticket { id, number }));
    }

    fn publish(&mut self) {
        let pending = self.dns.as_ref().is_some_and(LogicalDns::is_pending);
        // A balancer without endpoints fails calls; while a name is looked up they wait.
        if let Some(picker) = self.balancer.poll_picker().filter(|_| !pending) {
            self.next.set_picker(picker);
        }
        // Once it is published nobody picks what has been taken out: it can be let go of.
        if self.next.publish(&self.shared) == Extent::Endpoints {
            self.endpoints.sweep();
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

/// How often a step takes in what has arrived meanwhile before it publishes.
const ROUNDS: usize = 4;
