//! A cluster's endpoints and their ids.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointAddresses, EndpointSet, LocalityId};
use crate::policy::lb::{EndpointId, EndpointLoad, LbEndpoint};
use crate::runtime::accounting::Accounting;
use crate::runtime::connect::Connect;

use super::Slot;
use super::leaf::LeafId;
use super::listing::Listing;
use super::mailbox::Mailbox;
use super::published::Slots;
use super::slot::EndpointState;
use super::subchannel::{Subchannel, Subscription};

/// A cluster's endpoints by id, over all its leaves. An endpoint keeps its id as long as it stays in its leaf, whatever
/// moves around it; one that two leaves have is there twice.
///
/// An update costs as much as differs from the last one: endpoints that are the same are not looked at.
pub(super) struct Endpoints<C: Connect> {
    entries: Vec<Option<Entry<C>>>,
    /// Lowest first, so that the ids stay dense.
    free: BinaryHeap<Reverse<EndpointId>>,
    /// What the last updates have, as the request path sees it.
    slots: Slots<C::Connection>,
    /// What endpoints held that left and came back before they were swept away.
    returned: Vec<(EndpointId, Subscription<C>)>,
    /// Of the cluster's task.
    mailbox: Arc<Mailbox<C::Connection>>,
}

pub(super) struct Entry<C: Connect> {
    pub(super) leaf: LeafId,
    pub(super) slot: Arc<Slot<C::Connection>>,
    /// There once a connection has been wanted; it remembers the backoff.
    pub(super) subchannel: Option<Arc<Subchannel<C>>>,
    /// There while a connection is wanted.
    pub(super) subscription: Option<Subscription<C>>,
    /// Its connection was ended for want of calls, and the balancer takes it for ready.
    pub(super) is_resting: bool,
    /// How often the last update has it. If not at all, it goes with the next sweep.
    uses: usize,
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

    /// Takes over a leaf's new set. Endpoints that are no longer in it stay until [`sweep`](Self::sweep), so that they can
    /// be dropped after nobody picks them any more.
    pub(super) fn update(&mut self, listing: &mut Listing, set: &EndpointSet) {
        let was_repeated = listing.repeated > 0;
        let mut translation = std::mem::take(&mut listing.translation);
        let translate = |endpoint: &_, locality: &_| self.translate(listing, endpoint, locality);
        for id in translation.follow(set, translate) {
            self.release(listing, id);
        }
        if was_repeated || listing.repeated > 0 {
            // Which one counts may be another one now.
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

    /// What the balancer knows of an endpoint; one use more.
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
            hash_key: endpoint.hash_key.clone(),
            load: self.occupy(listing, id).unwrap_or_default(),
        }
    }

    /// One use more. `None`: there is no such endpoint.
    fn occupy(&mut self, listing: &mut Listing, id: EndpointId) -> Option<Arc<EndpointLoad>> {
        let entry = self.entries.get_mut(id.0 as usize)?.as_mut()?;
        entry.uses += 1;
        match entry.uses {
            // The balancer has forgotten it, if it ever knew it, and takes it for idle: when it asks for a connection,
            // it is to be told anew.
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

    /// One use less. The last one takes the endpoint away from the request path.
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
        let slot = Arc::new(Slot {
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
            uses: 0,
        };
        self.entries[id.0 as usize] = Some(entry);
        id
    }

    /// Lets the request path see an endpoint as it is now.
    fn show(&mut self, id: EndpointId, endpoint: &Endpoint, locality: &Arc<LocalityId>) {
        let at = id.0 as usize;
        let Some(entry) = self.entries.get_mut(at).and_then(Option::as_mut) else { return };
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

    /// A leaf's connections are made anew, when they are wanted again.
    pub(super) fn forget_subchannels(&mut self, leaf: LeafId) {
        let entries = self.entries.iter_mut().flatten().filter(|entry| entry.leaf == leaf);
        entries.for_each(|entry| entry.subchannel = None);
    }

    /// A leaf's calls are accounted for here from now on.
    pub(super) fn set_accounting(&mut self, listing: &mut Listing, accounting: &Arc<Accounting>) {
        listing.accounting = accounting.clone();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry.as_mut().filter(|entry| entry.leaf == listing.leaf) else { continue };
            let slot = &entry.slot;
            entry.slot = Arc::new(Slot {
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

    /// What endpoints held that left and came back since the last time; to be dropped after the next publication.
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

    /// Drops what a leaf's last update did not have, and with it the wish for its connections.
    pub(super) fn sweep(&mut self, listing: &mut Listing) {
        for id in std::mem::take(&mut listing.left) {
            let Some(place) = self.entries.get_mut(id.0 as usize) else { continue };
            if let Some(entry) = place.take_if(|entry| entry.uses == 0) {
                listing.ids.remove(&entry.slot.addresses.identity());
                self.free.push(Reverse(id));
            }
        }
    }

    /// What the last updates have, as the request path sees it.
    pub(super) fn slots(&self) -> Slots<C::Connection> {
        self.slots.clone()
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Entry<C>> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    /// The endpoints whose connections were ended for want of calls.
    pub(super) fn resting(&self) -> Vec<EndpointId> {
        let entries = (0..).map(EndpointId).zip(&self.entries);
        entries
            .filter(|(_, entry)| entry.as_ref().is_some_and(|entry| entry.is_resting))
            .map(|(id, _)| id)
            .collect()
    }

    /// Whether a connection to any of them is wanted.
    pub(super) fn are_wanted(&self) -> bool {
        self.entries.iter().flatten().any(|entry| entry.subscription.is_some())
    }

    /// How many there are, those included that a sweep will drop.
    pub(super) fn count(&self) -> usize {
        self.entries.iter().flatten().count()
    }
}

impl<C: Connect> Drop for Entry<C> {
    fn drop(&mut self) {
        // Publications that are still in someone's hands hold on to the slot, but must not hold on to the connection.
        self.slot.state.set_connections(None);
    }
}

impl<C: Connect> fmt::Debug for Endpoints<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("count", &self.count()).finish_non_exhaustive()
    }
}
