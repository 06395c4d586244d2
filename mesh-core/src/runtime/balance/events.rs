//! What a cluster's task does with each event.

use std::net::SocketAddr;
use std::time::Instant;

use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connect;

use super::Leaves;
use super::health::Surroundings;
use super::mailbox::{Event, PendingEvents, Status, SubscriptionId};
use super::streams::Health;
use super::task::Task;

impl<C: Connect> Task<C> {
    /// Handles all pending events.
    pub(super) fn read(&mut self, now: Instant, pending: PendingEvents<C::Connection>) {
        if let Some(Leaves { first, further, note }) = pending.update {
            self.update(now, std::iter::once(first).chain(further), note);
        }
        if pending.events.iter().any(Event::is_of_call) {
            self.end_idleness(now);
        }
        if pending.wake {
            self.end_idleness(now);
            self.wake_all(now);
            self.balancer.exit_idle(now, &mut self.rng);
        }
        for event in pending.events {
            match event {
                Event::Wake(id) => self.wake(id),
                Event::Missing(id) => self.on_missing(now, id),
                Event::Session(id) => self.connect_for_session(now, id),
                Event::FailuresInARow(id) => self.on_failures_in_a_row(now, id),
                Event::Health(id, number, health) => self.on_health(now, id, number, health),
                Event::Checked(id, number) => self.on_checked(now, id, number),
                Event::Subchannel(subscription_id, status) => self.on_status(now, subscription_id, status),
                Event::Resolved(number, answer) => self.on_resolved(now, number, answer),
                Event::End(reason) => self.update(now, [], Some(reason)),
            }
        }
    }

    fn on_resolved(&mut self, now: Instant, number: u64, answer: Result<Vec<SocketAddr>, String>) {
        let Some(leaf) = self.leaves.of_lookup(number) else { return };
        if leaf.on_answer(now, answer, &mut self.endpoints, &mut self.rng) {
            self.update_balancer(now);
        }
    }

    fn on_status(&mut self, now: Instant, subscription_id: SubscriptionId, status: Status<C::Connection>) {
        let Some(entry) = self.endpoints.get_mut(subscription_id.id) else { return };
        if entry.subscription.as_ref().is_none_or(|subscription| subscription.id() != subscription_id) {
            return;
        }
        if matches!(status, Status::Resting) {
            self.rest(subscription_id.id);
            return;
        }
        let (state, connections) = match status {
            Status::Idle | Status::Resting => (Connectivity::Idle, None),
            Status::Connecting => (Connectivity::Connecting, None),
            Status::Failed(reason) => (Connectivity::TransientFailure(reason), None),
            Status::Ready(connections) => (Connectivity::Ready, Some(connections)),
        };
        let Some(leaf) = self.leaves.find(Some(entry.leaf)) else { return };
        let is_connected = connections.is_some();
        entry.slot.state.set_connections(connections);
        let state = if is_connected {
            let (mailbox, runtime) = (&self.shared.mailbox, &self.pool.runtime);
            leaf.streams.on_connected(subscription_id.id, &entry.slot, mailbox, runtime)
        } else {
            leaf.streams.on_disconnected(subscription_id.id);
            state
        };
        if matches!(state, Connectivity::Idle) {
            entry.subscription = None;
        }
        if entry.is_for_session {
            self.next.repeat_for_all();
        }
        self.report(now, subscription_id.id, state);
    }

    /// Sends an endpoint's state to the balancer.
    pub(super) fn report(&mut self, now: Instant, id: EndpointId, state: Connectivity) {
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        let Some(leaf) = self.leaves.find(Some(entry.leaf)) else { return };
        if let (Some(dns), Connectivity::Idle | Connectivity::TransientFailure(_)) = (&mut leaf.dns, &state) {
            dns.request();
        }
        let tls = leaf.tls().cloned();
        let surroundings = Surroundings {
            pool: &self.pool,
            mailbox: &self.shared.mailbox,
            connection: &leaf.connection,
            tls: tls.as_ref(),
        };
        let state = leaf.checks.on_connectivity(id, state, &entry.slot, &surroundings);
        entry.slot.state.session.set_connectivity(&state);
        let state = leaf.outliers.on_connectivity(id, state);
        self.balancer.on_connectivity(now, id, state, &mut self.rng);
    }

    fn on_health(&mut self, now: Instant, id: EndpointId, number: u64, health: Health) {
        let leaf = self.leaves.find(self.endpoints.leaf(id));
        if let Some(state) = leaf.and_then(|leaf| leaf.streams.on_health(id, number, health)) {
            self.report(now, id, state);
        }
    }

    fn on_checked(&mut self, now: Instant, id: EndpointId, number: u64) {
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        let Some(leaf) = self.leaves.find(Some(entry.leaf)) else { return };
        let Some(state) = leaf.checks.on_checked(id, number) else { return };
        entry.slot.state.session.set_connectivity(&state);
        if entry.is_for_session {
            self.next.repeat_for_all();
        }
        let is_healthy = matches!(state, Connectivity::Ready);
        let state = leaf.outliers.on_connectivity(id, state);
        self.balancer.on_connectivity(now, id, state, &mut self.rng);
        if is_healthy {
            leaf.outliers.on_good_check(now, id, &mut *self.balancer, &mut self.rng);
        }
    }

    /// Begins the streams of connected endpoints anew, in leaves whose settings ask for others.
    pub(super) fn restart_streams(&mut self, now: Instant) {
        for leaf in self.leaves.with_new_streams() {
            for (id, slot) in self.endpoints.connected(leaf) {
                let Some(leaf) = self.leaves.find(Some(leaf)) else { continue };
                let (mailbox, runtime) = (&self.shared.mailbox, &self.pool.runtime);
                let state = leaf.streams.on_connected(id, &slot, mailbox, runtime);
                self.report(now, id, state);
            }
        }
    }

    fn on_failures_in_a_row(&mut self, now: Instant, id: EndpointId) {
        if let Some(leaf) = self.leaves.find(self.endpoints.leaf(id)) {
            leaf.outliers.on_failures_in_a_row(now, id, &mut *self.balancer, &mut self.rng);
        }
    }

    fn wake(&mut self, id: EndpointId) {
        if let Some(entry) = self.endpoints.get_mut(id) {
            entry.slot.state.wake_handled();
            self.connect(id);
        }
    }
}
