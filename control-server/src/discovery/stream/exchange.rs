//! One type on one stream: requests, responses and answers about the resources in its [`AnyLedger`].
//!
//! ```text
//!            request                 ACK / NACK
//! Quiet ───────────────> Dirty <──────────────── Outstanding
//!   ^   new revision       │  send                  │   ^
//!   │                      └────────────────────────┘   │ revision or request: Outstanding and Dirty,
//!   └── ACK / NACK, no changes ─────────────────────────┘ sent after the answer (latest state only)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::Protocol;
use super::any_ledger::AnyLedger;
use super::ledger::Ledger;
use super::request::{Ask, Request};
use super::subject::Content;
use super::subscription::SubscriptionChange;
use crate::discovery::status::{SyncState, TypeStatus};
use crate::discovery::wire::Response;
use crate::resources::{
    ClientScope, Collection, EncodedResource, ResourceKind, ResourceSet, SERVER_LISTENERS, Slot,
    is_server_listener,
};

/// One type's state on one stream.
#[derive(Debug)]
pub(super) struct Exchange {
    slot: Slot,
    protocol: Protocol,
    ledger: Box<dyn AnyLedger>,
    asked: bool,
    /// Since when changes wait to be sent.
    dirty_since: Option<Instant>,
    /// When the first revision among the waiting changes was published; `None` if only a subscription waits.
    published: Option<Instant>,
    outstanding: Option<Outstanding>,
    last_nonce: Option<Arc<str>>,
    version_sent: Option<Arc<str>>,
    version_acked: Option<Arc<str>>,
    /// Why the client refused the latest response, or else a resource that it still has.
    refusal: Option<Arc<str>>,
    state_since: Instant,
}

/// A response that the client has not answered.
#[derive(Debug)]
struct Outstanding {
    version: Arc<str>,
    published: Option<Instant>,
}

/// The meaning of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::discovery) enum Outcome {
    /// Its nonce is not the latest: ignored.
    Stale,
    /// A subscription, without an answer to a response.
    Subscribed,
    /// Accepted; with when the revision that caused the response was published.
    Acked { published: Option<Instant> },
    /// Refused, and why.
    Nacked { reason: String },
}

impl Exchange {
    pub(super) fn new(now: Instant, slot: Slot, scope: Arc<ClientScope>, protocol: Protocol) -> Self {
        let is_delta = protocol == Protocol::Delta;
        Self {
            slot,
            protocol,
            ledger: match slot.kind() {
                ResourceKind::LbEndpoint => Box::new(Ledger::<Collection>::new(slot, scope, is_delta)),
                _ => Box::new(Ledger::<EncodedResource>::new(slot, scope, is_delta)),
            },
            asked: false,
            dirty_since: None,
            published: None,
            outstanding: None,
            last_nonce: None,
            version_sent: None,
            version_acked: None,
            refusal: None,
            state_since: now,
        }
    }

    pub(super) fn ledger(&self) -> &dyn AnyLedger {
        &*self.ledger
    }

    pub(super) fn on_request(
        &mut self,
        now: Instant,
        request: Request,
        set: Option<&ResourceSet>,
    ) -> (Outcome, SubscriptionChange) {
        let is_stale =
            !request.nonce.is_empty() && self.last_nonce.as_deref().is_some_and(|last| last != request.nonce);
        // CS-01: a request with an older nonce is superseded by the one that answers the latest response. Under delta
        // it answers nothing, but its subscriptions are in no later request (CS-11).
        if is_stale && matches!(request.ask, Ask::Whole { .. }) {
            return (Outcome::Stale, SubscriptionChange::default());
        }
        let before = self.state();
        let answered = match request.nonce.is_empty() || is_stale {
            true => None,
            false => self.answer(request.refusal),
        };
        let is_first = !std::mem::replace(&mut self.asked, true);
        let change = self.ledger.ask(now, &request.ask, is_first, set);
        self.note(now, None, before);
        let unanswered = if is_stale && change.is_nothing() { Outcome::Stale } else { Outcome::Subscribed };
        (answered.unwrap_or(unanswered), change)
    }

    fn answer(&mut self, refusal: Option<String>) -> Option<Outcome> {
        let outstanding = self.outstanding.take()?;
        // CS-02: `error_detail` makes a NACK, whatever the version says.
        if let Some(reason) = refusal {
            let shared: Arc<str> = reason.as_str().into();
            self.ledger.on_nack(&shared);
            self.refusal = Some(shared);
            return Some(Outcome::Nacked { reason });
        }
        // A refused resource is not sent again; that others were accepted must not hide it.
        self.refusal = self.ledger.on_ack();
        self.version_acked = Some(outstanding.version);
        Some(Outcome::Acked { published: outstanding.published })
    }

    /// Records the first resources.
    pub(super) fn on_first_resources(&mut self, now: Instant, set: &ResourceSet, published: Instant) {
        let before = self.state();
        self.ledger.on_first(now, set);
        self.note(now, Some(published), before);
    }

    /// Records changes of the resources of these names; [`SERVER_LISTENERS`] stands for every server's listener.
    pub(super) fn on_changes<'a>(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        names: impl Iterator<Item = &'a Arc<str>>,
        published: Instant,
    ) {
        let before = self.state();
        for name in names {
            if &**name == SERVER_LISTENERS {
                let subscribed = self.ledger.subscription().names().iter();
                let servers: Vec<_> = subscribed.filter(|one| is_server_listener(one)).cloned().collect();
                servers.iter().for_each(|name| self.ledger.review(now, set, name));
                continue;
            }
            self.ledger.review(now, set, name);
            let spellings: Vec<_> =
                self.ledger.subscription().spellings_of(self.slot, name).cloned().collect();
            spellings.iter().for_each(|spelling| self.ledger.review(now, set, spelling));
        }
        self.note(now, Some(published), before);
    }

    fn note(&mut self, now: Instant, published: Option<Instant>, before: SyncState) {
        match (self.ledger.is_due(), self.dirty_since) {
            (false, _) => (self.dirty_since, self.published) = (None, None),
            (true, None) => (self.dirty_since, self.published) = (Some(now), published),
            (true, Some(_)) => self.published = self.published.or(published),
        }
        if self.state() != before {
            self.state_since = now;
        }
    }

    /// Since when content waits to be sent.
    pub(super) fn dirty_since(&self) -> Option<Instant> {
        self.dirty_since
    }

    pub(super) fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Whether a change of the configuration is unanswered by the client.
    pub(super) fn is_changing(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| outstanding.published.is_some())
    }

    /// The response with all changes, or with the removal of the names that were deleted up to an instant.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        nonce: Arc<str>,
        remove_until: Option<Instant>,
    ) -> Response {
        let before = self.state();
        let published = self.published.take();
        let Content { resources, removed } = match self.protocol {
            Protocol::Sotw if self.kind().is_full_state() => {
                self.ledger.take_full_state(now, set, remove_until)
            }
            _ => self.ledger.take_changes(now, set, remove_until),
        };
        let version = self.ledger.version();
        self.dirty_since = None;
        self.outstanding = Some(Outstanding { version: version.clone(), published });
        self.last_nonce = Some(nonce.clone());
        self.version_sent = Some(version.clone());
        self.note(now, None, before);
        Response { protocol: self.protocol, kind: self.kind(), version, nonce, resources, removed }
    }

    pub(super) fn kind(&self) -> ResourceKind {
        self.slot.kind()
    }

    /// Whether the client has all that it subscribed to, as far as resources are known.
    pub(super) fn state(&self) -> SyncState {
        match (&self.outstanding, self.dirty_since, &self.refusal) {
            (Some(_), ..) | (_, Some(_), _) => SyncState::Pending,
            (None, None, Some(_)) => SyncState::Nacked,
            (None, None, None) => SyncState::Synced,
        }
    }

    /// Whether it subscribed to a name that does not exist.
    pub(super) fn lacks_a_name(&self, set: &ResourceSet) -> bool {
        self.ledger.subscription().names().iter().any(|name| !self.ledger.exists(set, name))
    }

    /// The state of the type; without resources all subscriptions are pending.
    pub(super) fn status(&self, now: Instant, set: Option<&ResourceSet>) -> TypeStatus {
        let text = |version: &Option<Arc<str>>| version.as_deref().unwrap_or_default().to_owned();
        let subscription = self.ledger.subscription();
        let mut names: Vec<String> =
            subscription.names().iter().map(|name| name.as_ref().to_owned()).collect();
        names.sort_unstable();
        let is_missing = |name: &&String| set.is_some_and(|set| !self.ledger.exists(set, name));
        let missing: Vec<String> = names.iter().filter(is_missing).cloned().collect();
        TypeStatus {
            r#type: self.kind().short_name().to_owned(),
            type_url: self.kind().type_url().to_owned(),
            state: match (set, self.state()) {
                (None, _) => SyncState::Pending,
                (Some(_), SyncState::Synced) if !missing.is_empty() => SyncState::Missing,
                (Some(_), state) => state,
            },
            state_seconds: now.saturating_duration_since(self.state_since).as_secs(),
            reason: self.refusal.as_deref().unwrap_or_default().to_owned(),
            wildcard: subscription.is_wildcard(),
            deleted: names
                .iter()
                .filter(|name| is_missing(name) && self.ledger.was_told(name))
                .cloned()
                .collect(),
            missing,
            near: BTreeMap::new(),
            names,
            version_sent: text(&self.version_sent),
            version_acked: text(&self.version_acked),
        }
    }
}
