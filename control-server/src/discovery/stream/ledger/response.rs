//! The content of the next response.

use std::sync::Arc;
use std::time::Instant;

use super::Ledger;
use crate::discovery::stream::held::Held;
use crate::discovery::stream::subject::{Content, Subject};
use crate::discovery::stream::subscription::is_respelt;
use crate::resources::{ResourceSet, is_server_listener};

impl<S: Subject> Ledger<S> {
    /// As [`AnyLedger::take_changes`](super::AnyLedger::take_changes).
    pub(super) fn changes(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        remove_until: Option<Instant>,
    ) -> Content {
        self.responses += 1;
        let mut content = Content::default();
        for name in std::mem::take(&mut self.pending) {
            if let Some(subject) = self.find(set, &name) {
                subject.tell(self.held.get(&name), &mut content);
                self.hold(now, &subject);
                self.unanswered.extend(self.is_delta.then_some((name, subject)));
            }
        }
        self.take_removals(remove_until, &mut content);
        content
    }

    /// As [`AnyLedger::take_full_state`](super::AnyLedger::take_full_state).
    pub(super) fn full_state(
        &mut self,
        now: Instant,
        set: &ResourceSet,
        remove_until: Option<Instant>,
    ) -> Content {
        self.responses += 1;
        let mut content = Content::default();
        self.take_removals(remove_until, &mut content);
        let wildcard = self.subscription.is_wildcard();
        let all = if wildcard { self.all(set) } else { Vec::new() };
        // The wildcard stands for no listener of a server: their addresses are not known.
        let is_asked = |name: &str| is_respelt(self.slot, name) || is_server_listener(name);
        let named = self.subscription.names().iter().filter(|name| !wildcard || is_asked(name));
        let named = named.filter_map(|name| self.find(set, name));
        let mut subjects: Vec<_> = all.into_iter().cloned().chain(named).collect();
        let departing: Vec<_> = self.departing.keys().cloned().collect();
        for name in departing {
            if let Some(Held::Sent(kept)) = self.held.get(&name) {
                subjects.push(Arc::clone(&kept.subject));
                continue;
            }
            // A resource from an earlier stream cannot be repeated: any full response removes it.
            self.departing.remove(&name);
            let before = self.release(&name);
            S::tell_removed(&name, before.as_ref(), &mut content);
        }
        subjects.sort_unstable_by(|left, right| left.name().cmp(right.name()));
        for subject in &subjects {
            self.hold(now, subject);
            subject.tell(None, &mut content);
        }
        content
    }

    /// The removals up to an instant; afterwards none is due any more.
    fn take_removals(&mut self, remove_until: Option<Instant>, content: &mut Content) {
        let is_due = |since: &Instant| remove_until.is_some_and(|until| *since <= until);
        let departed = self.departing.iter().filter(|(_, since)| is_due(since)).map(|(name, _)| name.clone());
        let departed: Vec<_> = departed.collect();
        let names = self.subscription.names();
        self.deleted.extend(departed.iter().filter(|name| names.contains(*name)).cloned());
        let mut gone: Vec<_> = std::mem::take(&mut self.absent).into_iter().collect();
        gone.extend(departed);
        for name in &gone {
            self.departing.remove(name);
            let before = self.release(name);
            S::tell_removed(name, before.as_ref(), content);
        }
        self.pending.clear();
        self.must_answer = false;
    }
}
