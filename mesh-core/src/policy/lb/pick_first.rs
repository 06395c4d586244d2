//! The first endpoint that connects takes every call (gRFC A61, A62).
//!
//! ```text
//!  IDLE --exit_idle--> CONNECTING: one endpoint after the other, 250 ms apart or when the last one fails
//!   ^                     |    \
//!   | connection lost     |     \ all failed once
//!   |                     v      v
//!   +------------------ READY <- TRANSIENT_FAILURE: each is tried again when its backoff ends
//! ```
//!
//! The addresses of one endpoint are raced by its subchannel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::shared::Changes;

use super::connectivity::Phase;
use super::members::Members;
use super::picker::{Failing, Waiting, no_endpoint};
use super::update::difference;
use super::weights::{flattened, shuffle};
use super::{
    Balancer, Command, Connectivity, EndpointId, LbEndpoint, LbLocality, LbUpdate, Pick, PickContext, Picker,
};

/// LB-69: how long an attempt has before the next endpoint is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The first endpoint that connects takes every call.
#[derive(Debug)]
pub(super) struct PickFirst {
    is_shuffled: bool,
    /// The localities of the last update.
    localities: Vec<LbLocality>,
    /// The endpoints of the last update, or of an earlier one while [`is_behind`](Self::is_behind).
    members: Members,
    /// While one endpoint takes every call, or no call has come, the other endpoints are not needed: their updates are
    /// applied when they are.
    is_behind: bool,
    stage: PickFirstState,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

#[derive(Debug)]
enum PickFirstState {
    Idle,
    /// Every endpoint is tried once, in the order of the list.
    Pass(Pass),
    /// Every endpoint has failed.
    Failed,
    Selected(EndpointId),
}

#[derive(Debug, Default)]
struct Pass {
    /// The next endpoint to try, by its place in the list.
    next: usize,
    latest: Option<EndpointId>,
    /// When the next endpoint is tried, even if the last attempt still runs.
    ends: Option<Instant>,
    /// LB-71: an earlier pass failed, which is reported until an endpoint is ready.
    has_failed_before: bool,
}

impl PickFirst {
    pub(super) fn new(is_shuffled: bool) -> Self {
        Self {
            is_shuffled,
            localities: Vec::new(),
            members: Members::default(),
            is_behind: false,
            stage: PickFirstState::Pass(Pass::default()),
            note: None,
            commands: VecDeque::new(),
            is_changed: true,
        }
    }

    /// Applies the last update to [`members`](Self::members).
    fn catch_up(&mut self, rng: &mut dyn Rng) {
        if !std::mem::take(&mut self.is_behind) {
            return;
        }
        let mut endpoints = flattened(&self.localities);
        if self.is_shuffled {
            shuffle(&mut endpoints, rng);
        }
        self.members.replace(endpoints);
    }

    /// Whether an update to these localities changes neither the selected endpoint nor, while idle, that there are any.
    fn is_settled_with(&self, localities: &[LbLocality]) -> bool {
        match self.stage {
            // LB-72: the selected endpoint keeps its connection
            PickFirstState::Selected(id) => is_kept(id, &difference(&self.localities, localities)),
            PickFirstState::Idle => localities.iter().any(|locality| !locality.endpoints.is_empty()),
            PickFirstState::Pass(_) | PickFirstState::Failed => false,
        }
    }

    fn has_failed(&self) -> bool {
        matches!(
            self.stage,
            PickFirstState::Failed | PickFirstState::Pass(Pass { has_failed_before: true, .. })
        )
    }

    fn begin_pass(&mut self, now: Instant) {
        let mut ready = self.members.list().iter().filter(|member| member.phase == Phase::Ready);
        if let Some(id) = ready.next().map(|member| member.endpoint.id) {
            return self.select(id);
        }
        // LB-72: an endpoint that failed in an earlier pass is tried again if its backoff is over, else it counts as tried
        self.members.forget_failures();
        self.stage = PickFirstState::Pass(Pass { has_failed_before: self.has_failed(), ..Pass::default() });
        self.is_changed = true;
        self.advance(now);
    }

    /// Tries the next endpoint that has not failed yet.
    fn advance(&mut self, now: Instant) {
        let PickFirstState::Pass(pass) = &mut self.stage else { return };
        let untried = self.members.list().iter().enumerate().skip(pass.next);
        let next = untried.into_iter().find(|(_, member)| member.counted != Phase::Failed);
        (pass.latest, pass.ends) = (None, None);
        pass.next = self.members.list().len();
        if let Some((at, member)) = next {
            pass.next = at + 1;
            pass.latest = Some(member.endpoint.id);
            pass.ends = (pass.next < self.members.list().len()).then(|| now + ATTEMPT_DELAY);
            if member.phase == Phase::Idle {
                self.commands.push_back(Command::Connect(member.endpoint.id));
                self.members.count_as(at, Phase::Connecting);
            }
        }
        self.finish_pass();
    }

    /// LB-71: ends the pass when every endpoint has failed in it.
    fn finish_pass(&mut self) {
        if self.members.counts().of(Phase::Failed) < self.members.list().len() {
            return;
        }
        self.stage = PickFirstState::Failed;
        self.is_changed = true;
        let idle = self.members.list().iter().filter(|member| member.phase == Phase::Idle);
        self.commands.extend(idle.map(|member| Command::Connect(member.endpoint.id)));
    }

    /// LB-69: the first endpoint that is ready takes every call; the others are disconnected.
    fn select(&mut self, id: EndpointId) {
        self.stage = PickFirstState::Selected(id);
        self.is_changed = true;
        for at in 0..self.members.list().len() {
            let other = &self.members.list()[at];
            if other.endpoint.id != id && other.counted != Phase::Idle {
                self.commands.push_back(Command::Disconnect(other.endpoint.id));
                self.members.disconnect(at);
            }
        }
    }

    fn connect_again(&mut self, id: EndpointId, at: usize) {
        if self.members.list()[at].counted == Phase::Idle {
            self.commands.push_back(Command::Connect(id));
            self.members.count_as(at, Phase::Connecting);
        }
    }

    fn on_change(&mut self, now: Instant, id: EndpointId, phase: Phase, at: usize) {
        match (&self.stage, phase) {
            (PickFirstState::Selected(selected), Phase::Ready) => self.select(*selected),
            (PickFirstState::Selected(selected), _) if *selected == id => {
                self.stage = PickFirstState::Idle; // LB-73
                self.is_changed = true;
            }
            (_, Phase::Ready) => self.select(id),
            (PickFirstState::Pass(pass), Phase::Failed) if pass.latest == Some(id) => self.advance(now),
            (PickFirstState::Pass(_), Phase::Failed) => self.finish_pass(),
            // An attempt that ended without a result is made again.
            (PickFirstState::Pass(pass), Phase::Idle) if at < pass.next => self.connect_again(id, at),
            // LB-71: each endpoint is tried again when its backoff ends.
            (PickFirstState::Failed, Phase::Idle) => self.commands.push_back(Command::Connect(id)),
            _ => {}
        }
        self.is_changed |= phase == Phase::Failed && self.has_failed();
    }
}

impl Balancer for PickFirst {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let note = update.note.clone();
        let localities = update.into_localities();
        let is_settled = self.is_settled_with(&localities);
        (self.localities, self.note, self.is_behind) = (localities, note, true);
        if is_settled {
            return;
        }
        self.catch_up(rng);
        self.is_changed = true;
        match self.members.list().is_empty() {
            true => self.stage = PickFirstState::Failed,
            false => self.begin_pass(now),
        }
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        self.catch_up(rng);
        if let Some(change) = self.members.report(id, &state) {
            self.on_change(now, id, state.phase(), change.at);
        }
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        if matches!(self.stage, PickFirstState::Idle) {
            self.catch_up(rng);
            self.begin_pass(now);
        }
    }

    fn connectivity(&self) -> Connectivity {
        match self.stage {
            PickFirstState::Selected(_) => Connectivity::Ready,
            PickFirstState::Idle => Connectivity::Idle,
            PickFirstState::Pass(_) if !self.has_failed() => Connectivity::Connecting,
            PickFirstState::Pass(_) | PickFirstState::Failed => {
                Connectivity::TransientFailure(no_endpoint(self.members.last_error(), self.note.as_deref()))
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.stage {
            PickFirstState::Pass(pass) => pass.ends,
            PickFirstState::Idle | PickFirstState::Failed | PickFirstState::Selected(_) => None,
        }
    }

    fn on_deadline(&mut self, now: Instant, _rng: &mut dyn Rng) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.advance(now);
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let state = self.connectivity();
        let picker: Arc<dyn Picker> = match (&self.stage, &state) {
            (PickFirstState::Selected(id), _) => Arc::new(Selected(*id)),
            (_, Connectivity::TransientFailure(reason)) => Arc::new(Failing(reason.clone())),
            _ => Arc::new(Waiting),
        };
        Some((state, picker))
    }
}

#[derive(Debug)]
struct Selected(EndpointId);

impl Picker for Selected {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        Pick::Endpoint(self.0)
    }
}

/// Whether an endpoint is in the list before and after these changes.
pub(super) fn is_kept(id: EndpointId, changes: &Changes<'_, LbEndpoint>) -> bool {
    let identity = |endpoint: &&&LbEndpoint| endpoint.addresses.identity();
    let of = |endpoints: &[&LbEndpoint]| {
        endpoints.iter().find(|endpoint| endpoint.id == id).as_ref().map(identity)
    };
    let removed = of(&changes.removed);
    removed.is_none() || removed == of(&changes.added)
}
