//! What a request changes in the books.

use std::sync::Arc;
use std::time::Instant;

use super::Ledger;
use crate::discovery::stream::books::Books as _;
use crate::discovery::stream::held::{Held, Sent};
use crate::discovery::stream::request::Ask;
use crate::discovery::stream::subject::Subject;
use crate::discovery::stream::subscription::{Turn, Wildcard};
use crate::resources::ResourceSet;

impl<S: Subject> Ledger<S> {
    /// As [`Books::ask`](super::Books::ask).
    pub(super) fn take_request(
        &mut self,
        now: Instant,
        ask: &Ask,
        is_first: bool,
        set: Option<&ResourceSet>,
    ) -> Turn {
        let rule = if self.slot.kind().is_full_state() { Wildcard::Known } else { Wildcard::Unknown };
        // Names are allocated once, by whoever made the resource.
        let known = |name: &str| set.and_then(|set| S::find(set, self.slot, name));
        let shared =
            |name: &str| known(name).map_or_else(|| Arc::from(name), |found| Arc::clone(found.name()));
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
        let claims = match ask {
            Ask::Whole { version, .. } if version.is_empty() || !self.removes() => return,
            // Which versions it holds, nobody knows.
            Ask::Whole { .. } => {
                let names = self.subscription.names().iter();
                names.map(|name| (Arc::clone(name), S::Claim::default())).collect()
            }
            // TR-49
            Ask::Change { holds, .. } => S::claims(holds, &self.subscription),
        };
        // Whoever has something is answered, so that it knows that somebody is there.
        self.owed |= self.is_delta && !claims.is_empty();
        self.held.extend(claims.into_iter().map(|(name, claim)| (name, Held::Claimed(claim))));
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
            turn.added.iter().chain(&turn.again).for_each(|name| self.doubt(now, name));
        }
        let Some(set) = set else { return };
        if turn.wildcard == Some(true) {
            // What was unsubscribed while it was on its way may be welcome again when it arrives.
            for (name, subject) in &self.on_the_way {
                let perhaps = || Held::Sent(Sent::new(now, 0, subject)).doubted();
                self.held.entry(Arc::clone(name)).or_insert_with(perhaps);
            }
            self.review_all(now, set);
        }
        for name in left.into_iter().chain(&turn.added).chain(&turn.again) {
            self.review(now, set, name);
            self.note_absence(set, name);
        }
    }

    /// As [`forget`](Self::forget), of a name that the client wants all the same.
    fn doubt(&mut self, now: Instant, name: &Arc<str>) {
        let before = self.release(name);
        self.forget(name);
        if S::HAS_MEMBERS {
            let on_its_way = || Some(Held::Sent(Sent::new(now, 0, self.on_the_way.get(name)?)));
            let before = before.or_else(on_its_way);
            let perhaps = before.map(|before| (Arc::clone(name), before.doubted()));
            self.held.extend(perhaps);
        }
    }
}
