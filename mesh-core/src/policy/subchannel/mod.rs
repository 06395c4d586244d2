//! When and where an endpoint gets a connection (gRFC A61, gRPC connection backoff).
//!
//! A [`Subchannel`] is a pure state machine over one endpoint's addresses. It decides which address is tried next; the
//! driver makes the attempts and reports their results.
//!
//! ```text
//!               connect                          on_connected
//!    IDLE -------------------->  CONNECTING  --------------------->  READY
//!     ^ ^ \                          |                                 |
//!     | |  \ connect, but still      | every address failed once,      | on_disconnected
//!     | |   \ backing off            | or none answered in time        |
//!     | |    v                       v                                 |
//!     | +----------- TRANSIENT_FAILURE                                 |
//!     |   on_deadline: backoff over                                    |
//!     +----------------------------------------------------------------+
//!                      disconnect: to IDLE from anywhere
//! ```
//!
//! Invariants: no address is tried twice in a pass; the time between the starts of two passes is at least the backoff,
//! unless there was a connection between them; two connections in a row that break at once, without a response on
//! either, are followed by a pause.

mod race;
mod settings;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::EndpointAddresses;

use super::backoff::Backoff;
use super::lb::Connectivity;
use race::Race;

pub use settings::{AttemptDelay, ConnectTimeout, Settings};

/// The connection of one endpoint: when to make it, and its connectivity.
#[derive(Debug)]
pub(crate) struct Subchannel {
    addresses: EndpointAddresses,
    settings: Arc<Settings>,
    phase: ConnectPhase,
    backoff: Backoff,
    /// The last pass failed, for this reason; the next one starts at this time or later.
    penalty: Option<(Instant, Arc<str>)>,
    /// No pass starts before this time, because the last connections broke as soon as they were made.
    pause: Option<Instant>,
    /// The last connection broke as soon as it was made.
    brief: bool,
}

/// Why a connection ended; decides whether the next one is made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    /// It ended after at least one response: the endpoint works, and may limit the requests of a connection. The next one is
    /// made at once.
    Served,
    /// This side ended it, because it has carried as many calls as it may. The next one is made at once.
    UsedUp,
    /// This side ended it, because no call has come for some time.
    Idle,
    /// It ended before any response.
    Broken,
}

#[derive(Debug)]
enum ConnectPhase {
    Idle,
    Connecting(Race),
    Ready { since: Instant },
    BackingOff,
}

impl Subchannel {
    /// An idle subchannel.
    pub(crate) fn new(addresses: EndpointAddresses, settings: Arc<Settings>) -> Self {
        Self {
            addresses,
            settings,
            phase: ConnectPhase::Idle,
            backoff: Backoff::default(),
            penalty: None,
            pause: None,
            brief: false,
        }
    }

    /// Sets the order of the addresses from the next pass on; they are the same ones. A connection stays (LB-72).
    pub(crate) fn prefer(&mut self, addresses: EndpointAddresses) {
        self.addresses = addresses;
    }

    /// The state that balancers see.
    pub(crate) fn connectivity(&self) -> Connectivity {
        match (&self.phase, &self.penalty) {
            (ConnectPhase::BackingOff, Some((_, reason))) => Connectivity::TransientFailure(reason.clone()),
            (ConnectPhase::Idle | ConnectPhase::BackingOff, _) => Connectivity::Idle,
            (ConnectPhase::Connecting(_), _) => Connectivity::Connecting,
            (ConnectPhase::Ready { .. }, _) => Connectivity::Ready,
        }
    }

    /// Asks for a connection. Does nothing unless idle.
    pub(crate) fn connect(&mut self, now: Instant) {
        if !matches!(self.phase, ConnectPhase::Idle) {
            return;
        }
        if self.penalty.as_ref().is_some_and(|(until, _)| now < *until) {
            self.phase = ConnectPhase::BackingOff;
            return;
        }
        let begin = self.pause.take().filter(|pause| now < *pause);
        self.phase = ConnectPhase::Connecting(Race::new(self.addresses.as_slice(), begin));
    }

    /// Whether another attempt is due: the driver calls [`start_attempt`](Self::start_attempt) as soon as its limits allow.
    pub(crate) fn wants_attempt(&self) -> bool {
        matches!(&self.phase, ConnectPhase::Connecting(race) if race.wants_attempt())
    }

    /// Starts the next attempt now, to this address.
    pub(crate) fn start_attempt(&mut self, now: Instant, rng: &mut dyn Rng) -> Option<SocketAddr> {
        let ConnectPhase::Connecting(race) = &mut self.phase else { return None };
        race.start_attempt(now, &self.settings, || self.backoff.next(&self.settings.backoff, rng))
    }

    /// An attempt has made a connection: the first one wins, the driver drops the others.
    pub(crate) fn on_connected(&mut self, now: Instant) {
        if !matches!(self.phase, ConnectPhase::Connecting(_)) {
            return;
        }
        // LB-74: success resets the backoff.
        self.backoff = Backoff::default();
        self.penalty = None;
        self.phase = ConnectPhase::Ready { since: now };
    }

    /// An attempt has failed; `error` names its address.
    pub(crate) fn on_failed(&mut self, now: Instant, error: &str) {
        let ConnectPhase::Connecting(race) = &mut self.phase else { return };
        // LB-71: TRANSIENT_FAILURE only after every address failed once.
        if let Some(failure) = race.on_failed(now, error) {
            self.fail(now, failure);
        }
    }

    /// The connection takes no more calls. Reconnecting is the balancer's decision (LB-73).
    pub(crate) fn on_disconnected(&mut self, now: Instant, end: ConnectionEnd) {
        let ConnectPhase::Ready { since } = self.phase else { return };
        let stable = since + self.settings.backoff.initial;
        let brief = now < stable && end == ConnectionEnd::Broken;
        // One broken connection may be a restart. An endpoint that accepts and closes connections again and again gets a
        // pause each time, because each successful connect resets the backoff.
        self.pause = (brief && self.brief).then_some(stable);
        self.brief = brief;
        self.phase = ConnectPhase::Idle;
    }

    /// The connection is no longer needed: the driver drops attempts and connection. A running backoff continues.
    pub(crate) fn disconnect(&mut self) {
        self.phase = ConnectPhase::Idle;
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            ConnectPhase::Connecting(race) => race.next_deadline(),
            ConnectPhase::BackingOff => self.penalty.as_ref().map(|(until, _)| *until),
            ConnectPhase::Idle | ConnectPhase::Ready { .. } => None,
        }
    }

    /// The deadline has passed.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        let over = self.next_deadline().is_some_and(|deadline| deadline <= now);
        match &mut self.phase {
            ConnectPhase::Connecting(race) => {
                if let Some(failure) = race.on_deadline(now) {
                    self.fail(now, failure);
                }
            }
            ConnectPhase::BackingOff if over => self.phase = ConnectPhase::Idle,
            ConnectPhase::BackingOff | ConnectPhase::Idle | ConnectPhase::Ready { .. } => {}
        }
    }

    fn fail(&mut self, now: Instant, failure: race::Failure) {
        self.brief = false;
        // A pass that took longer than its backoff also goes through BackingOff: the balancer must see the failure.
        self.penalty = Some((failure.retry_at.max(now), failure.reason));
        self.phase = ConnectPhase::BackingOff;
    }
}
