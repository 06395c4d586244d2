//! The endpoints of a table of hashes: their keys, weights and phases.

use std::collections::BTreeMap;

use crate::config::LocalityId;
use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::endpoint::IdMap;
use crate::policy::lb::weights::share_of_all;
use crate::policy::lb::{EndpointId, LbEndpoint, LbLocality};
use crate::shared::{SharedList, SharedTable};

use super::{Dropped, Seat};

/// The endpoints of a table of hashes. Each keeps its seat while others come and go, so that the table need not change for them.
#[derive(Debug, Default)]
pub(super) struct Seats {
    by_id: IdMap<Seat>,
    free: Vec<Seat>,
    /// What pickers read, by seat.
    shown: SharedTable<Shown>,
    /// By seat.
    held: Vec<Held>,
    /// Taken seats, by key.
    order: Vec<Seat>,
    localities: BTreeMap<LocalityId, Tally>,
    /// The locality of endpoints that the update adds.
    joining: IdMap<LocalityId>,
}

/// An endpoint as pickers see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) id: EndpointId,
    pub(super) phase: Phase,
    /// The number of its entries that count.
    pub(super) entries: u32,
}

#[derive(Debug, Default)]
struct Held {
    /// LB-36: the text whose hashes are the endpoint's places in the table.
    key: Box<str>,
    weight: u32,
    locality: LocalityId,
}

/// The weights of a locality.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    weight: u32,
    /// Of its endpoints.
    endpoints: u64,
}

impl Seats {
    pub(super) fn of(&self, id: EndpointId) -> Option<Seat> {
        self.by_id.get(&id).copied()
    }

    /// What pickers read.
    pub(super) fn shown(&self) -> SharedTable<Shown> {
        self.shown.clone()
    }

    /// Taken seats, by key.
    pub(super) fn order(&self) -> &[Seat] {
        &self.order
    }

    pub(super) fn key(&self, seat: Seat) -> &str {
        &self.held[seat as usize].key
    }

    /// The number of seats, taken or not.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn entries(&self, seat: Seat) -> u32 {
        self.shown.get(seat as usize).map_or(0, |shown| shown.entries)
    }

    pub(super) fn set_entries(&mut self, seat: Seat, entries: u32) {
        if let Some(shown) = self.shown.get(seat as usize).filter(|shown| shown.entries != entries) {
            self.shown.set(seat as usize, Shown { entries, ..*shown });
        }
    }

    pub(super) fn set_phase(&mut self, id: EndpointId, phase: Phase) {
        let Some(seat) = self.of(id) else { return };
        if let Some(shown) = self.shown.get(seat as usize) {
            self.shown.set(seat as usize, Shown { phase, ..*shown });
        }
    }

    /// Whether the endpoint sits under another key than its present one.
    pub(super) fn has_other_key(&self, endpoint: &LbEndpoint) -> bool {
        self.of(endpoint.id).is_some_and(|seat| *self.held[seat as usize].key != *key(endpoint))
    }

    /// Gives an endpoint a seat, or changes its weight if it has one. Returns a new seat.
    pub(super) fn take(&mut self, endpoint: &LbEndpoint, phase: Phase) -> Option<Seat> {
        if let Some(seat) = self.of(endpoint.id) {
            self.reweigh(seat, endpoint);
            return None;
        }
        let seat = self.free.pop().unwrap_or_else(|| {
            self.held.push(Held::default());
            self.shown.push(Shown { id: endpoint.id, phase, entries: 0 });
            (self.held.len() - 1) as Seat
        });
        self.shown.set(seat as usize, Shown { id: endpoint.id, phase, entries: 0 });
        self.by_id.insert(endpoint.id, seat);
        let held = Held { key: key(endpoint), ..Held::default() };
        self.held[seat as usize] = held;
        self.reweigh(seat, endpoint);
        let at = self.place_in_order(seat);
        self.order.insert(at, seat);
        Some(seat)
    }

    /// An endpoint leaves its seat.
    pub(super) fn leave(&mut self, id: EndpointId) -> Option<Dropped> {
        let seat = self.by_id.remove(&id)?;
        let at = self.place_in_order(seat);
        if self.order.get(at) == Some(&seat) {
            self.order.remove(at);
        }
        let Held { key, weight, locality } = std::mem::take(&mut self.held[seat as usize]);
        if let Some(tally) = self.localities.get_mut(&locality) {
            tally.endpoints -= u64::from(weight);
        }
        if let Some(shown) = self.shown.get(seat as usize) {
            self.shown.set(seat as usize, Shown { entries: 0, ..*shown });
        }
        self.free.push(seat);
        Some(Dropped { seat, key })
    }

    fn reweigh(&mut self, seat: Seat, endpoint: &LbEndpoint) {
        let locality = self.joining.remove(&endpoint.id);
        let held = &mut self.held[seat as usize];
        if let Some(tally) = self.localities.get_mut(&held.locality) {
            tally.endpoints = tally.endpoints.saturating_sub(held.weight.into());
        }
        held.weight = endpoint.weight;
        if let Some(locality) = locality {
            held.locality = locality;
        }
        if let Some(tally) = self.localities.get_mut(&held.locality) {
            tally.endpoints += u64::from(held.weight);
        }
    }

    /// Where the seat stands, or belongs, in the order of keys.
    fn place_in_order(&self, seat: Seat) -> usize {
        let own = (self.key(seat), seat);
        self.order.partition_point(|other| (self.key(*other), *other) < own)
    }

    /// Sets the weights of localities, and notes the localities of endpoints that are to take seats.
    pub(super) fn follow_localities(&mut self, old: &[LbLocality], new: &[LbLocality]) {
        let mut known = std::mem::take(&mut self.localities);
        let mut before: BTreeMap<_, _> =
            old.iter().map(|locality| (&locality.id, &locality.endpoints)).collect();
        for locality in new {
            let tally = known.remove(&locality.id).unwrap_or_default();
            self.localities.insert(locality.id.clone(), Tally { weight: locality.weight, ..tally });
            let nothing = SharedList::default();
            let before = before.remove(&locality.id).unwrap_or(&nothing);
            for endpoint in SharedList::changes(before, &locality.endpoints).added {
                self.joining.insert(endpoint.id, locality.id.clone());
            }
        }
    }

    /// LB-37: the shares of the taken seats, in the order of keys.
    pub(super) fn weights(&self) -> impl Iterator<Item = u32> {
        let all: u64 = self.localities.values().map(|tally| u64::from(tally.weight)).sum();
        let mut last: Option<(&LocalityId, u32, u32)> = None;
        self.order.iter().map(move |seat| {
            let Held { weight, locality, .. } = &self.held[*seat as usize];
            // Neighbours are mostly of the same locality and weight.
            if let Some((same, as_heavy, share)) = last
                && as_heavy == *weight
                && same == locality
            {
                return share;
            }
            let tally = self.localities.get(locality).copied().unwrap_or_default();
            let share = share_of_all((tally.weight, all), (*weight, tally.endpoints));
            last = Some((locality, *weight, share));
            share
        })
    }
}

fn key(endpoint: &LbEndpoint) -> Box<str> {
    match endpoint.hash_key() {
        Some(key) => (**key).into(),
        None => endpoint.addresses.first().to_string().into(),
    }
}
