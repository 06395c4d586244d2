//! Picks the endpoint of a hash.

use std::hash::Hasher;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName};
use rand::Rng;
use twox_hash::XxHash64;

use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::picker::no_endpoint;
use crate::policy::lb::{Pick, PickContext, Picker, UniformPick};
use crate::shared::SharedTable;

use super::seats::Shown;
use super::{Seat, View};

/// What calls are hashed by.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// The hash that the route gives a call.
    Route,
    /// This header (gRFC A76).
    Header(HeaderName),
}

/// The endpoints' states in sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phases {
    pub(super) is_all_failed: bool,
    /// An endpoint is being connected.
    pub(super) is_connecting: bool,
}

/// Picks the endpoint of a hash, by the states of endpoints when the picker was made.
#[derive(Debug)]
pub(super) struct HashPicker<V> {
    key: Key,
    view: V,
    seats: SharedTable<Shown>,
    /// The last error of each endpoint.
    errors: SharedTable<Option<Arc<str>>>,
    /// The texts with which calls fail, by their first endpoint: the first text of each group of seats is kept.
    failures: [OnceLock<(Option<Seat>, Arc<str>)>; KEPT_FAILURES],
    phases: Phases,
    note: Option<Arc<str>>,
}

const KEPT_FAILURES: usize = 16;

impl<V: View> HashPicker<V> {
    pub(super) fn new(
        key: Key,
        view: V,
        seats: SharedTable<Shown>,
        phases: Phases,
        errors: SharedTable<Option<Arc<str>>>,
        note: Option<Arc<str>>,
    ) -> Self {
        Self { key, view, seats, errors, failures: Default::default(), phases, note }
    }

    /// LB-39: the first endpoint after the hash that has not failed.
    #[inline]
    fn pick_by(&self, hash: u64) -> Pick {
        for (_, shown) in self.walk(hash) {
            match shown.phase {
                Phase::Ready => return Pick::Endpoint(shown.id),
                Phase::Idle => return Pick::Wait(Some(shown.id)),
                Phase::Connecting => return Pick::Wait(None),
                Phase::Failed => {}
            }
        }
        self.fail(self.first(hash))
    }

    /// LB-41: the first endpoint after a random hash that is ready. An idle one before it is connected, unless one is being
    /// connected already.
    #[cold]
    fn pick_ready(&self, hash: u64) -> Pick {
        let mut idle = None;
        for (_, shown) in self.walk(hash) {
            match (shown.phase, idle) {
                (Phase::Ready, Some(idle)) => return Pick::EndpointInstead { endpoint: shown.id, idle },
                (Phase::Ready, None) => return Pick::Endpoint(shown.id),
                (Phase::Idle, None) if !self.phases.is_connecting => idle = Some(shown.id),
                _ => {}
            }
        }
        if idle.is_some() || self.phases.is_connecting {
            Pick::Wait(idle)
        } else {
            self.fail(self.first(hash))
        }
    }

    fn first(&self, hash: u64) -> Option<Seat> {
        self.walk(hash).next().map(|(seat, _)| seat)
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
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let hash = match &self.key {
            Key::Route => context.hash,
            Key::Header(name) => hash_of(context.headers, name),
        };
        let mut drawn = || rng.next_u64();
        if self.phases.is_all_failed {
            return self.fail(self.first(hash.unwrap_or_else(drawn)));
        }
        match (hash, &self.key) {
            (None, Key::Header(_)) => self.pick_ready(drawn()),
            (hash, _) => self.pick_by(hash.unwrap_or_else(drawn)),
        }
    }

    fn uniform(&self) -> Option<UniformPick> {
        self.phases.is_all_failed.then_some(UniformPick::Fail)
    }
}

/// LB-41: of the header's values, joined by commas. `None`: the request does not have it.
fn hash_of(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let mut hasher = XxHash64::with_seed(0);
    hasher.write(values.next()?.as_bytes());
    for value in values {
        hasher.write(b",");
        hasher.write(value.as_bytes());
    }
    Some(hasher.finish())
}
