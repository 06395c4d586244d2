//! One type on one stream: the conversation about what is in its [`Books`].
//!
//! ```text
//!            request                 ACK / NACK
//! Quiet ───────────────> Dirty <──────────────── Outstanding
//!   ^   new revision       │  send                  │   ^
//!   │                      └────────────────────────┘   │ revision or request: Outstanding and Dirty,
//!   └── ACK / NACK, nothing new ────────────────────────┘ sent after the answer (latest state only)
//! ```

use std::sync::Arc;
use std::time::Instant;

use super::Protocol;
use super::books::Books;
use super::ledger::Ledger;
use super::request::{Ask, Request};
use super::subject::Content;
use super::subscription::Turn;
use crate::discovery::status::{SyncState, TypeStatus};
use crate::discovery::wire::Response;
use crate::resources::{Collection, EncodedResource, ResourceKind, ResourceSet, Slot};

/// One type's state on one stream.
#[derive(Debug)]
pub(super) struct Exchange {
    slot: Slot,
    protocol: Protocol,
    books: Box<dyn Books>,
    asked: bool,
    /// Since when something waits to be sent.
    dirty_since: Option<Instant>,
    /// When the first revision among what waits was published; `None` if it is a subscription alone.
    published: Option<Instant>,
    outstanding: Option<Outstanding>,
    last_nonce: Option<Arc<str>>,
    version_sent: Option<Arc<str>>,
    version_acked: Option<Arc<str>>,
    /// Why the client refused the latest response, or else something that it holds.
    refusal: Option<Arc<str>>,
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
    pub(super) fn new(now: Instant, slot: Slot, protocol: Protocol) -> Self {
        let is_delta = protocol == Protocol::Delta;
        Self {
            slot,
            protocol,
            books: match slot.kind() {
                ResourceKind::LbEndpoint => Box::new(Ledger::<Collection>::new(slot, is_delta)),
                _ => Box::new(Ledger::<EncodedResource>::new(slot, is_delta)),
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

    pub(super) fn books(&self) -> &dyn Books {
        &*self.books
    }

    pub(super) fn on_request(
        &mut self,
        now: Instant,
        request: Request,
        set: Option<&ResourceSet>,
    ) -> (Outcome, Turn) {
        let is_stale =
            !request.nonce.is_empty() && self.last_nonce.as_deref().is_some_and(|last| last != request.nonce);
        // CS-01: a request that does not know the latest response is superseded by the one that answers it. Under delta
        // it answers nothing, but what it subscribes is in no later one (CS-11).
        if is_stale && matches!(request.ask, Ask::Whole { .. }) {
            return (Outcome::Stale, Turn::default());
        }
        let before = self.state();
        let answered = match request.nonce.is_empty() || is_stale {
            true => None,
            false => self.answer(request.refusal),
        };
        let is_first = !std::mem::replace(&mut self.asked, true);
        let turn = self.books.ask(now, &request.ask, is_first, set);
        self.note(now, None, before);
        let unanswered = if is_stale && turn.is_nothing() { Outcome::Stale } else { Outcome::Subscribed };
        (answered.unwrap_or(unanswered), turn)
    }

    fn answer(&mut self, refusal: Option<String>) -> Option<Outcome> {
        let outstanding = self.outstanding.take()?;
        // CS-02: `error_detail` makes a NACK, whatever the version says.
        if let Some(reason) = refusal {
            let shared: Arc<str> = reason.as_str().into();
            self.books.on_nack(&shared);
            self.refusal = Some(shared);
            return Some(Outcome::Nacked { reason });
        }
        // What has been refused is not sent again; that something else was accepted must not hide it.
        self.refusal = self.books.on_ack();
        self.version_acked = Some(outstanding.version);
        Some(Outcome::Acked { published: outstanding.published })
    }

    /// Enters the first resources there are.
    pub(super) fn on_first_resources(&mut self, now: Instant, set: &ResourceSet, published: Instant) {
        let before = self.state();
        self.books.on_first(now, set);
        self.note(now, Some(published), before);
    }

    /// Enters what has become of these names.
    pub(super) fn on_changes<'a>(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        names: impl Iterator<Item = &'a Arc<str>>,
        published: Instant,
    ) {
        let before = self.state();
        names.for_each(|name| self.books.review(now, set, name));
        self.note(now, Some(published), before);
    }

    fn note(&mut self, now: Instant, published: Option<Instant>, before: SyncState) {
        match (self.books.is_due(), self.dirty_since) {
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

    /// A change of the configuration is on its way to the client.
    pub(super) fn is_changing(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| outstanding.published.is_some())
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
        let Content { resources, removed } = match self.protocol {
            Protocol::Sotw if self.kind().is_full_state() => {
                self.books.take_full_state(now, set, remove_until)
            }
            _ => self.books.take_changes(now, set, remove_until),
        };
        let version = self.books.version();
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

    /// Whether the client has what it asked for, as far as resources are known.
    pub(super) fn state(&self) -> SyncState {
        match (&self.outstanding, self.dirty_since, &self.refusal) {
            (Some(_), ..) | (_, Some(_), _) => SyncState::Pending,
            (None, None, Some(_)) => SyncState::Nacked,
            (None, None, None) => SyncState::Synced,
        }
    }

    /// How the type stands; without resources everything that is subscribed is pending.
    pub(super) fn status(&self, now: Instant, set: Option<&ResourceSet>) -> TypeStatus {
        let text = |version: &Option<Arc<str>>| version.as_deref().unwrap_or_default().to_owned();
        let subscription = self.books.subscription();
        let mut names: Vec<String> =
            subscription.names().iter().map(|name| name.as_ref().to_owned()).collect();
        names.sort_unstable();
        let is_missing = |name: &&String| set.is_some_and(|set| !self.books.exists(set, name));
        TypeStatus {
            r#type: self.kind().short_name().to_owned(),
            type_url: self.kind().type_url().to_owned(),
            state: if set.is_some() { self.state() } else { SyncState::Pending },
            state_seconds: now.saturating_duration_since(self.state_since).as_secs(),
            reason: self.refusal.as_deref().unwrap_or_default().to_owned(),
            wildcard: subscription.is_wildcard(),
            deleted: names
                .iter()
                .filter(|name| is_missing(name) && self.books.was_told(name))
                .cloned()
                .collect(),
            missing: names.iter().filter(is_missing).cloned().collect(),
            names,
            version_sent: text(&self.version_sent),
            version_acked: text(&self.version_acked),
        }
    }
}
