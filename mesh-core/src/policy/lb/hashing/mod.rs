//! Consistent hashing: a request's hash chooses its endpoint, and endpoints are connected on demand (gRFC A42, A61, A76).

mod maglev;
mod picker;
mod ring;
mod seats;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config;
use crate::shared::SharedTable;

use super::connectivity::Phase;
use super::members::Members;
use super::picker::no_endpoint;
use super::update::difference;
use super::{Balancer, Command, Connectivity, EndpointId, LbLocality, LbUpdate, Picker};
use maglev::Maglev;
use picker::{HashPicker, Key, Phases};
use ring::Ring;
use seats::Seats;

/// A ring.
pub(super) fn ring_hash(settings: &config::RingHash) -> Box<dyn Balancer> {
    let key = match &settings.request_hash_header {
        None => Key::Route,
        Some(name) => Key::Header(name.clone()),
    };
    Box::new(HashBalancer::new(Ring::new(settings), key))
}

/// A Maglev table.
pub(super) fn maglev(settings: config::Maglev) -> Box<dyn Balancer> {
    Box::new(HashBalancer::new(Maglev::new(settings.table_size), Key::Route))
}

/// Consistent hashing over all endpoints of a priority. `C` is the table that says which endpoint a hash belongs to.
#[derive(Debug)]
struct HashBalancer<C> {
    circle: C,
    key: Key,
    localities: Vec<LbLocality>,
    members: Members,
    seats: Seats,
    /// The last error of each endpoint, by its seat.
    errors: SharedTable<Option<Arc<str>>>,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

/// A table of hashes.
trait Circle: Debug + Send {
    /// A version of the table for pickers.
    type View: View;

    /// Endpoints have come, gone or changed: `dropped` have left their seats, `taken` have new ones. Sets the number of entries
    /// of each seat.
    fn update(&mut self, seats: &mut Seats, dropped: &[Dropped], taken: &[Seat]);

    /// The table now.
    fn view(&self) -> Self::View;
}

/// An immutable table of hashes.
trait View: Debug + Send + Sync + 'static {
    /// The entries from the hash's place on, once around.
    fn walk(&self, hash: u64) -> impl Iterator<Item = Entry>;
}

/// A place in the list of endpoints, which an endpoint keeps as long as it stays.
type Seat = u32;

/// An entry of a table: it counts if its number is below the seat's number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u64,
    number: u32,
    seat: Seat,
}

/// An endpoint that has left its seat.
#[derive(Debug)]
struct Dropped {
    seat: Seat,
    key: Box<str>,
}

impl<C: Circle> HashBalancer<C> {
    fn new(circle: C, key: Key) -> Self {
        Self {
            circle,
            key,
            localities: Vec::new(),
            members: Members::default(),
            seats: Seats::default(),
            errors: SharedTable::default(),
            note: None,
            commands: VecDeque::new(),
            is_changed: true,
        }
    }

    // LB-38
    fn phase(&self) -> Phase {
        let counts = self.members.counts();
        let is_alone = self.members.list().len() == 1;
        match counts.of(Phase::Failed) {
            _ if counts.of(Phase::Ready) > 0 => Phase::Ready,
            2.. => Phase::Failed,
            _ if counts.of(Phase::Connecting) > 0 => Phase::Connecting,
            1 if !is_alone => Phase::Connecting,
            _ if counts.of(Phase::Idle) > 0 => Phase::Idle,
            _ => Phase::Failed,
        }
    }

    /// LB-40: while the policy is CONNECTING or has failed, one endpoint is always being connected, even without a call:
    /// calls avoid failed endpoints, and would not notice that one is back.
    fn keep_trying(&mut self) {
        if matches!(self.phase(), Phase::Failed | Phase::Connecting) {
            self.connect_one();
        }
    }

    /// Connects an idle endpoint, unless one is connecting.
    fn connect_one(&mut self) {
        if self.members.counts().of(Phase::Connecting) > 0 || self.members.counts().of(Phase::Idle) == 0 {
            return;
        }
        if let Some(at) = self.members.list().iter().position(|member| member.counted == Phase::Idle) {
            let id = self.members.list()[at].endpoint.id;
            self.commands.push_back(Command::Connect(id));
            self.members.count_as(at, Phase::Connecting);
            self.seats.set_phase(id, Phase::Connecting);
            self.is_changed = true;
        }
    }

    /// Changes endpoints and table by the difference between two lists of localities.
    fn follow(&mut self, localities: &[LbLocality]) {
        let turnover = self.members.follow(&difference(&self.localities, localities));
        let mut dropped: Vec<_> = turnover.gone.iter().filter_map(|id| self.seats.leave(*id)).collect();
        self.seats.follow_localities(&self.localities, localities);
        let mut taken = Vec::new();
        for id in turnover.new.iter().chain(&turnover.changed) {
            let Some(member) = self.members.place(*id).map(|at| &self.members.list()[at]) else { continue };
            if self.seats.has_other_key(&member.endpoint) {
                dropped.extend(self.seats.leave(*id));
            }
            taken.extend(self.seats.take(&member.endpoint, member.counted));
        }
        for seat in dropped.iter().map(|dropped| dropped.seat).chain(taken.iter().copied()) {
            self.errors.set(seat as usize, None);
        }
        self.circle.update(&mut self.seats, &dropped, &taken);
    }

    fn record_error(&mut self, id: EndpointId, at: usize) {
        let Some(seat) = self.seats.of(id) else { return };
        while self.errors.len() <= seat as usize {
            self.errors.push(None);
        }
        self.errors.set(seat as usize, self.members.list()[at].error.clone());
    }
}

impl<C: Circle> Balancer for HashBalancer<C> {
    fn update(&mut self, _now: Instant, update: LbUpdate, _rng: &mut dyn Rng) {
        self.note = update.note.clone();
        let localities = update.into_localities();
        self.follow(&localities);
        self.localities = localities;
        self.is_changed = true;
        self.keep_trying();
    }

    fn on_connectivity(&mut self, _now: Instant, id: EndpointId, state: Connectivity, _rng: &mut dyn Rng) {
        let Some(change) = self.members.report(id, &state) else { return };
        if change.to == Phase::Failed && matches!(state, Connectivity::Idle) {
            // a failed endpoint is tried again until it is ready, as the pick_first below each entry does in A61
            self.commands.push_back(Command::Connect(id));
        }
        self.seats.set_phase(id, change.to);
        if matches!(state, Connectivity::TransientFailure(_)) {
            self.record_error(id, change.at);
        }
        self.is_changed = true;
        self.keep_trying();
    }

    fn exit_idle(&mut self, _now: Instant, _rng: &mut dyn Rng) {
        if self.phase() == Phase::Idle {
            self.connect_one();
        }
    }

    fn connectivity(&self) -> Connectivity {
        match self.phase() {
            Phase::Ready => Connectivity::Ready,
            Phase::Connecting => Connectivity::Connecting,
            Phase::Idle => Connectivity::Idle,
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
        let is_all_failed = self.members.counts().of(Phase::Failed) == self.members.list().len();
        let (view, seats) = (self.circle.view(), self.seats.shown());
        let errors = self.errors.clone();
        let is_connecting = self.members.counts().of(Phase::Connecting) > 0;
        let key = self.key.clone();
        let phases = Phases { is_all_failed, is_connecting };
        let picker = HashPicker::new(key, view, seats, phases, errors, self.note.clone());
        Some((self.connectivity(), Arc::new(picker)))
    }
}
