//! Picks the endpoint of a hash.

use std::sync::{Arc, OnceLock};

use rand::Rng;

use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::picker::no_endpoint;
use crate::policy::lb::{Pick, PickContext, Picker, UniformPick};
use crate::shared::SharedTable;

use super::seats::Shown;
use super::{Seat, View};

/// Picks the endpoint of a hash, by the states of endpoints when the picker was made.
#[derive(Debug)]
pub(super) struct HashPicker<V> {
    view: V,
    seats: SharedTable<Shown>,
    /// The last error of each endpoint.
    errors: SharedTable<Option<Arc<str>>>,
    /// The texts with which calls fail, by their first endpoint: the first text of each group of seats is kept.
    failures: [OnceLock<(Option<Seat>, Arc<str>)>; KEPT_FAILURES],
    is_all_failed: bool,
    note: Option<Arc<str>>,
}

const KEPT_FAILURES: usize = 16;

impl<V: View> HashPicker<V> {
    pub(super) fn new(
        view: V,
        seats: SharedTable<Shown>,
        errors: SharedTable<Option<Arc<str>>>,
        is_all_failed: bool,
        note: Option<Arc<str>>,
    ) -> Self {
        Self { view, seats, errors, failures: Default::default(), is_all_failed, note }
    }

    /// The endpoints of the entries that count, from the hash's place on.
    #[inline]
    fn walk(&self, hash: u64) -> impl Iterator<Item = (Seat, &Shown)> {
        let shown = |seat: Seat| self.seats.get(seat as usize);
        let entries = self.view.walk(hash).filter_map(move |entry| Some((entry, shown(entry.seat)?)));
        entries
            .filter(|(entry, shown)| entry.number < shown.entries)
            .map(|(entry, shown)| (entry.seat, shown))
    }

    #[cold]
    fn fail(&self, first: Option<Seat>) -> Pick {
        let error = || first.and_then(|first| self.errors.get(first as usize)?.as_deref());
        let text = || no_endpoint(error(), self.note.as_deref());
        let kept = &self.failures[first.unwrap_or_default() as usize % KEPT_FAILURES];
        let (whose, failure) = kept.get_or_init(|| (first, text()));
        Pick::Fail(if *whose == first { failure.clone() } else { text() })
    }
}

impl<V: View> Picker for HashPicker<V> {
    /// LB-39: the first endpoint after the hash that has not failed.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        // RT-73: without a hash, a random one
        let hash = context.hash.unwrap_or_else(|| rng.next_u64());
        let first = |picker: &Self| picker.walk(hash).next().map(|(seat, _)| seat);
        if self.is_all_failed {
            return self.fail(first(self));
        }
        for (_, shown) in self.walk(hash) {
            match shown.phase {
                Phase::Ready => return Pick::Endpoint(shown.id),
                Phase::Idle => return Pick::Wait(Some(shown.id)),
                Phase::Connecting => return Pick::Wait(None),
                Phase::Failed => {}
            }
        }
        self.fail(first(self))
    }

    fn uniform(&self) -> Option<UniformPick> {
        self.is_all_failed.then_some(UniformPick::Fail)
    }
}
