//! Connected to every endpoint, calls spread over those that are ready.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use super::connectivity::Phase;
use super::failure::no_endpoint;
use super::members::{Change, Members};
use super::picker::{Failing, Waiting};
use super::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Picker};

/// Keeps a connection to every endpoint and lets `S` spread the calls (LB-30, LB-32).
///
/// An endpoint whose connection ends is connected again at once; one that failed, as soon as its backoff is over, and
/// counts as failed until then.
#[derive(Debug)]
pub(super) struct ConnectAll<S> {
    spread: S,
    members: Members,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_begun: bool,
    is_changed: bool,
}

/// How calls are spread over ready endpoints.
pub(super) trait Spread: Debug + Send {
    /// Draws what the first picker needs.
    fn begin(&mut self, _rng: &mut dyn Rng) {}

    /// A picker over those of `members` that are ready; at least one is.
    fn picker(&self, members: &Members) -> Arc<dyn Picker>;
}

impl<S: Spread> ConnectAll<S> {
    pub(super) fn new(spread: S) -> Self {
        Self {
            spread,
            members: Members::default(),
            note: None,
            commands: VecDeque::new(),
            is_begun: false,
            is_changed: true,
        }
    }

    /// LB-30: an idle endpoint is connected at once, and counts as connecting.
    fn connect(&mut self, at: usize) {
        let member = &self.members.list()[at];
        self.commands.push_back(Command::Connect(member.endpoint.id));
        if member.counted == Phase::Idle {
            self.members.count_as(at, Phase::Connecting);
        }
    }
}

impl<S: Spread> Balancer for ConnectAll<S> {
    fn update(&mut self, _now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.spread.begin(rng);
        }
        let localities = update.priorities.into_iter().flatten();
        self.members.replace(localities.flat_map(|locality| locality.endpoints));
        self.note = update.note;
        self.is_changed = true;
        for at in 0..self.members.list().len() {
            if self.members.list()[at].counted == Phase::Idle {
                self.connect(at);
            }
        }
    }

    fn on_connectivity(&mut self, _now: Instant, id: EndpointId, state: Connectivity, _rng: &mut dyn Rng) {
        let before = self.members.counts().best();
        let Some(Change { at, from, to }) = self.members.report(id, &state) else { return };
        if matches!(state, Connectivity::Idle) {
            self.connect(at);
        }
        let is_ready_changed = (from == Phase::Ready) != (to == Phase::Ready);
        let after = self.members.counts().best();
        self.is_changed |= is_ready_changed || before != after || after == Phase::Failed;
    }

    fn exit_idle(&mut self, _now: Instant, _rng: &mut dyn Rng) {
        // never idle: every endpoint is connected or being connected
    }

    fn connectivity(&self) -> Connectivity {
        match self.members.counts().best() {
            Phase::Ready => Connectivity::Ready,
            Phase::Idle | Phase::Connecting => Connectivity::Connecting,
            Phase::Failed => {
                Connectivity::TransientFailure(no_endpoint(self.members.last_error(), self.note.as_deref()))
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant, _rng: &mut dyn Rng) {}

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let state = self.connectivity();
        let picker: Arc<dyn Picker> = match &state {
            Connectivity::Ready => self.spread.picker(&self.members),
            Connectivity::TransientFailure(reason) => Arc::new(Failing(reason.clone())),
            Connectivity::Idle | Connectivity::Connecting => Arc::new(Waiting),
        };
        Some((state, picker))
    }
}
