//! A cluster's endpoints and their ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointAddresses, EndpointSet, HealthStatus, Locality, LocalityId};
use crate::policy::lb::{EndpointId, LbEndpoint, LbLocality};
use crate::runtime::connect::Connect;

use super::Slot;
use super::published::Slots;
use super::slot::Line;
use super::subchannel::{Subchannel, Subscription};

/// A cluster's endpoints by id. An endpoint keeps its id as long as it stays, whatever moves around it.
pub(super) struct Endpoints<B: 'static, C: Connect<B>> {
    entries: Vec<Option<Entry<B, C>>>,
    /// By [`EndpointAddresses::identity`]: another order is the same endpoint (LB-29).
    ids: HashMap<EndpointAddresses, EndpointId>,
    /// Lowest first, so that the ids stay dense.
    free: BinaryHeap<Reverse<EndpointId>>,
    /// Counts updates; an entry that an update does not see is removed by it.
    round: u64,
    /// What endpoints held that left and came back before they were swept away.
    returned: Vec<(EndpointId, Subscription<B, C>)>,
}

pub(super) struct Entry<B: 'static, C: Connect<B>> {
    pub(super) slot: Arc<Slot<C::Connection>>,
    /// There once a connection has been wanted; it remembers the backoff.
    pub(super) subchannel: Option<Arc<Subchannel<B, C>>>,
    /// There while a connection is wanted.
    pub(super) subscription: Option<Subscription<B, C>>,
    seen: u64,
}

impl<B: 'static, C: Connect<B>> Endpoints<B, C> {
    /// Takes over a new set. Endpoints that are no longer in it stay until [`sweep`](Self::sweep), so that they can
    /// be dropped after nobody picks them any more.
    pub(super) fn update(&mut self, set: &EndpointSet) -> Vec<Vec<LbLocality>> {
        self.round += 1;
        let mut priorities = Vec::with_capacity(set.priorities.len());
        for priority in &set.priorities {
            priorities.push(priority.localities.iter().map(|locality| self.locality(locality)).collect());
        }
        priorities
    }

    fn locality(&mut self, locality: &Locality) -> LbLocality {
        let id = Arc::new(locality.id.clone());
        let endpoints = locality
            .endpoints
            .iter()
            // EDS-11: draining endpoints take no calls.
            .filter(|endpoint| endpoint.health != HealthStatus::Draining)
            .filter_map(|endpoint| self.endpoint(endpoint, &id))
            .collect();
        LbLocality { id: locality.id.clone(), weight: locality.weight.get(), endpoints }
    }

    /// `None`: this update has the endpoint already.
    fn endpoint(&mut self, endpoint: &Endpoint, locality: &Arc<LocalityId>) -> Option<LbEndpoint> {
        let identity = endpoint.addresses.identity();
        let id = match self.ids.get(&identity) {
            Some(id) => *id,
            None => self.allocate(identity, endpoint, locality),
        };
        let round = self.round;
        let entry = self.entries.get_mut(id.0 as usize)?.as_mut()?;
        let seen = std::mem::replace(&mut entry.seen, round);
        if seen == round {
            return None;
        }
        if seen != NEVER && seen + 1 < round {
            // The balancer has forgotten it and takes it for idle: when it asks for a connection, it is to be told anew.
            self.returned.extend(entry.subscription.take().map(|subscription| (id, subscription)));
        }
        let slot = &entry.slot;
        let reordered = slot.addresses != endpoint.addresses;
        if let Some(subchannel) = entry.subchannel.as_ref().filter(|_| reordered) {
            subchannel.prefer(&endpoint.addresses);
        }
        if reordered || slot.locality != *locality || slot.hostname != endpoint.hostname {
            entry.slot = Arc::new(Slot {
                load: slot.load.clone(),
                addresses: endpoint.addresses.clone(),
                locality: locality.clone(),
                hostname: endpoint.hostname.clone(),
                line: slot.line.clone(),
            });
        }
        Some(LbEndpoint {
            id,
            addresses: entry.slot.addresses.clone(),
            weight: endpoint.weight.get(),
            hash_key: endpoint.hash_key.clone(),
            load: entry.slot.load.clone(),
        })
    }

    fn allocate(
        &mut self,
        identity: EndpointAddresses,
        endpoint: &Endpoint,
        locality: &Arc<LocalityId>,
    ) -> EndpointId {
        let slot = Arc::new(Slot {
            load: Arc::default(),
            addresses: endpoint.addresses.clone(),
            locality: locality.clone(),
            hostname: endpoint.hostname.clone(),
            line: Arc::new(Line::default()),
        });
        let entry = Entry { slot, subchannel: None, subscription: None, seen: NEVER };
        let id = match self.free.pop() {
            Some(Reverse(id)) => {
                self.entries[id.0 as usize] = Some(entry);
                id
            }
            None => {
                self.entries.push(Some(entry));
                EndpointId((self.entries.len() - 1) as u32)
            }
        };
        self.ids.insert(identity, id);
        id
    }

    /// What endpoints held that left and came back since the last time; to be dropped after the next publication.
    pub(super) fn take_returned(&mut self) -> Vec<(EndpointId, Subscription<B, C>)> {
        std::mem::take(&mut self.returned)
    }

    /// Drops what the last update did not have, and with it the wish for its connections.
    pub(super) fn sweep(&mut self) {
        let round = self.round;
        for (id, place) in (0..).map(EndpointId).zip(&mut self.entries) {
            if let Some(entry) = place.take_if(|entry| entry.seen != round) {
                self.ids.remove(&entry.slot.addresses.identity());
                self.free.push(Reverse(id));
            }
        }
    }

    /// What the last update has, as the request path sees it.
    pub(super) fn slots(&self) -> Slots<C::Connection> {
        let present = |entry: &&Entry<B, C>| entry.seen == self.round;
        self.entries
            .iter()
            .map(|entry| entry.as_ref().filter(present).map(|entry| entry.slot.clone()))
            .collect()
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Entry<B, C>> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    /// All endpoints.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (EndpointId, &mut Entry<B, C>)> {
        (0..).map(EndpointId).zip(&mut self.entries).filter_map(|(id, entry)| Some((id, entry.as_mut()?)))
    }
}

impl<B: 'static, C: Connect<B>> Drop for Entry<B, C> {
    fn drop(&mut self) {
        // Publications that are still in someone's hands hold on to the slot, but must not hold on to the connection.
        self.slot.line.connection.store(None);
    }
}

impl<B: 'static, C: Connect<B>> Default for Endpoints<B, C> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            ids: HashMap::new(),
            free: BinaryHeap::new(),
            round: NEVER,
            returned: Vec::new(),
        }
    }
}

impl<B: 'static, C: Connect<B>> fmt::Debug for Endpoints<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("count", &self.ids.len()).finish_non_exhaustive()
    }
}

/// Before the first update.
const NEVER: u64 = 0;
