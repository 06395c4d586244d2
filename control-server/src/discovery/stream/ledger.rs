//! What the client of one type wants, what it holds, and what it is owed.
//!
//! A change of the configuration or of the subscription is entered name by name; nothing here ever looks at everything,
//! except at the first resources and for the wildcard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Instant;

use twox_hash::XxHash64;

use super::held::{Held, Sent};
use super::request::Ask;
use super::subscription::{Subscription, Turn, Wildcard};
use crate::resources::{EncodedResource, ResourceSet, Slot};

/// The books of one type on one stream.
#[derive(Debug)]
pub(super) struct Ledger {
    slot: Slot,
    is_delta: bool,
    subscription: Subscription,
    /// What was sent last under each subscribed name, accepted or not.
    held: HashMap<Arc<str>, Held>,
    /// Of what was sent, in any order.
    digest: u64,
    /// Names whose resource is to be sent.
    news: BTreeSet<Arc<str>>,
    /// Names that the client has just asked for and that do not exist.
    absent: BTreeSet<Arc<str>>,
    /// Held names that exist no more, and since when.
    departing: BTreeMap<Arc<str>, Instant>,
    /// Names that the client was told to forget, and that it still asks for.
    deleted: BTreeSet<Arc<str>>,
    /// How many responses there have been.
    responses: u64,
    /// The client has refused something of what it holds.
    has_refused: bool,
    /// An answer is due even if there is nothing to tell.
    owed: bool,
}

/// What to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) resources: Vec<Arc<EncodedResource>>,
    /// Names that the client has to forget.
    pub(super) removed: Vec<Arc<str>>,
}

impl Ledger {
    pub(super) fn new(slot: Slot, is_delta: bool) -> Self {
        Self {
            slot,
            is_delta,
            subscription: Subscription::default(),
            held: HashMap::new(),
            digest: 0,
            news: BTreeSet::new(),
            absent: BTreeSet::new(),
            departing: BTreeMap::new(),
            deleted: BTreeSet::new(),
            responses: 0,
            has_refused: false,
            owed: false,
        }
    }

    pub(super) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Enters what a request asks for; `is_first`: of this type on this stream.
    pub(super) fn ask(&mut self, now: Instant, ask: &Ask, is_first: bool, set: Option<&ResourceSet>) -> Turn {
        let rule = if self.slot.kind().is_full_state() { Wildcard::Known } else { Wildcard::Unknown };
        // Names are allocated once, by whoever made the resource.
        let known = |name: &str| set.and_then(|set| set.get(self.slot, name));
        let shared =
            |name: &str| known(name).map_or_else(|| Arc::from(name), |found| Arc::clone(&found.name));
        let turn = match ask {
            Ask::Whole { names, .. } => self.subscription.replace(names, rule, shared),
            Ask::Change { subscribe, unsubscribe, .. } => {
                self.subscription.change(subscribe, unsubscribe, rule, shared)
            }
        };
        if is_first {
            self.claim(ask);
        }
        self.enter(now, &turn, is_first, set);
        turn
    }

    /// What the client holds from an earlier stream.
    fn claim(&mut self, ask: &Ask) {
        let claim = match ask {
            Ask::Whole { version, .. } if version.is_empty() || !self.removes() => return,
            // Which versions it holds, nobody knows.
            Ask::Whole { .. } => {
                self.subscription.names().iter().map(|name| (Arc::clone(name), "".into())).collect()
            }
            // TR-49
            Ask::Change { holds, .. } => {
                let wanted = holds.iter().filter(|(name, _)| self.subscription.wants(name));
                let pair =
                    |(name, version): (&String, &String)| (self.own(name), Arc::from(version.as_str()));
                wanted.map(pair).collect::<Vec<(Arc<str>, Arc<str>)>>()
            }
        };
        // Whoever has something is answered, so that it knows that somebody is there.
        self.owed |= matches!(ask, Ask::Change { .. }) && !claim.is_empty();
        self.held.extend(claim.into_iter().map(|(name, version)| (name, Held::Claimed(version))));
    }

    /// Who is told of what is no more: everyone under delta; under SotW who gets the full state.
    fn removes(&self) -> bool {
        self.is_delta || self.slot.kind().is_full_state()
    }

    fn own(&self, name: &str) -> Arc<str> {
        self.subscription.names().get(name).cloned().unwrap_or_else(|| Arc::from(name))
    }

    fn enter(&mut self, now: Instant, turn: &Turn, is_first: bool, set: Option<&ResourceSet>) {
        self.owed |= turn.wildcard == Some(true);
        if turn.wildcard == Some(false) {
            let gone = self.held.keys().chain(&self.news).chain(&self.absent);
            let gone: Vec<_> = gone.filter(|name| !self.subscription.wants(name)).cloned().collect();
            gone.iter().for_each(|name| self.forget(name));
        }
        // CS-13: under delta, who still holds the wildcard is told what has become of a name that it unsubscribed.
        let is_told = |name: &&Arc<str>| self.is_delta || !self.subscription.wants(name);
        let left: Vec<_> = turn.removed.iter().filter(is_told).collect();
        left.iter().for_each(|name| self.forget(name));
        // CS-03, CS-11: what is newly subscribed is sent whatever the client has; but not what it has just presented.
        if !is_first {
            turn.added.iter().chain(&turn.again).for_each(|name| self.forget(name));
        }
        let Some(set) = set else { return };
        if turn.wildcard == Some(true) {
            self.review_all(now, set);
        }
        for name in left.into_iter().chain(&turn.added).chain(&turn.again) {
            self.review(now, set, name);
            self.note_absence(set, name);
        }
    }

    /// CS-12, CS-14: a name that does not exist is told so, once. It is sent when it appears (CS-06).
    fn note_absence(&mut self, set: &ResourceSet, name: &Arc<str>) {
        let is_open = self.subscription.wants(name) && !self.held.contains_key(name);
        if is_open && set.get(self.slot, name).is_none() {
            self.absent.insert(Arc::clone(name));
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.news.remove(name);
        self.absent.remove(name);
        self.departing.remove(name);
        self.deleted.remove(name);
        self.release(name);
    }

    fn release(&mut self, name: &Arc<str>) {
        if let Some(Held::Sent(sent)) = self.held.remove(name) {
            self.digest = self.digest.wrapping_sub(hash(&sent.resource));
        }
    }

    /// Enters the first resources there are.
    pub(super) fn on_first(&mut self, now: Instant, set: &ResourceSet) {
        self.review_all(now, set);
        let names: Vec<_> = self.subscription.names().iter().cloned().collect();
        names.iter().for_each(|name| self.note_absence(set, name));
    }

    fn review_all(&mut self, now: Instant, set: &ResourceSet) {
        let all = self.subscription.is_wildcard().then(|| set.of_kind(self.slot)).into_iter().flatten();
        let known = self.subscription.names().iter().chain(self.held.keys()).cloned();
        let names: Vec<_> = all.map(|resource| Arc::clone(&resource.name)).chain(known).collect();
        names.iter().for_each(|name| self.review(now, set, name));
    }

    /// Enters what has become of a name.
    pub(super) fn review(&mut self, now: Instant, set: &ResourceSet, name: &Arc<str>) {
        if !self.subscription.wants(name) {
            return;
        }
        let held = self.held.get(name);
        if let Some(resource) = set.get(self.slot, name) {
            self.departing.remove(name);
            self.absent.remove(name);
            self.deleted.remove(name);
            // CS-05: only what differs from what was sent last; an ACK or a NACK changes nothing about that.
            if held.is_some_and(|held| held.is(resource)) {
                self.news.remove(name);
            } else {
                self.news.insert(Arc::clone(&resource.name));
            }
        } else {
            self.news.remove(name);
            if held.is_some() && self.removes() {
                self.departing.entry(Arc::clone(name)).or_insert(now);
            }
        }
    }

    /// Whether something is to be sent, removals aside.
    pub(super) fn is_due(&self) -> bool {
        self.owed || !self.news.is_empty() || !self.absent.is_empty()
    }

    /// Since when each name that exists no more has to be removed from the client.
    pub(super) fn departing(&self) -> impl Iterator<Item = Instant> {
        self.departing.values().copied()
    }

    /// All news under the names that have any; with the removal of the names that departed up to an instant.
    pub(super) fn take_changes(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        remove_until: Option<Instant>,
    ) -> Content {
        self.responses += 1;
        let resources = self.news.iter().filter_map(|name| set.get(self.slot, name)).cloned().collect();
        self.settle(now, resources, remove_until)
    }

    /// CS-04: everything that is subscribed and exists, and what departed too lately to be taken away (CS-09).
    pub(super) fn take_full_state(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        remove_until: Option<Instant>,
    ) -> Content {
        self.responses += 1;
        let mut resources: Vec<_> = match self.subscription.is_wildcard() {
            true => set.of_kind(self.slot).cloned().collect(),
            false => self
                .subscription
                .names()
                .iter()
                .filter_map(|name| set.get(self.slot, name))
                .cloned()
                .collect(),
        };
        // What the client holds from an earlier stream cannot be repeated: any full response takes it away.
        let is_lost = |name: &Arc<str>| matches!(self.held.get(name), Some(Held::Claimed(_)));
        let lost: Vec<_> = self.departing.keys().filter(|name| is_lost(name)).cloned().collect();
        for name in &lost {
            self.departing.remove(name);
            self.release(name);
        }
        let mut content = self.settle(now, Vec::new(), remove_until);
        content.removed.extend(lost);
        for name in self.departing.keys() {
            if let Some(Held::Sent(kept)) = self.held.get(name) {
                resources.push(Arc::clone(&kept.resource));
            }
        }
        resources.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        resources.iter().for_each(|resource| self.hold(now, resource));
        content.resources = resources;
        content
    }

    fn settle(
        &mut self,
        now: Instant,
        resources: Vec<Arc<EncodedResource>>,
        remove_until: Option<Instant>,
    ) -> Content {
        let is_due = |since: Instant| remove_until.is_some_and(|until| since <= until);
        let mut removed: Vec<_> = std::mem::take(&mut self.absent).into_iter().collect();
        self.departing.retain(|name, since| {
            let stays = !is_due(*since);
            if !stays {
                removed.push(Arc::clone(name));
                self.deleted.extend(self.subscription.names().get(name).cloned());
            }
            stays
        });
        removed.iter().for_each(|name| self.release(name));
        resources.iter().for_each(|resource| self.hold(now, resource));
        self.news.clear();
        self.owed = false;
        Content { resources, removed }
    }

    fn hold(&mut self, now: Instant, resource: &Arc<EncodedResource>) {
        let sent = match self.held.remove(&resource.name) {
            Some(Held::Sent(previous)) => {
                self.digest = self.digest.wrapping_sub(hash(&previous.resource));
                previous.again(now, self.responses, resource)
            }
            _ => Sent::new(now, self.responses, resource),
        };
        self.digest = self.digest.wrapping_add(hash(resource));
        self.held.insert(Arc::clone(&resource.name), Held::Sent(sent));
    }

    /// The client has accepted the latest response.
    pub(super) fn on_ack(&mut self) {
        // Nothing to enter, unless something in it had been refused before.
        if std::mem::take(&mut self.has_refused) {
            let latest = self.responses;
            for sent in self.held.values_mut().filter_map(Held::sent_mut) {
                sent.is_refused &= sent.response != latest;
                self.has_refused |= sent.is_refused;
            }
        }
    }

    /// The client has refused the latest response: whatever was new in it.
    pub(super) fn on_nack(&mut self) {
        self.has_refused = true;
        let latest = self.responses;
        for sent in self.held.values_mut().filter_map(Held::sent_mut) {
            sent.is_refused |= sent.response == latest;
        }
    }

    /// Whether the latest response has the first answer to this to come.
    pub(super) fn is_latest(&self, sent: &Sent) -> bool {
        sent.response == self.responses
    }

    pub(super) fn held(&self, name: &str) -> Option<&Held> {
        self.held.get(name)
    }

    pub(super) fn held_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.held.keys()
    }

    pub(super) fn is_news(&self, name: &str) -> bool {
        self.news.contains(name)
    }

    /// Whether the client has, or had until it was deleted, something of this name from this stream.
    pub(super) fn was_told(&self, name: &str) -> bool {
        self.is_deleted(name) || matches!(self.held.get(name), Some(Held::Sent(_)))
    }

    /// Whether the client was told that this is no more, and still asks for it by name.
    pub(super) fn is_deleted(&self, name: &str) -> bool {
        self.deleted.contains(name)
    }

    /// The hash of all that the client holds once it has applied the response: the same after a restart.
    pub(super) fn version(&self) -> Arc<str> {
        format!("{:016x}", self.digest).into()
    }
}

fn hash(resource: &EncodedResource) -> u64 {
    let mut hash = XxHash64::with_seed(0);
    for part in [&resource.name, &resource.version] {
        hash.write(part.as_bytes());
        hash.write_u8(0xff);
    }
    hash.finish()
}
