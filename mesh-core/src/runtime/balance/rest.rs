//! Endpoints at rest: their connections were closed after the idle timeout (CDS-17).
//!
//! For the balancer such an endpoint stays ready, and its picker continues to pick it: otherwise a balancer that connects
//! every endpoint would connect it again at once. The first call that picks it finds no connection, and picks again or
//! waits; only then the task reports the endpoint to the balancer as idle. Until then priorities and shares do not change.

use std::time::Instant;

use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connect;

use super::task::Task;

impl<C: Connect> Task<C> {
    /// An endpoint's connection was closed after the idle timeout.
    pub(super) fn rest(&mut self, id: EndpointId) {
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        (entry.subscription, entry.is_resting) = (None, true);
        if let Some(leaf) = self.leaves.find(Some(entry.leaf)) {
            leaf.streams.on_disconnected(id);
            leaf.checks.on_disconnected(id);
        }
        entry.slot.state.set_connections(None);
        entry.slot.state.session.set_connectivity(&Connectivity::Idle);
        self.may_rest = true;
        // A call may wait because the connection closed after the call had picked it.
        self.next.repeat();
    }

    /// A call has picked an endpoint without a connection.
    pub(super) fn on_missing(&mut self, now: Instant, id: EndpointId) {
        if let Some(entry) = self.endpoints.get_mut(id) {
            entry.slot.state.wake_handled();
            self.wake_resting(now, id);
        }
    }

    /// Connects the cluster without a call.
    pub(super) fn wake_all(&mut self, now: Instant) {
        if self.may_rest {
            self.endpoints.resting().into_iter().for_each(|id| self.wake_resting(now, id));
        }
    }

    /// Reports an endpoint at rest to the balancer as idle; the balancer decides whether to connect it.
    fn wake_resting(&mut self, now: Instant, id: EndpointId) {
        if self.forget_rest(id) {
            self.report(now, id, Connectivity::Idle);
        }
    }

    /// Whether the endpoint was at rest.
    pub(super) fn forget_rest(&mut self, id: EndpointId) -> bool {
        self.endpoints.get_mut(id).is_some_and(|entry| std::mem::take(&mut entry.is_resting))
    }

    /// Publishes the cluster as idle if all its ready endpoints are at rest.
    pub(super) fn publish_rest(&mut self) {
        if self.may_rest {
            self.may_rest = !self.endpoints.resting().is_empty();
            self.next.set_at_rest(self.may_rest && !self.endpoints.are_wanted());
        }
    }
}
