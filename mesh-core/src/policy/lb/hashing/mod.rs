//! Consistent hashing over a ring of endpoints, which are connected on demand (gRFC A42, A61, A76).

mod picker;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config;

use super::connectivity::Phase;
use super::members::{Member, Members};
use super::picker::no_endpoint;
use super::weights::flattened;
use super::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Picker};
use picker::RingPicker;
use ring::Ring;

/// Consistent hashing over all endpoints of a priority.
#[derive(Debug)]
pub(super) struct RingHash {
    sizes: config::RingHash,
    members: Members,
    /// Its entries are places in the list of members.
    ring: Arc<Ring>,
    note: Option<Arc<str>>,
    commands: VecDeque<Command>,
    is_changed: bool,
}

impl RingHash {
    pub(super) fn new(sizes: config::RingHash) -> Self {
        Self {
            sizes,
            members: Members::default(),
            ring: Arc::default(),
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
            self.commands.push_back(Command::Connect(self.members.list()[at].endpoint.id));
            self.members.count_as(at, Phase::Connecting);
            self.is_changed = true;
        }
    }
}

impl Balancer for RingHash {
    fn update(&mut self, _now: Instant, update: LbUpdate, _rng: &mut dyn Rng) {
        self.note = update.note.clone();
        self.members.replace(flattened(&update.into_localities()));
        let shares: Vec<_> =
            self.members.list().iter().map(|member| (key(member), member.endpoint.weight)).collect();
        self.ring = Arc::new(Ring::new(self.sizes, &shares));
        self.is_changed = true;
        self.keep_trying();
    }

    fn on_connectivity(&mut self, _now: Instant, id: EndpointId, state: Connectivity, _rng: &mut dyn Rng) {
        let Some(change) = self.members.report(id, &state) else { return };
        if change.to == Phase::Failed && matches!(state, Connectivity::Idle) {
            // a failed endpoint is tried again until it is ready, as the pick_first below each entry does in A61
            self.commands.push_back(Command::Connect(id));
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
        let picker = RingPicker::new(self.ring.clone(), &self.members, self.note.clone());
        Some((self.connectivity(), Arc::new(picker)))
    }
}

/// LB-36: the text whose hashes are an endpoint's places on the ring.
fn key(member: &Member) -> String {
    match &member.endpoint.hash_key {
        Some(key) => key.to_string(),
        None => member.endpoint.addresses.first().to_string(),
    }
}
