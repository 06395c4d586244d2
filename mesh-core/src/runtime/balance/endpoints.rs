//! A cluster's endpoints and their ids.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointAddresses, EndpointSet, LocalityId};
use crate::policy::lb::{EndpointId, EndpointLoad, LbEndpoint};
use crate::runtime::accounting::Accounting;
use crate::runtime::connect::Connect;
use crate::sharded::Refs;

use super::Slot;
use super::leaf::LeafId;
use super::listing::Listing;
use super::mailbox::Mailbox;
use super::published::Slots;
use super::slot::EndpointState;
use super::subchannel::Subchannel;
use super::subscription::Subscription;

/// A cluster's endpoints by id, over all its leaves. An endpoint keeps its id while it stays in its leaf; an endpoint of two
/// leaves has two ids.
///
/// The cost of an update grows with its difference from the last one: unchanged endpoints are not read.
pub(super) struct Endpoints<C: Connect> {
    entries: Vec<Option<Entry<C>>>,
    /// Lowest first, so that the ids stay dense.
    free: BinaryHeap<Reverse<EndpointId>>,
    /// The endpoints of the last updates, for the request path.
    slots: Slots<C::Connection>,
    /// Subscriptions of endpoints that were removed and added again before a sweep.
    returned: Vec<(EndpointId, Subscription<C>)>,
    /// The events of the cluster's task.
    mailbox: Arc<Mailbox<C::Connection>>,
}

pub(super) struct Entry<C: Connect> {
    pub(super) leaf: LeafId,
    pub(super) slot: Arc<Refs<Slot<C::Connection>>>,
    /// Set when a connection is first wanted; keeps the backoff.
    pub(super) subchannel: Option<Arc<Subchannel<C>>>,
    /// Set while a connection is wanted.
    pub(super) subscription: Option<Subscription<C>>,
    /// Its connection was closed after the idle timeout; the balancer still counts the endpoint as ready.
    pub(super) is_resting: bool,
    /// Its publications wake all calls that wait: a call of a session has waited for it.
    pub(super) is_for_session: bool,
    /// It drains, and is kept for its sessions although the balancer does not know it.
    is_draining: bool,
    /// How often the last update lists it. If zero, the next sweep drops it, unless it drains.
    uses: u32,
}

impl<C: Connect> Endpoints<C> {
    /// No endpoints yet.
    pub(super) fn new(mailbox: Arc<Mailbox<C::Connection>>) -> Self {
        Self {
            entries: Vec::new(),
            free: BinaryHeap::new(),
            slots: Slots::default(),
            returned: Vec::new(),
            mailbox,
        }
    }

    /// Sets a leaf's endpoints. Removed endpoints stay until [`sweep`](Self::sweep), so that they can be dropped after a
    /// publication whose picker does not pick them.
    pub(super) fn update(&mut self, listing: &mut Listing, set: &EndpointSet) {
        let was_repeated = listing.repeated > 0;
        let mut translation = std::mem::take(&mut listing.translation);
        let translate = |endpoint: &_, locality: &_| self.translate(listing, endpoint, locality);
        for id in translation.follow(set, translate) {
            self.release(listing, id);
        }
        if was_repeated || listing.repeated > 0 {
            // Another one of the repeated endpoints may be the first now.
            let mut seen = vec![false; self.entries.len()];
            translation.all(|id, endpoint, locality| {
                if let Some(false) = seen.get_mut(id.0 as usize).map(|seen| std::mem::replace(seen, true)) {
                    self.show(id, endpoint, locality);
                }
            });
        } else {
            translation.brought(|id, endpoint, locality| self.show(id, endpoint, locality));
        }
        listing.translation = translation;
    }

    /// An endpoint for the balancer; counts one more use of it.
    fn translate(
        &mut self,
        listing: &mut Listing,
        endpoint: &Endpoint,
        locality: &Arc<LocalityId>,
    ) -> LbEndpoint {
        let identity = endpoint.addresses.identity();
        let id = match listing.ids.get(&identity) {
            Some(id) => *id,
            None => {
                let id = self.allocate(listing, endpoint, locality);
                listing.ids.insert(identity, id);
                id
            }
        };
        LbEndpoint {
            id,
            addresses: endpoint.addresses.clone(),
            weight: endpoint.weight.get(),
            details: endpoint.details.clone(),
            load: self.occupy(listing, id).unwrap_or_default(),
        }
    }

    /// Counts one more use. `None`: there is no such endpoint.
    fn occupy(&mut self, listing: &mut Listing, id: EndpointId) -> Option<Arc<EndpointLoad>> {
        let entry = self.entries.get_mut(id.0 as usize)?.as_mut()?;
        entry.uses += 1;
        match entry.uses {
            // To the balancer the endpoint is new, and idle: it gets the state when it requests a connection.
            1 => {
                self.returned.extend(entry.subscription.take().map(|subscription| (id, subscription)));
                entry.is_resting = false;
                listing.turnover.joined.push((id, entry.slot.load.clone()));
            }
            2 => listing.repeated += 1,
            _ => {}
        }
        Some(entry.slot.load.clone())
    }

    /// Counts one use less. The last one removes the endpoint from the request path.
    fn release(&mut self, listing: &mut Listing, id: EndpointId) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.uses = entry.uses.saturating_sub(1);
        match entry.uses {
            0 => {
                self.slots.set(id.0 as usize, None);
                listing.left.push(id);
                listing.turnover.left.push(id);
            }
            1 => listing.repeated -= 1,
            _ => {}
        }
    }

    fn allocate(&mut self, listing: &Listing, endpoint: &Endpoint, locality: &Arc<LocalityId>) -> EndpointId {
        let id = match self.free.pop() {
            Some(Reverse(id)) => id,
            None => {
                self.entries.push(None);
                self.slots.push(None);
                EndpointId((self.entries.len() - 1) as u32)
            }
        };
        let slot = new_slot(Slot {
            load: Arc::default(),
            addresses: endpoint.addresses.clone(),
            locality: locality.clone(),
            hostname: endpoint.hostname.clone(),
            reported: listing.accounting.locality(locality),
            accounting: listing.accounting.clone(),
            state: Arc::new(EndpointState::new(id, &self.mailbox)),
        });
        let entry = Entry {
            leaf: listing.leaf,
            slot,
            subchannel: None,
            subscription: None,
            is_resting: false,
            is_for_session: false,
            is_draining: false,
            uses: 0,
        };
        self.entries[id.0 as usize] = Some(entry);
        id
    }

    /// Sets the endpoint that the request path sees.
    fn show(&mut self, id: EndpointId, endpoint: &Endpoint, locality: &Arc<LocalityId>) {
        let at = id.0 as usize;
        let Some(entry) = self.entries.get_mut(at).and_then(Option::as_mut) else { return };
        let slot = &entry.slot;
        let proxy = slot.proxy();
        slot.state.set_details(endpoint.details.as_ref());
        slot.state.session.set_health(endpoint.health);
        let reordered = slot.addresses != endpoint.addresses;
        if slot.hostname != endpoint.hostname || slot.proxy() != proxy {
            // The next connection has the new name and proxy.
            entry.subchannel = None;
        }
        if let Some(subchannel) = entry.subchannel.as_ref().filter(|_| reordered) {
            subchannel.prefer(&endpoint.addresses);
        }
        if reordered || slot.locality != *locality || slot.hostname != endpoint.hostname {
            entry.slot = new_slot(Slot {
                load: slot.load.clone(),
                addresses: endpoint.addresses.clone(),
                locality: locality.clone(),
                hostname: endpoint.hostname.clone(),
                reported: slot.accounting.locality(locality),
                accounting: slot.accounting.clone(),
                state: slot.state.clone(),
            });
        }
        let shown = self.slots.get(at).and_then(Option::as_ref);
        if shown.is_none_or(|shown| !Arc::ptr_eq(shown, &entry.slot)) {
            self.slots.set(at, Some(entry.slot.clone()));
        }
    }

    /// Keeps a draining endpoint. `None`: the last update lists it as a serving one, too.
    pub(super) fn drain(
        &mut self,
        listing: &mut Listing,
        endpoint: &Endpoint,
        locality: &Arc<LocalityId>,
    ) -> Option<EndpointId> {
        let identity = endpoint.addresses.identity();
        let id = match listing.ids.get(&identity) {
            Some(id) => *id,
            None => {
                let id = self.allocate(listing, endpoint, locality);
                listing.ids.insert(identity, id);
                id
            }
        };
        let entry = self.get_mut(id)?;
        if entry.uses > 0 {
            return None;
        }
        entry.is_draining = true;
        self.show(id, endpoint, locality);
        Some(id)
    }

    /// An endpoint drains no more. Returns whether it is gone.
    pub(super) fn end_draining(&mut self, listing: &mut Listing, id: EndpointId) -> bool {
        let Some(entry) = self.get_mut(id) else { return false };
        entry.is_draining = false;
        let is_gone = entry.uses == 0;
        if is_gone {
            self.slots.set(id.0 as usize, None);
            listing.left.push(id);
        }
        is_gone
    }

    /// Drops a leaf's subchannels, so that its connections are made anew when they are wanted again.
    pub(super) fn forget_subchannels(&mut self, leaf: LeafId) {
        let entries = self.entries.iter_mut().flatten().filter(|entry| entry.leaf == leaf);
        entries.for_each(|entry| entry.subchannel = None);
    }

    /// Counts a leaf's calls in `accounting` from now on.
    pub(super) fn set_accounting(&mut self, listing: &mut Listing, accounting: &Arc<Accounting>) {
        listing.accounting = accounting.clone();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry.as_mut().filter(|entry| entry.leaf == listing.leaf) else { continue };
            let slot = &entry.slot;
            entry.slot = new_slot(Slot {
                load: slot.load.clone(),
                addresses: slot.addresses.clone(),
                locality: slot.locality.clone(),
                hostname: slot.hostname.clone(),
                reported: accounting.locality(&slot.locality),
                accounting: accounting.clone(),
                state: slot.state.clone(),
            });
            if self.slots.get(at).is_some_and(Option::is_some) {
                self.slots.set(at, Some(entry.slot.clone()));
            }
        }
    }

    /// Subscriptions of endpoints that were removed and added again since the last call; the caller drops them after the next
    /// publication.
    pub(super) fn take_returned(&mut self) -> Vec<(EndpointId, Subscription<C>)> {
        std::mem::take(&mut self.returned)
    }

    /// An endpoint's addresses.
    pub(super) fn addresses(&self, id: EndpointId) -> Option<&EndpointAddresses> {
        Some(&self.entries.get(id.0 as usize)?.as_ref()?.slot.addresses)
    }

    /// The leaf that has an endpoint.
    pub(super) fn leaf(&self, id: EndpointId) -> Option<LeafId> {
        Some(self.entries.get(id.0 as usize)?.as_ref()?.leaf)
    }

    /// Drops a leaf's endpoints that its last update did not list, with their subscriptions.
    pub(super) fn sweep(&mut self, listing: &mut Listing) {
        for id in std::mem::take(&mut listing.left) {
            let Some(place) = self.entries.get_mut(id.0 as usize) else { continue };
            if let Some(entry) = place.take_if(|entry| entry.uses == 0 && !entry.is_draining) {
                let identity = entry.slot.addresses.identity();
                // An endpoint that has replaced it has another id.
                if listing.ids.get(&identity) == Some(&id) {
                    listing.ids.remove(&identity);
                }
                self.free.push(Reverse(id));
            }
        }
    }

    /// The endpoints of the last updates, for the request path.
    pub(super) fn slots(&self) -> Slots<C::Connection> {
        self.slots.clone()
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Entry<C>> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    /// The connected endpoints of a leaf.
    pub(super) fn connected(&self, leaf: LeafId) -> Vec<(EndpointId, Arc<Slot<C::Connection>>)> {
        let entries = (0..).map(EndpointId).zip(&self.entries);
        let connected = entries.filter_map(|(id, entry)| {
            let entry = entry.as_ref().filter(|entry| entry.leaf == leaf)?;
            entry.slot.is_connected().then(|| (id, entry.slot.value().clone()))
        });
        connected.collect()
    }

    /// The endpoints whose connections were closed after the idle timeout.
    pub(super) fn resting(&self) -> Vec<EndpointId> {
        let entries = (0..).map(EndpointId).zip(&self.entries);
        entries
            .filter(|(_, entry)| entry.as_ref().is_some_and(|entry| entry.is_resting))
            .map(|(id, _)| id)
            .collect()
    }

    /// The endpoints to which a connection is wanted.
    pub(super) fn wanted(&self) -> Vec<EndpointId> {
        let entries = (0..).map(EndpointId).zip(&self.entries);
        entries
            .filter(|(_, entry)| entry.as_ref().is_some_and(|entry| entry.subscription.is_some()))
            .map(|(id, _)| id)
            .collect()
    }

    /// Whether a connection to any endpoint is wanted.
    pub(super) fn are_wanted(&self) -> bool {
        self.entries.iter().flatten().any(|entry| entry.subscription.is_some())
    }

    /// The number of endpoints, with those that the next sweep drops.
    pub(super) fn count(&self) -> usize {
        self.entries.iter().flatten().count()
    }
}

fn new_slot<T>(slot: Slot<T>) -> Arc<Refs<Slot<T>>> {
    Arc::new(Refs::new(slot))
}

impl<C: Connect> Drop for Entry<C> {
    fn drop(&mut self) {
        // A call may still hold an old publication and with it the slot, which must not keep the connection open.
        self.slot.state.set_connections(None);
    }
}

impl<C: Connect> fmt::Debug for Endpoints<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("count", &self.count()).finish_non_exhaustive()
    }
}
