//! What the client of one type has subscribed to, what it has, and what has to be sent.
//!
//! A change of the configuration or of the subscription is recorded name by name; only the first resources and the wildcard
//! need a pass over all resources.

mod request;
mod response;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Instant;

use twox_hash::XxHash64;

use super::any_ledger::{AnyLedger, HeldState};
use super::held::{Held, Sent};
use super::request::Ask;
use super::subject::{Content, Subject};
use super::subscription::{Subscription, SubscriptionChange};
use crate::resources::{ClientScope, EncodedResource, ResourceSet, Slot};

/// The ledger of one type on one stream.
#[derive(Debug)]
pub(super) struct Ledger<S: Subject> {
    slot: Slot,
    scope: Arc<ClientScope>,
    is_delta: bool,
    subscription: Subscription,
    /// The resource that was sent last under each subscribed name, accepted or not.
    held: HashMap<Arc<str>, Held<S>>,
    /// The hash over all sent resources, in any order.
    digest: u64,
    /// Under delta, resources that the client has not answered yet.
    unanswered: HashMap<Arc<str>, Arc<S>>,
    /// Names whose resource has to be sent.
    pending: BTreeSet<Arc<str>>,
    /// Names that the client has just subscribed to and that do not exist.
    absent: BTreeSet<Arc<str>>,
    /// Names that the client has and that are deleted, and since when.
    departing: BTreeMap<Arc<str>, Instant>,
    /// Names whose removal was sent, and that the client is still subscribed to.
    deleted: BTreeSet<Arc<str>>,
    /// The number of responses so far.
    responses: u64,
    /// The client has refused a resource that it has.
    has_refused: bool,
    /// A response is due even without changes.
    must_answer: bool,
}

impl<S: Subject> Ledger<S> {
    pub(super) fn new(slot: Slot, scope: Arc<ClientScope>, is_delta: bool) -> Self {
        Self {
            slot,
            scope,
            is_delta,
            subscription: Subscription::default(),
            held: HashMap::new(),
            digest: 0,
            unanswered: HashMap::new(),
            pending: BTreeSet::new(),
            absent: BTreeSet::new(),
            departing: BTreeMap::new(),
            deleted: BTreeSet::new(),
            responses: 0,
            has_refused: false,
            must_answer: false,
        }
    }

    /// Whether removals are sent: always under delta; under SotW for full-state types.
    fn removes(&self) -> bool {
        self.is_delta || self.slot.kind().is_full_state()
    }

    fn find(&self, set: &ResourceSet, name: &str) -> Option<Arc<S>> {
        S::find(set, self.slot, &self.scope, name)
    }

    fn all<'a>(&self, set: &'a ResourceSet) -> Vec<&'a Arc<S>> {
        S::all(set, self.slot, &self.scope)
    }

    /// CS-12, CS-14: a missing name is reported as missing, once. It is sent when it appears (CS-06).
    fn note_absence(&mut self, set: &ResourceSet, name: &Arc<str>) {
        let is_open = self.subscription.wants(name) && !self.held.contains_key(name);
        if is_open && self.find(set, name).is_none() {
            self.absent.insert(Arc::clone(name));
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.pending.remove(name);
        self.absent.remove(name);
        self.departing.remove(name);
        self.deleted.remove(name);
        self.release(name);
    }

    fn release(&mut self, name: &Arc<str>) -> Option<Held<S>> {
        let before = self.held.remove(name);
        if let Some(Held::Sent(sent)) = &before {
            self.digest = self.digest.wrapping_sub(hash(&*sent.subject));
        }
        before
    }

    fn hold(&mut self, now: Instant, subject: &Arc<S>) {
        let sent = match self.release(subject.name()) {
            Some(Held::Sent(before)) => before.again(now, self.responses, subject),
            _ => Sent::new(now, self.responses, subject),
        };
        self.digest = self.digest.wrapping_add(hash(&**subject));
        self.held.insert(Arc::clone(subject.name()), Held::Sent(sent));
    }

    fn review_all(&mut self, now: Instant, set: &ResourceSet) {
        let all = if self.subscription.is_wildcard() { self.all(set) } else { Vec::new() };
        let known = self.subscription.names().iter().chain(self.held.keys()).cloned();
        let names: Vec<_> = all.into_iter().map(|subject| Arc::clone(subject.name())).chain(known).collect();
        names.iter().for_each(|name| self.review(now, set, name));
    }
}

impl<S: Subject> AnyLedger for Ledger<S> {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn ask(
        &mut self,
        now: Instant,
        ask: &Ask,
        is_first: bool,
        set: Option<&ResourceSet>,
    ) -> SubscriptionChange {
        self.take_request(now, ask, is_first, set)
    }

    fn on_first(&mut self, now: Instant, set: &ResourceSet) {
        self.review_all(now, set);
        let names: Vec<_> = self.subscription.names().iter().cloned().collect();
        names.iter().for_each(|name| self.note_absence(set, name));
    }

    fn review(&mut self, now: Instant, set: &ResourceSet, name: &Arc<str>) {
        if !self.subscription.wants(name) {
            return;
        }
        let held = self.held.get(name);
        if let Some(subject) = self.find(set, name) {
            self.departing.remove(name);
            self.absent.remove(name);
            self.deleted.remove(name);
            // CS-05: only resources that differ from the last sent ones; an ACK or a NACK does not change that.
            if held.is_some_and(|held| held.is(&subject)) {
                self.pending.remove(name);
            } else {
                self.pending.insert(Arc::clone(subject.name()));
            }
        } else {
            let is_held = held.is_some();
            let was_pending = self.pending.remove(name);
            if is_held && self.removes() {
                self.departing.entry(Arc::clone(name)).or_insert(now);
            } else if was_pending {
                // It was deleted before it was sent.
                self.note_absence(set, name);
            }
        }
    }

    fn on_ack(&mut self) -> Option<Arc<str>> {
        // Frees the capacity too: thousands of streams are idle most of the time.
        self.unanswered = HashMap::new();
        // Nothing else to record, unless a resource had been refused before.
        if !std::mem::take(&mut self.has_refused) {
            return None;
        }
        let (latest, mut left) = (self.responses, None);
        for sent in self.held.values_mut().filter_map(Held::sent_mut) {
            sent.refusal.take_if(|_| sent.response == latest);
            left = left.or_else(|| sent.refusal.clone());
        }
        self.has_refused = left.is_some();
        left
    }

    fn on_nack(&mut self, reason: &Arc<str>) {
        // Frees the capacity too: thousands of streams are idle most of the time.
        self.unanswered = HashMap::new();
        self.has_refused = true;
        let latest = self.responses;
        let sent = self.held.values_mut().filter_map(Held::sent_mut);
        for sent in sent.filter(|sent| sent.response == latest) {
            sent.refusal = Some(Arc::clone(reason));
        }
    }

    fn is_due(&self) -> bool {
        self.must_answer || !self.pending.is_empty() || !self.absent.is_empty()
    }

    fn departing(&self) -> &BTreeMap<Arc<str>, Instant> {
        &self.departing
    }

    fn take_changes(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content {
        self.changes(now, set, remove_until)
    }

    fn take_full_state(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content {
        self.full_state(now, set, remove_until)
    }

    fn version(&self) -> Arc<str> {
        format!("{:016x}", self.digest).into()
    }

    fn exists(&self, set: &ResourceSet, name: &str) -> bool {
        self.find(set, name).is_some()
    }

    fn all_names(&self, set: &ResourceSet) -> Vec<Arc<str>> {
        self.all(set).into_iter().map(|subject| Arc::clone(subject.name())).collect()
    }

    fn held_names(&self) -> Vec<Arc<str>> {
        self.held.keys().cloned().collect()
    }

    fn held_state(&self, name: &str) -> HeldState {
        match self.held.get(name) {
            None | Some(Held::Perhaps(_)) => HeldState::Nothing,
            Some(Held::Claimed(claim)) => {
                let version = S::claimed_version(claim);
                let is_known = S::HAS_MEMBERS || version.is_some();
                let is_current =
                    is_known && !self.pending.contains(name) && !self.departing.contains_key(name);
                HeldState::Claimed { version, is_current }
            }
            Some(Held::Sent(sent)) => HeldState::Sent {
                version: Arc::clone(sent.subject.version()),
                resource: sent.subject.resource(),
                at: sent.at,
                refusal: sent.refusal.clone(),
                is_latest: sent.response == self.responses,
                accepted: sent.accepted(),
                accepted_before: sent.accepted_before(),
            },
        }
    }

    fn refused(&self) -> Vec<(Arc<EncodedResource>, Arc<str>)> {
        if !self.has_refused {
            return Vec::new();
        }
        let refused = self.held.values().filter_map(|held| match held {
            Held::Sent(sent) => Some((sent.subject.resource()?, Arc::clone(sent.refusal.as_ref()?))),
            Held::Claimed(_) | Held::Perhaps(_) => None,
        });
        refused.collect()
    }

    fn was_told(&self, name: &str) -> bool {
        self.is_deleted(name) || matches!(self.held.get(name), Some(Held::Sent(_)))
    }

    fn is_deleted(&self, name: &str) -> bool {
        self.deleted.contains(name)
    }
}

fn hash<S: Subject>(subject: &S) -> u64 {
    let mut hash = XxHash64::with_seed(0);
    for part in [subject.name(), subject.version()] {
        hash.write(part.as_bytes());
        hash.write_u8(0xff);
    }
    hash.finish()
}
