//! Endpoints at rest: their connections were ended because no call came for some time (CDS-17).
//!
//! The balancer is not told of that and goes on picking them, so that an endpoint at rest is connected again neither at
//! once nor never: the first call that picks it finds no connection, goes elsewhere or waits, and only then the balancer
//! hears that the endpoint is idle. Priorities and shares stay meanwhile as they are.

use std::time::Instant;

use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connect;

use super::task::Task;

impl<C: Connect> Task<C> {
    /// An endpoint's connection was ended for want of calls.
    pub(super) fn rest(&mut self, id: EndpointId) {
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        (entry.subscription, entry.is_resting) = (None, true);
        entry.slot.state.set_connections(None);
        self.may_rest = true;
        // A call may have met the connection at its end, and waits.
        self.next.repeat();
    }

    /// A call has picked an endpoint without a connection.
    pub(super) fn on_missing(&mut self, now: Instant, id: EndpointId) {
        if let Some(entry) = self.endpoints.get_mut(id) {
            entry.slot.state.wake_handled();
            self.rouse(now, id);
        }
    }

    /// The cluster is to be connected without a call.
    pub(super) fn rouse_all(&mut self, now: Instant) {
        if self.may_rest {
            self.endpoints.resting().into_iter().for_each(|id| self.rouse(now, id));
        }
    }

    /// The balancer hears what has become of an endpoint at rest, and connects it if it wants to.
    fn rouse(&mut self, now: Instant, id: EndpointId) {
        if self.forget_rest(id) {
            self.report(now, id, Connectivity::Idle);
        }
    }

    /// Whether the endpoint was at rest.
    pub(super) fn forget_rest(&mut self, id: EndpointId) -> bool {
        self.endpoints.get_mut(id).is_some_and(|entry| std::mem::take(&mut entry.is_resting))
    }

    /// A cluster in which nothing is connected but would be ready is idle.
    pub(super) fn show_rest(&mut self) {
        if self.may_rest {
            self.may_rest = !self.endpoints.resting().is_empty();
            self.next.set_at_rest(self.may_rest && !self.endpoints.are_wanted());
        }
    }
}
