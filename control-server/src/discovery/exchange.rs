//! One type on one stream: what the client wants, what it holds, and what it has not answered yet.
//!
//! ```text
//!            request                 ACK / NACK
//! Quiet ───────────────> Dirty <──────────────── Outstanding
//!   ^   new revision       │  send                  │   ^
//!   │                      └────────────────────────┘   │ revision or request: Outstanding and Dirty,
//!   └── ACK / NACK, nothing new ────────────────────────┘ sent after the answer (latest state only)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Instant;

use twox_hash::XxHash64;

use crate::resources::{EncodedResource, ResourceKind, ResourceSet};

use super::status::{SyncState, TypeStatus};
use super::subscription::{Subscription, Turned, Wildcard};
use super::wire::Response;

/// One type's state on one stream.
#[derive(Debug)]
pub(super) struct Exchange {
    kind: ResourceKind,
    subscription: Subscription,
    /// What was sent last under each subscribed name, accepted or not.
    held: BTreeMap<Arc<str>, Arc<EncodedResource>>,
    /// Names that the client may hold from an earlier stream.
    claimed: BTreeSet<Arc<str>>,
    /// Held or claimed names that exist no more, and since when.
    departing: BTreeMap<Arc<str>, Instant>,
    /// A new wildcard is answered even if there is nothing.
    owed: bool,
    /// Since when something waits to be sent.
    dirty_since: Option<Instant>,
    /// The revision that first made it wait; `None` if a subscription did.
    published: Option<Instant>,
    outstanding: Option<Outstanding>,
    last_nonce: Option<Arc<str>>,
    version_sent: Option<Arc<str>>,
    version_acked: Option<Arc<str>>,
    nack: Option<String>,
    state_since: Instant,
}

/// A response that the client has not answered.
#[derive(Debug)]
struct Outstanding {
    version: Arc<str>,
    published: Option<Instant>,
}

/// What a request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its nonce is not the latest: ignored.
    Stale,
    /// A subscription, without an answer to a response.
    Subscribed,
    /// Accepted; with when the revision that caused the response was published.
    Acked { published: Option<Instant> },
    /// Refused, and why.
    Nacked { reason: String },
}

/// The parts of a request that concern one type.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) names: &'a [String],
    pub(super) version: &'a str,
    pub(super) nonce: &'a str,
    /// The text of `error_detail`.
    pub(super) refusal: Option<&'a str>,
}

impl Exchange {
    pub(super) fn new(now: Instant, kind: ResourceKind) -> Self {
        Self {
            kind,
            subscription: Subscription::default(),
            held: BTreeMap::new(),
            claimed: BTreeSet::new(),
            departing: BTreeMap::new(),
            owed: false,
            dirty_since: None,
            published: None,
            outstanding: None,
            last_nonce: None,
            version_sent: None,
            version_acked: None,
            nack: None,
            state_since: now,
        }
    }

    pub(super) fn on_request(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        set: Option<&ResourceSet>,
    ) -> Outcome {
        // CS-01: a request that does not know the latest response is superseded by the one that answers it.
        if !request.nonce.is_empty() && self.last_nonce.as_deref().is_some_and(|last| last != request.nonce) {
            return Outcome::Stale;
        }
        let before = self.state();
        let outcome = match request.nonce.is_empty() {
            true => Outcome::Subscribed,
            false => self.answer(request.refusal),
        };
        self.subscribe(request);
        self.refresh(now, set, None);
        self.note_state(now, before);
        outcome
    }

    fn answer(&mut self, refusal: Option<&str>) -> Outcome {
        let Some(outstanding) = self.outstanding.take() else { return Outcome::Subscribed };
        // CS-02: `error_detail` makes a NACK, whatever the version says.
        if let Some(reason) = refusal {
            self.nack = Some(reason.to_owned());
            return Outcome::Nacked { reason: reason.to_owned() };
        }
        self.nack = None;
        self.version_acked = Some(outstanding.version);
        Outcome::Acked { published: outstanding.published }
    }

    fn subscribe(&mut self, request: &Request<'_>) {
        let rule = if self.kind.is_full_state() { Wildcard::Known } else { Wildcard::Unknown };
        self.owed |= self.subscription.update(request.names, rule) == Turned::On;
        // A client that comes back with a version may hold what has since been deleted.
        if self.last_nonce.is_none() && !request.version.is_empty() && self.kind.is_full_state() {
            self.claimed = self.subscription.names().clone();
        }
        // CS-03: forgetting what is no longer subscribed makes a later subscription of it a new one.
        self.held.retain(|name, _| self.subscription.wants(name));
        self.claimed.retain(|name| self.subscription.wants(name));
    }

    pub(super) fn on_resources(&mut self, now: Instant, set: &ResourceSet, published: Instant) {
        let before = self.state();
        self.refresh(now, Some(set), Some(published));
        self.note_state(now, before);
    }

    /// Finds out whether something is to be sent or to be removed.
    fn refresh(&mut self, now: Instant, set: Option<&ResourceSet>, published: Option<Instant>) {
        let Some(set) = set else { return };
        let dirty = self.owed || self.wanted(set).any(|resource| self.is_news(resource));
        match (dirty, self.dirty_since) {
            (false, _) => (self.dirty_since, self.published) = (None, None),
            (true, None) => (self.dirty_since, self.published) = (Some(now), published),
            (true, Some(_)) => {}
        }
        if self.kind.is_full_state() {
            let gone = |name: &Arc<str>| set.get(self.kind, name).is_none();
            let names = self.held.keys().chain(&self.claimed).filter(|name| gone(name));
            self.departing =
                names.map(|name| (name.clone(), self.departing.get(name).copied().unwrap_or(now))).collect();
        }
    }

    /// Everything subscribed that exists. A name that does not exist yet is in no set until it does (CS-06).
    fn wanted<'a>(&'a self, set: &'a ResourceSet) -> impl Iterator<Item = &'a Arc<EncodedResource>> {
        let wildcard = self.subscription.is_wildcard();
        let all = wildcard.then(|| set.of_kind(self.kind)).into_iter().flatten();
        let names = (!wildcard).then(|| self.subscription.names()).into_iter().flatten();
        all.chain(names.filter_map(|name| set.get(self.kind, name)))
    }

    /// CS-05: only what differs from what was sent last under its name; an ACK or a NACK changes nothing about that.
    fn is_news(&self, resource: &EncodedResource) -> bool {
        self.held.get(&resource.name).is_none_or(|held| held.version != resource.version)
    }

    /// Since when content waits to be sent.
    pub(super) fn dirty_since(&self) -> Option<Instant> {
        self.dirty_since
    }

    pub(super) fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Since when each name that exists no more has to be removed from the client.
    pub(super) fn departing(&self) -> impl Iterator<Item = Instant> {
        self.departing.values().copied()
    }

    /// The response for what is new, or for the removal of the names that departed up to an instant.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        nonce: Arc<str>,
        remove_until: Option<Instant>,
    ) -> Response {
        let before = self.state();
        let published = self.published.take();
        let resources: Vec<_> = match self.kind.is_full_state() {
            true => self.full_state(set, remove_until),
            false => self.wanted(set).filter(|resource| self.is_news(resource)).cloned().collect(),
        };
        self.held.extend(resources.iter().map(|resource| (resource.name.clone(), resource.clone())));
        let version = self.version();
        (self.owed, self.dirty_since) = (false, None);
        self.outstanding = Some(Outstanding { version: version.clone(), published });
        self.last_nonce = Some(nonce.clone());
        self.version_sent = Some(version.clone());
        self.note_state(now, before);
        Response { kind: self.kind, version, nonce, resources }
    }

    /// CS-04: everything that is subscribed and exists, and what departed too lately to be taken away (CS-09).
    fn full_state(&mut self, set: &ResourceSet, remove_until: Option<Instant>) -> Vec<Arc<EncodedResource>> {
        let due = |since: &Instant| remove_until.is_some_and(|until| *since <= until);
        let removed: Vec<_> =
            self.departing.iter().filter(|(_, since)| due(since)).map(|(name, _)| name.clone()).collect();
        for name in removed {
            self.held.remove(&name);
        }
        // What the client holds from an earlier stream cannot be repeated: any full response takes it away.
        self.claimed.clear();
        self.departing.retain(|name, _| self.held.contains_key(name));
        let kept = self.departing.keys().filter_map(|name| self.held.get(name));
        self.wanted(set).chain(kept).cloned().collect()
    }

    /// The hash of all that the client holds once it has applied the response: the same after a restart.
    fn version(&self) -> Arc<str> {
        let mut hash = XxHash64::with_seed(0);
        for (name, resource) in &self.held {
            for part in [name, &resource.version] {
                hash.write(part.as_bytes());
                hash.write_u8(0xff);
            }
        }
        format!("{:016x}", hash.finish()).into()
    }

    /// Whether the client has what it asked for, as far as resources are known.
    pub(super) fn state(&self) -> SyncState {
        match (&self.outstanding, self.dirty_since, &self.nack) {
            (Some(_), ..) | (_, Some(_), _) => SyncState::Pending,
            (None, None, Some(_)) => SyncState::Nacked,
            (None, None, None) => SyncState::Synced,
        }
    }

    fn note_state(&mut self, now: Instant, before: SyncState) {
        if self.state() != before {
            self.state_since = now;
        }
    }

    /// How the type stands; without resources everything that is subscribed is pending.
    pub(super) fn status(&self, now: Instant, set: Option<&ResourceSet>) -> TypeStatus {
        let text = |version: &Option<Arc<str>>| version.as_deref().unwrap_or_default().to_owned();
        let names = self.subscription.names();
        let state = if set.is_some() { self.state() } else { SyncState::Pending };
        let missing = |name: &&Arc<str>| set.is_some_and(|set| set.get(self.kind, name).is_none());
        TypeStatus {
            r#type: self.kind.short_name().to_owned(),
            type_url: self.kind.type_url().to_owned(),
            state,
            state_seconds: now.saturating_duration_since(self.state_since).as_secs(),
            reason: self.nack.clone().unwrap_or_default(),
            wildcard: self.subscription.is_wildcard(),
            names: names.iter().map(|name| name.as_ref().to_owned()).collect(),
            missing: names.iter().filter(missing).map(|name| name.as_ref().to_owned()).collect(),
            version_sent: text(&self.version_sent),
            version_acked: text(&self.version_acked),
        }
    }
}
