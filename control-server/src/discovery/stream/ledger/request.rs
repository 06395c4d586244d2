//! What a request changes in the ledger.

use std::sync::Arc;
use std::time::Instant;

use super::Ledger;
use crate::discovery::stream::any_ledger::AnyLedger as _;
use crate::discovery::stream::held::{Held, Sent};
use crate::discovery::stream::request::Ask;
use crate::discovery::stream::subject::Subject;
use crate::discovery::stream::subscription::{SubscriptionChange, Wildcard};
use crate::resources::ResourceSet;

impl<S: Subject> Ledger<S> {
    /// As [`AnyLedger::ask`](super::AnyLedger::ask).
    pub(super) fn take_request(
        &mut self,
        now: Instant,
        ask: &Ask,
        is_first: bool,
        set: Option<&ResourceSet>,
    ) -> SubscriptionChange {
        let rule = if self.slot.kind().is_full_state() { Wildcard::Known } else { Wildcard::Unknown };
        // Names are allocated once, by the resource's owner.
        let (slot, scope) = (self.slot, Arc::clone(&self.scope));
        let known = |name: &str| set.and_then(|set| S::find(set, slot, &scope, name));
        let shared =
            |name: &str| known(name).map_or_else(|| Arc::from(name), |found| Arc::clone(found.name()));
        let change = match ask {
            Ask::Whole { names, .. } => self.subscription.replace(names, rule, shared),
            Ask::Change { subscribe, unsubscribe, .. } => {
                self.subscription.change(subscribe, unsubscribe, rule, shared)
            }
        };
        if is_first {
            self.claim(ask);
        }
        self.enter(now, &change, is_first, set);
        change
    }

    /// Records what the client has from an earlier stream.
    fn claim(&mut self, ask: &Ask) {
        let claims = match ask {
            Ask::Whole { version, .. } if version.is_empty() || !self.removes() => return,
            // The versions of these names are unknown.
            Ask::Whole { .. } => {
                let names = self.subscription.names().iter();
                names.map(|name| (Arc::clone(name), S::Claim::default())).collect()
            }
            // TR-49
            Ask::Change { holds, .. } => S::claims(holds, &self.subscription),
        };
        // A client that has resources gets a response, so that it learns that the server is alive.
        self.must_answer |= self.is_delta && !claims.is_empty();
        self.held.extend(claims.into_iter().map(|(name, claim)| (name, Held::Claimed(claim))));
    }

    fn enter(
        &mut self,
        now: Instant,
        change: &SubscriptionChange,
        is_first: bool,
        set: Option<&ResourceSet>,
    ) {
        self.must_answer |= change.wildcard == Some(true);
        if change.wildcard == Some(false) {
            let gone = self.held.keys().chain(&self.pending).chain(&self.absent);
            let gone: Vec<_> = gone.filter(|name| !self.subscription.wants(name)).cloned().collect();
            gone.iter().for_each(|name| self.forget(name));
        }
        // CS-13: under delta, a client with the wildcard learns the state of a name that it unsubscribed.
        let is_told = |name: &&Arc<str>| self.is_delta || !self.subscription.wants(name);
        let left: Vec<_> = change.removed.iter().filter(is_told).collect();
        left.iter().for_each(|name| self.forget(name));
        // CS-03, CS-11: newly subscribed resources are sent even if the client has them; but not the presented ones.
        if !is_first {
            change.added.iter().chain(&change.again).for_each(|name| self.doubt(now, name));
        }
        let Some(set) = set else { return };
        if change.wildcard == Some(true) {
            // A resource that was unsubscribed while unanswered may be subscribed again when it arrives.
            for (name, subject) in &self.unanswered {
                let perhaps = || Held::Sent(Sent::new(now, 0, subject)).doubted();
                self.held.entry(Arc::clone(name)).or_insert_with(perhaps);
            }
            self.review_all(now, set);
        }
        for name in left.into_iter().chain(&change.added).chain(&change.again) {
            self.review(now, set, name);
            self.note_absence(set, name);
        }
    }

    /// As [`forget`](Self::forget), for a name that the client is still subscribed to.
    fn doubt(&mut self, now: Instant, name: &Arc<str>) {
        let before = self.release(name);
        self.forget(name);
        if S::HAS_MEMBERS {
            let on_its_way = || Some(Held::Sent(Sent::new(now, 0, self.unanswered.get(name)?)));
            let before = before.or_else(on_its_way);
            let perhaps = before.map(|before| (Arc::clone(name), before.doubted()));
            self.held.extend(perhaps);
        }
    }
}
