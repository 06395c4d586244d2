//! The balancer of one priority, with its timers (A56).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::{Balancer, Picker};

/// LB-08: how long a priority may connect before the next one is tried.
const FAILOVER_AFTER: Duration = Duration::from_secs(10);
/// LB-10: how long a priority that is not needed is kept.
const RETIRED_AFTER: Duration = Duration::from_secs(15 * 60);

/// The balancer of one priority.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) balancer: Box<dyn Balancer>,
    /// Its last picker.
    pub(super) picker: Option<Arc<dyn Picker>>,
    phase: Phase,
    /// While set, lower priorities are not tried.
    failover: Option<Instant>,
    /// Whether it was ready or idle after its last failure; true before its first result.
    was_well: bool,
    /// Set while a higher priority is used.
    retirement: Option<Instant>,
}

impl Child {
    /// LB-08: the failover timer starts at once.
    pub(super) fn new(now: Instant, balancer: Box<dyn Balancer>) -> Self {
        Self {
            balancer,
            picker: None,
            phase: Phase::Connecting,
            failover: Some(now + FAILOVER_AFTER),
            was_well: true,
            retirement: None,
        }
    }

    /// Replaces the balancer. The timers continue.
    pub(super) fn replace(&mut self, balancer: Box<dyn Balancer>) {
        self.balancer = balancer;
        self.picker = None;
    }

    /// Updates phase and timers from the balancer's state.
    pub(super) fn observe(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.phase, self.balancer.connectivity().phase());
        match self.phase {
            Phase::Ready | Phase::Idle => (self.was_well, self.failover) = (true, None),
            Phase::Failed => (self.was_well, self.failover) = (false, None),
            // LB-08: the timer starts again only for a priority that has been ready or idle
            Phase::Connecting if before != Phase::Connecting && self.was_well => {
                self.failover = Some(now + FAILOVER_AFTER);
            }
            Phase::Connecting => {}
        }
    }

    /// Ends the failover timer when its time is over.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        self.failover.take_if(|deadline| *deadline <= now);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.failover, self.retirement, self.balancer.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// LB-07: ready, or idle and so connected by the next call.
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Idle)
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting
    }

    pub(super) fn is_failover_pending(&self) -> bool {
        self.failover.is_some()
    }

    /// LB-10: a higher priority is used; the retirement timer starts.
    pub(super) fn deactivate(&mut self, now: Instant) {
        self.retirement.get_or_insert(now + RETIRED_AFTER);
    }

    pub(super) fn reactivate(&mut self) {
        self.retirement = None;
    }

    pub(super) fn is_deactivated(&self) -> bool {
        self.retirement.is_some()
    }

    pub(super) fn is_retired(&self, now: Instant) -> bool {
        self.retirement.is_some_and(|deadline| deadline <= now)
    }
}
