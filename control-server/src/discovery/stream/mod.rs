//! One ADS stream as a state machine: requests and revisions in, responses out, time as an argument.
//!
//! Order (CS-09). A gRPC client works off a stream in order and asks for a cluster once a route names it. So new and
//! changed content goes out in the order CDS, EDS, LDS, RDS; a type that has something to say but still waits for an
//! answer holds back the later ones, for [`Pacing::patience`] at most. What is deleted stays in the full-state
//! responses until everything else has been answered and [`Pacing::removal_grace`] has passed without a word: by then
//! the client has usually unsubscribed from it, and no removal is ever sent.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;

use crate::resources::ResourceKind;

use crate::discovery::cache::Snapshot;
use crate::discovery::exchange::{Exchange, Outcome, Request};
use crate::discovery::status::{SyncState, TypeStatus};
use crate::discovery::wire::Response;

/// How long one thing waits for another.
#[derive(Debug, Clone, Copy)]
pub(in crate::discovery) struct Pacing {
    /// Longest wait of a later type, or of a removal, for what comes before it.
    pub(in crate::discovery) patience: Duration,
    /// Quiet time on the stream before a removal.
    pub(in crate::discovery) removal_grace: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5), removal_grace: Duration::from_secs(1) }
    }
}

/// The protocol state of one ADS stream.
#[derive(Debug)]
pub(in crate::discovery) struct Stream {
    pacing: Pacing,
    opened: bool,
    node: Option<Node>,
    snapshot: Option<Snapshot>,
    exchanges: HashMap<ResourceKind, Exchange>,
    unknown_types: BTreeSet<String>,
    nonces: u64,
    last_activity: Instant,
}

/// What a request meant.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::discovery) enum Event {
    /// A type that is not served, seen for the first time on this stream.
    UnknownType(String),
    /// A type that is served.
    Request(ResourceKind, Outcome),
    /// Nothing to tell.
    Nothing,
}

impl Stream {
    pub(in crate::discovery) fn new(now: Instant, pacing: Pacing) -> Self {
        Self {
            pacing,
            opened: false,
            node: None,
            snapshot: None,
            exchanges: HashMap::new(),
            unknown_types: BTreeSet::new(),
            nonces: 0,
            last_activity: now,
        }
    }

    pub(in crate::discovery) fn on_request(&mut self, now: Instant, request: &mut DiscoveryRequest) -> Event {
        // CS-10: a later node means nothing.
        if !self.opened {
            self.opened = true;
            self.node = request.node.take();
        }
        let Some(kind) = ResourceKind::from_type_url(&request.type_url) else {
            return self.on_unknown_type(&request.type_url);
        };
        let exchange = self.exchanges.entry(kind).or_insert_with(|| Exchange::new(now, kind));
        let refusal = request.error_detail.as_ref().map(|status| clip(&status.message, MAX_REASON));
        let part = Request {
            names: &request.resource_names,
            version: &request.version_info,
            nonce: &request.response_nonce,
            refusal,
        };
        let outcome = exchange.on_request(now, &part, self.snapshot.as_ref().map(|snapshot| &*snapshot.set));
        if outcome != Outcome::Stale {
            self.last_activity = now;
        }
        Event::Request(kind, outcome)
    }

    fn on_unknown_type(&mut self, type_url: &str) -> Event {
        let type_url = clip(type_url, MAX_TYPE_URL);
        if self.unknown_types.len() < MAX_UNKNOWN_TYPES && self.unknown_types.insert(type_url.to_owned()) {
            return Event::UnknownType(type_url.to_owned());
        }
        Event::Nothing
    }

    pub(in crate::discovery) fn on_resources(&mut self, now: Instant, snapshot: Snapshot) {
        for exchange in self.exchanges.values_mut() {
            exchange.on_resources(now, &snapshot.set, snapshot.published);
        }
        self.snapshot = Some(snapshot);
    }

    /// The next response to send, if one may be sent now.
    pub(in crate::discovery) fn next_response(&mut self, now: Instant) -> Option<Response> {
        let (kind, remove_until) = self.next_step(now)?;
        let set = self.snapshot.as_ref()?.set.clone();
        self.nonces += 1;
        self.last_activity = now;
        let nonce = self.nonces.to_string().into();
        Some(self.exchanges.get_mut(&kind)?.respond(now, &set, nonce, remove_until))
    }

    /// Whether [`next_response`](Self::next_response) would give one.
    pub(in crate::discovery) fn has_response(&self, now: Instant) -> bool {
        self.next_step(now).is_some()
    }

    /// The type whose turn it is; with an instant for a removal of what departed until then.
    fn next_step(&self, now: Instant) -> Option<(ResourceKind, Option<Instant>)> {
        // CS-09
        for (kind, exchange) in self.in_order() {
            match exchange.dirty_since() {
                Some(_) if !exchange.is_outstanding() => return Some((kind, None)),
                Some(since) if now < since + self.pacing.patience => break,
                _ => {}
            }
        }
        // Removals last; whatever refers to others goes first.
        self.in_order().rev().filter(|(_, exchange)| !exchange.is_outstanding()).find_map(
            |(kind, exchange)| {
                let due = |since: &Instant| self.removal_due(*since) <= now;
                exchange.departing().filter(due).max().map(|until| (kind, Some(until)))
            },
        )
    }

    fn in_order(&self) -> impl DoubleEndedIterator<Item = (ResourceKind, &Exchange)> {
        ResourceKind::ALL.into_iter().filter_map(|kind| self.exchanges.get(&kind).map(|found| (kind, found)))
    }

    fn removal_due(&self, since: Instant) -> Instant {
        let latest = since + self.pacing.patience;
        match self.is_quiet() {
            true => latest.min(since.max(self.last_activity) + self.pacing.removal_grace),
            false => latest,
        }
    }

    fn is_quiet(&self) -> bool {
        self.exchanges.values().all(|exchange| exchange.dirty_since().is_none() && !exchange.is_outstanding())
    }

    /// When [`has_response`](Self::has_response) may become true by time alone; always after `now`.
    pub(in crate::discovery) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.in_order().filter(|(_, exchange)| exchange.is_outstanding());
        let patience =
            waiting.filter_map(|(_, exchange)| Some(exchange.dirty_since()? + self.pacing.patience));
        let idle = self.in_order().filter(|(_, exchange)| !exchange.is_outstanding());
        let removals = idle.filter_map(|(_, exchange)| exchange.departing().min());
        patience.chain(removals.map(|since| self.removal_due(since))).filter(|deadline| *deadline > now).min()
    }

    pub(in crate::discovery) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    pub(in crate::discovery) fn unknown_types(&self) -> Vec<String> {
        self.unknown_types.iter().cloned().collect()
    }

    /// The worst state of any type; without resources everything is pending.
    pub(in crate::discovery) fn state(&self) -> SyncState {
        let worst = self.exchanges.values().map(Exchange::state).max();
        match worst {
            Some(_) if self.snapshot.is_none() => SyncState::Pending,
            worst => worst.unwrap_or(SyncState::Synced),
        }
    }

    pub(in crate::discovery) fn status(&self, now: Instant) -> Vec<TypeStatus> {
        let set = self.snapshot.as_ref().map(|snapshot| &*snapshot.set);
        self.in_order().map(|(_, exchange)| exchange.status(now, set)).collect()
    }
}

/// The longest prefix of at most `limit` bytes.
fn clip(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

const MAX_REASON: usize = 4096;
const MAX_TYPE_URL: usize = 256;
const MAX_UNKNOWN_TYPES: usize = 16;

#[cfg(test)]
mod tests;
