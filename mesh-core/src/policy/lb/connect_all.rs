//! Connects every endpoint, and spreads calls over the ready ones.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use super::connectivity::Phase;
use super::members::{Change, Members};
use super::picker::{Failing, Waiting, no_endpoint};
use super::ready::{Ready, ReadyTable};
use super::shares::Shares;
use super::update::difference;
use super::{Balancer, Command, Connectivity, EndpointId, LbLocality, LbUpdate, Picker};

/// Keeps a connection to every endpoint and lets `S` spread the calls (LB-30, LB-32).
///
/// An endpoint whose connection ends is connected again at once. A failed one is connected again when its backoff is over,
/// and counts as failed until it is ready.
#[derive(Debug)]
pub(super) struct ConnectAll<S> {
    spread: S,
    /// The shares of ready endpoints; `None`: weights do not count.
    shares: Option<Shares>,
    localities: Vec<LbLocality>,
    members: Members,
    ready: Ready,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_begun: bool,
    is_changed: bool,
}

/// How calls are spread over ready endpoints.
pub(super) trait Spread: Debug + Send {
    /// Draws the random numbers that the first picker needs.
    fn begin(&mut self, _rng: &mut dyn Rng) {}

    /// An endpoint takes calls from now on.
    fn on_ready(&mut self, _now: Instant) {}

    /// When [`on_deadline`](Self::on_deadline) is called.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline may have passed.
    fn on_deadline(&mut self, _now: Instant, _ready: &ReadyTable) {}

    /// A picker over these endpoints, at least one.
    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker>;
}

impl<S: Spread> ConnectAll<S> {
    pub(super) fn new(spread: S) -> Self {
        Self {
            spread,
            shares: None,
            localities: Vec::new(),
            members: Members::default(),
            ready: Ready::default(),
            note: None,
            commands: VecDeque::new(),
            is_begun: false,
            is_changed: true,
        }
    }

    /// A balancer whose pickers read the endpoints' shares.
    pub(super) fn weighted(spread: S, shares: Shares) -> Self {
        Self { shares: Some(shares), ..Self::new(spread) }
    }

    /// An endpoint takes calls from now on.
    fn enter(&mut self, now: Instant, at: usize) {
        let endpoint = &self.members.list()[at].endpoint;
        self.ready.enter(endpoint.id, endpoint.load.clone());
        self.spread.on_ready(now);
        if let Some(shares) = &mut self.shares {
            shares.enter(now, endpoint);
        }
    }

    /// An endpoint takes no more calls.
    fn leave(&mut self, id: EndpointId) {
        self.ready.leave(id);
        if let Some(shares) = &mut self.shares {
            shares.leave(id);
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
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.spread.begin(rng);
        }
        let note = update.note.clone();
        let localities = update.into_localities();
        let turnover = self.members.follow(&difference(&self.localities, &localities));
        turnover.gone.into_iter().for_each(|id| self.leave(id));
        if let Some(shares) = &mut self.shares {
            let places = turnover.changed.iter().filter_map(|id| self.members.place(*id));
            places.for_each(|at| shares.reweigh(now, &self.members.list()[at].endpoint));
        }
        for id in turnover.new {
            if let Some(at) = self.members.place(id) {
                self.connect(at);
            }
        }
        (self.localities, self.note) = (localities, note);
        self.is_changed = true;
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, _rng: &mut dyn Rng) {
        let Some(Change { at, from, to }) = self.members.report(id, &state) else { return };
        if matches!(state, Connectivity::Idle) {
            self.connect(at);
        }
        match (from, to) {
            (Phase::Ready, _) => self.leave(id),
            (_, Phase::Ready) => self.enter(now, at),
            _ => {}
        }
        // A report changes the state, so the endpoint was ready before or is ready now, or neither.
        let is_ready_changed = from == Phase::Ready || to == Phase::Ready;
        // While all have failed, each failure is another text.
        self.is_changed |= is_ready_changed || self.members.counts().best() == Phase::Failed;
    }

    fn exit_idle(&mut self, _now: Instant, _rng: &mut dyn Rng) {
        // Never idle: every endpoint is connected or connecting.
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
        let shares = self.shares.as_ref().and_then(Shares::next_deadline);
        self.spread.next_deadline().into_iter().chain(shares).min()
    }

    fn on_deadline(&mut self, now: Instant, _rng: &mut dyn Rng) {
        self.spread.on_deadline(now, &self.ready.table());
        if let Some(shares) = &mut self.shares {
            shares.on_deadline(now);
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
        let picker: Arc<dyn Picker> = match &state {
            Connectivity::Ready => self.spread.picker(self.ready.table()),
            Connectivity::TransientFailure(reason) => Arc::new(Failing(reason.clone())),
            Connectivity::Idle | Connectivity::Connecting => Arc::new(Waiting),
        };
        Some((state, picker))
    }
}
