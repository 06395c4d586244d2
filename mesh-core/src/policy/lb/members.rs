//! The endpoints of a policy, and the phase that each of them counts as.

use std::sync::Arc;

use crate::shared::Changes;

use super::connectivity::{Phase, PhaseCounts};
use super::endpoint::IdMap;
use super::{Connectivity, EndpointId, LbEndpoint};

/// The endpoints of a policy, and the phase that each of them counts as.
///
/// An endpoint that failed counts as failed until it is ready, also while it is idle or connecting: a policy must not
/// report CONNECTING each time a dead endpoint is tried again (LB-30, LB-71).
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
    by_id: IdMap<usize>,
    counts: PhaseCounts,
    last_error: Option<Arc<str>>,
    /// PhaseCounts calls of [`follow`](Self::follow).
    round: u64,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: LbEndpoint,
    /// The phase that was reported last.
    pub(super) phase: Phase,
    pub(super) counted: Phase,
    /// The error of its last failure.
    pub(super) error: Option<Arc<str>>,
    /// The last [round](Members::round) that added it.
    added: u64,
}

/// The endpoints that an update added and removed.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    /// Endpoints that are new, in the order of the update.
    pub(super) new: Vec<EndpointId>,
    /// Endpoints that were removed, or whose id belongs to a new one.
    pub(super) gone: Vec<EndpointId>,
    /// Endpoints that stay, with another weight or hash key.
    pub(super) changed: Vec<EndpointId>,
}

/// The effect of a report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) at: usize,
    pub(super) from: Phase,
    pub(super) to: Phase,
}

impl Members {
    /// Replaces the list, in this order; endpoints that stay keep their state.
    pub(super) fn replace(&mut self, endpoints: impl IntoIterator<Item = LbEndpoint>) {
        let mut old: Vec<_> = std::mem::take(&mut self.list).into_iter().map(Some).collect();
        let old_by_id = std::mem::take(&mut self.by_id);
        (self.counts, self.last_error) = (PhaseCounts::default(), None);
        for endpoint in endpoints {
            let same = |member: &mut Member| member.is(&endpoint);
            let known = old_by_id.get(&endpoint.id).and_then(|at| old[*at].take_if(same));
            let member = match known {
                Some(known) => Member { endpoint, ..known },
                None => Member::new(endpoint),
            };
            if member.counted == Phase::Failed {
                self.last_error.clone_from(&member.error);
            }
            self.insert(member);
        }
    }

    /// Adds and removes endpoints, in no particular order; endpoints that stay keep their state. The cost grows with the
    /// number of changes only.
    pub(super) fn follow(&mut self, changes: &Changes<'_, LbEndpoint>) -> Turnover {
        self.round += 1;
        let mut turnover = Turnover::default();
        for endpoint in &changes.added {
            match self.by_id.get(&endpoint.id).copied() {
                Some(at) if self.list[at].is(endpoint) => {
                    self.list[at].endpoint = (*endpoint).clone();
                    self.list[at].added = self.round;
                    turnover.changed.push(endpoint.id);
                    continue;
                }
                Some(at) => turnover.gone.push(self.remove(at)),
                None => {}
            }
            self.insert(Member { added: self.round, ..Member::new((*endpoint).clone()) });
            turnover.new.push(endpoint.id);
        }
        for endpoint in &changes.removed {
            match self.by_id.get(&endpoint.id).copied() {
                Some(at) if self.list[at].added != self.round => turnover.gone.push(self.remove(at)),
                Some(_) | None => {}
            }
        }
        turnover
    }

    fn insert(&mut self, member: Member) {
        self.by_id.insert(member.endpoint.id, self.list.len());
        self.counts.add(member.counted);
        self.list.push(member);
    }

    /// Removes an endpoint; the last one takes its place in the list.
    fn remove(&mut self, at: usize) -> EndpointId {
        let member = self.list.swap_remove(at);
        let id = member.endpoint.id;
        self.by_id.remove(&id);
        if let Some(moved) = self.list.get(at) {
            self.by_id.insert(moved.endpoint.id, at);
        }
        self.counts.remove(member.counted);
        if member.error.is_some() && self.last_error == member.error {
            let mut failed = self.list.iter().filter(|member| member.counted == Phase::Failed);
            self.last_error = failed.next().and_then(|member| member.error.clone());
        }
        id
    }

    /// Records the reported state of an endpoint. `None`: it is the same as before, or the endpoint is not in the list.
    pub(super) fn report(&mut self, id: EndpointId, state: &Connectivity) -> Option<Change> {
        let at = *self.by_id.get(&id)?;
        let member = &mut self.list[at];
        let phase = state.phase();
        if let Connectivity::TransientFailure(error) = state {
            if member.phase == phase && member.error.as_ref() == Some(error) {
                return None;
            }
            member.error = Some(error.clone());
            self.last_error = Some(error.clone());
        } else if member.phase == phase {
            return None;
        }
        member.phase = phase;
        let from = member.counted;
        let to = if from == Phase::Failed && phase != Phase::Ready { Phase::Failed } else { phase };
        self.count_as(at, to);
        Some(Change { at, from, to })
    }

    /// PhaseCounts an endpoint as another phase than the one it reported.
    pub(super) fn count_as(&mut self, at: usize, phase: Phase) {
        let from = std::mem::replace(&mut self.list[at].counted, phase);
        if from == phase {
            return;
        }
        self.counts.change(from, phase);
    }

    /// PhaseCounts endpoints that failed earlier as the phase that they have reported since.
    pub(super) fn forget_failures(&mut self) {
        for at in 0..self.list.len() {
            self.count_as(at, self.list[at].phase);
        }
    }

    /// Records that an endpoint is disconnected.
    pub(super) fn disconnect(&mut self, at: usize) {
        self.list[at].phase = Phase::Idle;
        self.count_as(at, Phase::Idle);
    }

    /// The endpoint's place in the list.
    pub(super) fn place(&self, id: EndpointId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn list(&self) -> &[Member] {
        &self.list
    }

    pub(super) fn counts(&self) -> PhaseCounts {
        self.counts
    }

    /// The latest error of any endpoint.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

impl Member {
    fn new(endpoint: LbEndpoint) -> Self {
        Self { endpoint, phase: Phase::Idle, counted: Phase::Idle, error: None, added: 0 }
    }

    /// Whether this member is the same endpoint, even if its weight or hash key has changed.
    fn is(&self, endpoint: &LbEndpoint) -> bool {
        let (own, other) = (&self.endpoint.addresses, &endpoint.addresses);
        own == other || own.identity() == other.identity()
    }
}
