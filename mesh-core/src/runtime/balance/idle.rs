//! Clusters without calls: their connections are closed (gRFC A62, channel idleness).
// LB-75

use std::time::{Duration, Instant};

use crate::config::RoutingPriority;
use crate::policy::lb::Connectivity;
use crate::runtime::connect::Connect;

use super::task::Task;

/// Finds out whether a cluster has had no call for some time. It looks now and then, so that a call costs it one flag.
#[derive(Debug)]
pub(super) struct Idleness {
    timeout: Duration,
    /// When there last was a call, as far as is known.
    last_use: Instant,
    /// `None`: there is nothing to close.
    next_look: Option<Instant>,
    /// The connections were closed, and there was no call since.
    is_idle: bool,
}

impl Idleness {
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        Self { timeout, last_use: now, next_look: None, is_idle: false }
    }

    /// A connection is wanted.
    pub(super) fn start(&mut self, now: Instant) {
        if self.next_look.is_none() {
            (self.last_use, self.next_look) = (now, Some(now + self.pause()));
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Whether the connections are to be closed now. `is_used`: there was a call since the last look, or one runs.
    fn look(&mut self, now: Instant, is_used: bool) -> bool {
        if is_used {
            self.last_use = now;
        }
        let is_over = now.saturating_duration_since(self.last_use) >= self.timeout;
        self.next_look = Some(now + self.pause());
        is_over
    }

    fn pause(&self) -> Duration {
        self.timeout / LOOKS
    }
}

impl<C: Connect> Task<C> {
    /// Closes the connections if there was no call for the time that the mesh allows, and the cluster is ready: one that fails goes on
    /// trying, because its calls fail without a connection.
    pub(super) fn look_for_calls(&mut self, now: Instant) {
        let Some(idleness) = &mut self.idleness else { return };
        if idleness.next_look.is_none_or(|look| look > now) {
            return;
        }
        let is_used = self.shared.take_used() | self.leaves.have_calls();
        if !idleness.look(now, is_used) || !matches!(self.balancer.connectivity(), Connectivity::Ready) {
            return;
        }
        (idleness.next_look, idleness.is_idle) = (None, true);
        tracing::debug!("no call for some time: connections are closed");
        for id in self.endpoints.wanted() {
            self.rest(id);
        }
    }

    /// There is a call again: every endpoint whose connection was closed is connected as the balancer wants.
    pub(super) fn end_idleness(&mut self, now: Instant) {
        if self.idleness.as_mut().is_some_and(|idleness| std::mem::take(&mut idleness.is_idle)) {
            self.wake_all(now);
        }
    }
}

/// Whether calls of any priority run.
pub(super) fn has_calls(load: &crate::runtime::circuit_breaker::ClusterLoad) -> bool {
    let priorities = [RoutingPriority::Default, RoutingPriority::High];
    priorities.into_iter().any(|priority| load.of(priority).in_flight.count() > 0)
}

/// How often it looks within the timeout.
const LOOKS: u32 = 6;
