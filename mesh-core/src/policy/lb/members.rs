//! The endpoints of a policy, and what each of them counts as.

use std::sync::Arc;

use super::connectivity::{Counts, Phase};
use super::id_map::IdMap;
use super::{Connectivity, EndpointId, LbEndpoint};

/// The endpoints of a policy, and what each of them counts as.
///
/// An endpoint that failed counts as failed until it is ready, whatever it goes through meanwhile: a policy must not
/// report that it is connecting each time a dead endpoint is tried again (LB-30, LB-71).
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
    by_id: IdMap<usize>,
    counts: Counts,
    /// Those that count as ready, without gaps, so that a picker is made by one copy.
    ready: Vec<EndpointId>,
    last_error: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: LbEndpoint,
    /// As reported.
    pub(super) phase: Phase,
    pub(super) counted: Phase,
    /// Of the last failure.
    pub(super) error: Option<Arc<str>>,
    /// Its place in [`Members::ready`], if it counts as ready.
    ready_at: usize,
}

/// What a report has changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) at: usize,
    pub(super) from: Phase,
    pub(super) to: Phase,
}

impl Members {
    /// Takes the place of what was there before; endpoints that stay keep their state.
    pub(super) fn replace(&mut self, endpoints: impl IntoIterator<Item = LbEndpoint>) {
        let mut old: Vec<_> = std::mem::take(&mut self.list).into_iter().map(Some).collect();
        let old_by_id = std::mem::take(&mut self.by_id);
        (self.counts, self.ready, self.last_error) = (Counts::default(), Vec::new(), None);
        for endpoint in endpoints {
            let identity = endpoint.addresses.identity();
            let same = |member: &mut Member| member.endpoint.addresses.identity() == identity;
            let known = old_by_id.get(&endpoint.id).and_then(|at| old[*at].take_if(same));
            let at = self.list.len();
            self.by_id.insert(endpoint.id, at);
            self.list.push(match known {
                Some(known) => Member { endpoint, ..known },
                None => Member::new(endpoint),
            });
            self.counts.add(self.list[at].counted);
            match self.list[at].counted {
                Phase::Ready => self.enter_ready(at),
                Phase::Failed => self.last_error.clone_from(&self.list[at].error),
                Phase::Idle | Phase::Connecting => {}
            }
        }
    }

    /// Takes note of a report. `None`: nothing new, or an endpoint that is not here.
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

    /// Lets an endpoint count as something else than it reported.
    pub(super) fn count_as(&mut self, at: usize, phase: Phase) {
        let from = std::mem::replace(&mut self.list[at].counted, phase);
        if from == phase {
            return;
        }
        self.counts.change(from, phase);
        match (from, phase) {
            (Phase::Ready, _) => self.leave_ready(at),
            (_, Phase::Ready) => self.enter_ready(at),
            _ => {}
        }
    }

    /// Lets endpoints that failed earlier count as what they have reported since.
    pub(super) fn forget_failures(&mut self) {
        for at in 0..self.list.len() {
            self.count_as(at, self.list[at].phase);
        }
    }

    /// Takes note that an endpoint is let go.
    pub(super) fn disconnect(&mut self, at: usize) {
        self.list[at].phase = Phase::Idle;
        self.count_as(at, Phase::Idle);
    }

    pub(super) fn is_ready(&self, id: EndpointId) -> bool {
        self.by_id.get(&id).is_some_and(|at| self.list[*at].phase == Phase::Ready)
    }

    pub(super) fn list(&self) -> &[Member] {
        &self.list
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn ready(&self) -> &[EndpointId] {
        &self.ready
    }

    /// The latest error of any endpoint.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    fn enter_ready(&mut self, at: usize) {
        self.list[at].ready_at = self.ready.len();
        self.ready.push(self.list[at].endpoint.id);
    }

    fn leave_ready(&mut self, at: usize) {
        let hole = self.list[at].ready_at;
        self.ready.swap_remove(hole);
        if let Some(moved) = self.ready.get(hole).and_then(|id| self.by_id.get(id)) {
            self.list[*moved].ready_at = hole;
        }
    }
}

impl Member {
    fn new(endpoint: LbEndpoint) -> Self {
        Self { endpoint, phase: Phase::Idle, counted: Phase::Idle, error: None, ready_at: 0 }
    }
}
