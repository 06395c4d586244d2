//! One ADS stream as a state machine: requests and revisions in, responses out, time as an argument.
//!
//! ```text
//! Request -> Stream -> Exchange (nonces, ACKs; one per type) -> Ledger (wanted, held, owed; by name) -> Subject
//! ```
//!
//! Both variants of the protocol are one machine. They differ in what a request says ([`Ask`](request::Ask)), in
//! whether a response holds everything, and in how it is written.

mod any_ledger;
mod collections;
mod config;
mod exchange;
mod held;
mod ledger;
mod limits;
mod order;
mod request;
mod subject;
mod subscription;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use prost::Message as _;
use xds_proto::envoy::config::core::v3::Node;

use crate::resources::{
    ClientClass, ClientScope, EncodedResource, ResourceKind, ResourceSet, Slot, canonical_name,
};

use super::interest::{Interest, InterestChange};
use super::status::{SyncState, TypeStatus};
use super::wire::Response;
use exchange::Exchange;
use limits::{Budget, Effort};
use request::clip;
use subscription::Subscription;

pub(super) use config::Entry;
pub(super) use exchange::Outcome;
pub(super) use limits::{Limits, Refusal};
pub(super) use order::Pacing;
pub(super) use request::Request;

/// A variant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// State of the world.
    Sotw,
    /// Incremental.
    Delta,
}

/// The protocol state of one ADS stream.
#[derive(Debug)]
pub(super) struct Stream {
    protocol: Protocol,
    pacing: Pacing,
    limits: Limits,
    budget: Budget,
    began: Instant,
    opened: bool,
    node: Option<Box<Node>>,
    class: ClientClass,
    scope: Arc<ClientScope>,
    /// There have been resources.
    is_fed: bool,
    exchanges: BTreeMap<ResourceKind, Exchange>,
    /// Interests that have begun or ended since they were last taken.
    interests: Vec<(Interest, InterestChange)>,
    unknown_types: BTreeSet<String>,
    nonces: u64,
    last_activity: Instant,
}

/// The meaning of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A type that is not served, seen for the first time on this stream.
    UnknownType(String),
    /// A type that is served.
    Request(ResourceKind, Outcome),
    /// Nothing to tell.
    Nothing,
}

impl Stream {
    pub(super) fn new(now: Instant, protocol: Protocol, pacing: Pacing, limits: Limits) -> Self {
        Self {
            protocol,
            pacing,
            limits,
            budget: Budget::new(now, &limits),
            began: now,
            opened: false,
            node: None,
            class: ClientClass::Plain,
            scope: Arc::default(),
            is_fed: false,
            exchanges: BTreeMap::new(),
            interests: Vec::new(),
            unknown_types: BTreeSet::new(),
            nonces: 0,
            last_activity: now,
        }
    }

    /// Handles a request; `set` are the latest resources that this stream has seen, if any.
    ///
    /// # Errors
    /// The stream has to end.
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        mut request: Request,
        set: Option<&ResourceSet>,
    ) -> Result<Event, Refusal> {
        if let Some(excess) = request.excess {
            return Err(excess);
        }
        if !std::mem::replace(&mut self.opened, true) {
            self.open(request.node.take())?;
        }
        self.check_names(&request)?;
        let asked = request.ask.len();
        let (event, changed) = self.take(now, request, set);
        let outcome = if let Event::Request(_, outcome) = &event { Some(outcome) } else { None };
        self.budget.spend(now, outcome, Effort { asked, changed }, &self.limits)?;
        Ok(event)
    }

    /// No name is entered beyond the limit.
    fn check_names(&self, request: &Request) -> Result<(), Refusal> {
        let Some(kind) = self.served_kind(&request.type_url) else { return Ok(()) };
        let nothing = Subscription::default();
        let of = |kind| self.exchanges.get(&kind).map_or(&nothing, |one| one.ledger().subscription());
        let after = of(kind).size_after(&request.ask);
        let Limits { names: limit, name_bytes, .. } = self.limits;
        if after.names > limit {
            return Err(Refusal::Names { kind, found: after.names, limit });
        }
        let others = self.exchanges.keys().filter(|other| **other != kind);
        let found = after.bytes + others.map(|other| of(*other).name_bytes()).sum::<usize>();
        if found > name_bytes { Err(Refusal::NameBytes { found, limit: name_bytes }) } else { Ok(()) }
    }

    fn served_kind(&self, type_url: &str) -> Option<ResourceKind> {
        // TR-56: there is no glob in SotW.
        let is_served =
            |kind: &ResourceKind| *kind != ResourceKind::LbEndpoint || self.protocol == Protocol::Delta;
        ResourceKind::from_type_url(type_url).filter(is_served)
    }

    /// Why the stream must end now without a request of the client.
    pub(super) fn overdue(&self, now: Instant) -> Option<Refusal> {
        let limit = self.limits.first_request;
        (!self.opened && now >= self.began + limit).then_some(Refusal::Silent { limit })
    }

    /// CS-10: the node of a later request is ignored.
    fn open(&mut self, node: Option<Node>) -> Result<(), Refusal> {
        let (found, limit) = (node.as_ref().map_or(0, Node::encoded_len), self.limits.node_bytes);
        if found > limit {
            return Err(Refusal::Node { found, limit });
        }
        self.node = node.map(Box::new);
        self.class = class(self.protocol, self.node.as_deref());
        self.scope = Arc::new(self.node.as_deref().map(ClientScope::of).unwrap_or_default());
        Ok(())
    }

    /// What the client states of itself.
    pub(super) fn scope(&self) -> &Arc<ClientScope> {
        &self.scope
    }

    /// The meaning of a request, and how much of the subscription it changed.
    fn take(&mut self, now: Instant, request: Request, set: Option<&ResourceSet>) -> (Event, usize) {
        let Some(kind) = self.served_kind(&request.type_url) else {
            return (self.on_unknown_type(request.type_url), 0);
        };
        let (slot, protocol) = (Slot::new(kind, self.class), self.protocol);
        let scope = &self.scope;
        let new = || Exchange::new(now, slot, Arc::clone(scope), protocol);
        let exchange = self.exchanges.entry(kind).or_insert_with(new);
        let (outcome, turn) = exchange.on_request(now, request, set);
        if outcome != Outcome::Stale {
            self.last_activity = now;
        }
        let changed = turn.len();
        let wildcard = turn.wildcard.map(|on| (Interest::All(slot), InterestChange::from(on)));
        let one = |turned| move |name: Arc<str>| (interest(slot, &name), turned);
        self.interests.extend(wildcard);
        self.interests.extend(turn.removed.into_iter().map(one(InterestChange::Off)));
        self.interests.extend(turn.added.into_iter().map(one(InterestChange::On)));
        (Event::Request(kind, outcome), changed)
    }

    fn on_unknown_type(&mut self, type_url: String) -> Event {
        let type_url = clip(type_url, MAX_TYPE_URL);
        if self.unknown_types.len() < MAX_UNKNOWN_TYPES && self.unknown_types.insert(type_url.clone()) {
            return Event::UnknownType(type_url);
        }
        Event::Nothing
    }

    /// Interests that have begun or ended since the last call.
    pub(super) fn take_interests(&mut self) -> Vec<(Interest, InterestChange)> {
        std::mem::take(&mut self.interests)
    }

    /// All interests.
    pub(super) fn interests(&self) -> Vec<Interest> {
        let mut all = Vec::new();
        for (kind, exchange) in &self.exchanges {
            let (slot, subscription) = (Slot::new(*kind, self.class), exchange.ledger().subscription());
            all.extend(subscription.is_wildcard().then_some(Interest::All(slot)));
            all.extend(subscription.names().iter().map(|name| interest(slot, name)));
        }
        all
    }

    /// Handles a revision; `changed` are the names that differ from the last one. The first revision is read
    /// whole.
    pub(super) fn on_resources(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        changed: &[(Slot, Arc<str>)],
        published: Instant,
    ) {
        if !std::mem::replace(&mut self.is_fed, true) {
            for exchange in self.exchanges.values_mut() {
                exchange.on_first_resources(now, set, published);
            }
            return;
        }
        for (kind, exchange) in &mut self.exchanges {
            let slot = Slot::new(*kind, self.class);
            let mut names =
                changed.iter().filter(|(other, _)| *other == slot).map(|(_, name)| name).peekable();
            if names.peek().is_some() {
                exchange.on_changes(now, set, names, published);
            }
        }
    }

    /// The next response to send, if one may be sent now. `set` is what [`on_resources`](Self::on_resources) got last.
    pub(super) fn next_response(&mut self, now: Instant, set: &ResourceSet) -> Option<Response> {
        let (kind, remove_until) = self.next_step(now)?;
        self.nonces += 1;
        self.last_activity = now;
        let nonce = self.nonces.to_string().into();
        Some(self.exchanges.get_mut(&kind)?.respond(now, set, nonce, remove_until))
    }

    /// Every resource that the client has refused, and why. A client refuses a response as a whole; where its text names
    /// resources of the response, only these are meant.
    pub(super) fn refused(&self) -> Vec<(ResourceKind, Arc<EncodedResource>, Arc<str>)> {
        let mut refused = Vec::new();
        for (kind, exchange) in &self.exchanges {
            let all = exchange.ledger().refused();
            let is_named =
                |(resource, reason): &(Arc<EncodedResource>, Arc<str>)| reason.contains(&*resource.name);
            let names_any = all.iter().any(is_named);
            let meant = all.into_iter().filter(|one| !names_any || is_named(one));
            refused.extend(meant.map(|(resource, reason)| (*kind, resource, reason)));
        }
        refused.sort_by(|left, right| (left.0, &left.1.name).cmp(&(right.0, &right.1.name)));
        refused
    }

    pub(super) fn node(&self) -> Option<&Node> {
        self.node.as_deref()
    }

    pub(super) fn unknown_types(&self) -> Vec<String> {
        self.unknown_types.iter().cloned().collect()
    }

    /// The worst state of any type; without resources everything is pending.
    pub(super) fn state(&self) -> SyncState {
        let worst = self.exchanges.values().map(Exchange::state).max();
        match worst {
            Some(_) if !self.is_fed => SyncState::Pending,
            worst => worst.unwrap_or(SyncState::Synced),
        }
    }

    /// The state that users are shown: a client that has all that exists may have asked for a name that does not.
    pub(super) fn shown_state(&self, set: Option<&ResourceSet>) -> SyncState {
        let state = self.state();
        let is_missing = |set| self.exchanges.values().any(|exchange| exchange.lacks_a_name(set));
        if state == SyncState::Synced && set.is_some_and(is_missing) { SyncState::Missing } else { state }
    }

    /// The state of every type; missing names are looked up in `set`.
    pub(super) fn status(&self, now: Instant, set: Option<&ResourceSet>) -> Vec<TypeStatus> {
        let set = set.filter(|_| self.is_fed);
        self.exchanges.values().map(|exchange| exchange.status(now, set)).collect()
    }
}

/// The interest in a name, however it is spelt.
fn interest(slot: Slot, name: &Arc<str>) -> Interest {
    match canonical_name(slot.kind(), name) {
        Cow::Borrowed(_) => Interest::One(slot, Arc::clone(name)),
        Cow::Owned(canonical) => Interest::One(slot, canonical.into()),
    }
}

/// BS-27: clients that get endpoints as collections. Envoy and current gRPC clients get them inline.
fn class(protocol: Protocol, node: Option<&Node>) -> ClientClass {
    let knows = |node: &Node| node.client_features.iter().any(|feature| feature == COLLECTIONS);
    match protocol {
        Protocol::Delta if node.is_some_and(knows) => ClientClass::Collections,
        _ => ClientClass::Plain,
    }
}

const COLLECTIONS: &str = "xds.endpoint.supports_lb_endpoint_collection";
const MAX_TYPE_URL: usize = 256;
const MAX_UNKNOWN_TYPES: usize = 16;
