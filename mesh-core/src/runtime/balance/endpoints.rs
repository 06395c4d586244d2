//! A cluster's endpoints and their ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointAddresses, EndpointSet, LocalityId};
use crate::policy::lb::{EndpointId, EndpointLoad, LbEndpoint, LbLocality, LbUpdate, distinct};
use crate::runtime::accounting::Accounting;
use crate::runtime::connect::Connect;

use super::Slot;
use super::mailbox::Mailbox;
use super::published::Slots;
use super::slot::EndpointState;
use super::subchannel::{Subchannel, Subscription};
use super::translation::Translation;

/// A cluster's endpoints by id. An endpoint keeps its id as long as it stays, whatever moves around it.
///
/// An update costs as much as differs from the last one: endpoints that are the same are not looked at.
pub(super) struct Endpoints<C: Connect> {
    entries: Vec<Option<Entry<C>>>,
    /// By [`EndpointAddresses::identity`]: another order is the same endpoint (LB-29).
    ids: HashMap<EndpointAddresses, EndpointId>,
    /// Lowest first, so that the ids stay dense.
    free: BinaryHeap<Reverse<EndpointId>>,
    /// What the last update has, as the request path sees it.
    slots: Slots<C::Connection>,
    translation: Translation,
    accounting: Arc<Accounting>,
    /// Of the cluster's task.
    mailbox: Arc<Mailbox<C::Connection>>,
    turnover: Turnover,
    /// How many endpoints the last update has more than once.
    repeated: usize,
    /// Which have left since the last sweep; some may be back.
    left: Vec<EndpointId>,
    /// What endpoints held that left and came back before they were swept away.
    returned: Vec<(EndpointId, Subscription<C>)>,
}

/// Which endpoints have left and joined.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    pub(super) left: Vec<EndpointId>,
    /// After others have left; one that has left and is back is in both.
    pub(super) joined: Vec<(EndpointId, Arc<EndpointLoad>)>,
}

pub(super) struct Entry<C: Connect> {
    pub(super) slot: Arc<Slot<C::Connection>>,
    /// There once a connection has been wanted; it remembers the backoff.
    pub(super) subchannel: Option<Arc<Subchannel<C>>>,
    /// There while a connection is wanted.
    pub(super) subscription: Option<Subscription<C>>,
    /// How often the last update has it. If not at all, it goes with the next sweep.
    uses: usize,
}

impl<C: Connect> Endpoints<C> {
    /// Takes over a new set. Endpoints that are no longer in it stay until [`sweep`](Self::sweep), so that they can
    /// be dropped after nobody picks them any more.
    pub(super) fn update(&mut self, set: &EndpointSet) -> Vec<Vec<LbLocality>> {
        let was_repeated = self.repeated > 0;
        let mut translation = std::mem::take(&mut self.translation);
        let released = translation.follow(set, |endpoint, locality| self.translate(endpoint, locality));
        for id in released {
            self.release(id);
        }
        let priorities = translation.priorities();
        if was_repeated || self.repeated > 0 {
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
        self.translation = translation;
        match self.repeated {
            0 => priorities,
            _ => distinct(LbUpdate { priorities, note: None }).priorities,
        }
    }

    /// What the balancer knows of an endpoint; one use more.
    fn translate(&mut self, endpoint: &Endpoint, locality: &Arc<LocalityId>) -> LbEndpoint {
        let identity = endpoint.addresses.identity();
        let id = match self.ids.get(&identity) {
            Some(id) => *id,
            None => self.allocate(identity, endpoint, locality),
        };
        LbEndpoint {
            id,
            addresses: endpoint.addresses.clone(),
            weight: endpoint.weight.get(),
            hash_key: endpoint.hash_key.clone(),
            load: self.occupy(id).unwrap_or_default(),
        }
    }

    /// One use more. `None`: there is no such endpoint.
    fn occupy(&mut self, id: EndpointId) -> Option<Arc<EndpointLoad>> {
        let entry = self.entries.get_mut(id.0 as usize)?.as_mut()?;
        entry.uses += 1;
        match entry.uses {
            // The balancer has forgotten it, if it ever knew it, and takes it for idle: when it asks for a connection,
            // it is to be told anew.
            1 => {
                self.returned.extend(entry.subscription.take().map(|subscription| (id, subscription)));
                self.turnover.joined.push((id, entry.slot.load.clone()));
            }
            2 => self.repeated += 1,
            _ => {}
        }
        Some(entry.slot.load.clone())
    }

    /// One use less. The last one takes the endpoint away from the request path.
    fn release(&mut self, id: EndpointId) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.uses = entry.uses.saturating_sub(1);
        match entry.uses {
            0 => {
                self.slots.set(id.0 as usize, None);
                self.left.push(id);
                self.turnover.left.push(id);
            }
            1 => self.repeated -= 1,
            _ => {}
        }
    }

    fn allocate(
        &mut self,
        identity: EndpointAddresses,
        endpoint: &Endpoint,
        locality: &Arc<LocalityId>,
    ) -> EndpointId {
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
            reported: self.accounting.locality(locality),
            accounting: self.accounting.clone(),
            state: Arc::new(EndpointState::new(id, &self.mailbox)),
        });
        self.entries[id.0 as usize] = Some(Entry { slot, subchannel: None, subscription: None, uses: 0 });
        self.ids.insert(identity, id);
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
                reported: self.accounting.locality(locality),
                accounting: self.accounting.clone(),
                state: slot.state.clone(),
            });
        }
        let shown = self.slots.get(at).and_then(Option::as_ref);
        if shown.is_none_or(|shown| !Arc::ptr_eq(shown, &entry.slot)) {
            self.slots.set(at, Some(entry.slot.clone()));
        }
    }

    /// Connections are made anew, when they are wanted again.
    pub(super) fn forget_subchannels(&mut self) {
        self.entries.iter_mut().flatten().for_each(|entry| entry.subchannel = None);
    }

    /// Calls are accounted for here from now on.
    pub(super) fn set_accounting(&mut self, accounting: &Arc<Accounting>) {
        self.accounting = accounting.clone();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
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

    /// Which endpoints have left and joined since the last time.
    pub(super) fn take_turnover(&mut self) -> Turnover {
        std::mem::take(&mut self.turnover)
    }

    /// An endpoint's addresses.
    pub(super) fn addresses(&self, id: EndpointId) -> Option<&EndpointAddresses> {
        Some(&self.entries.get(id.0 as usize)?.as_ref()?.slot.addresses)
    }

    /// Drops what the last update did not have, and with it the wish for its connections.
    pub(super) fn sweep(&mut self) {
        for id in std::mem::take(&mut self.left) {
            let Some(place) = self.entries.get_mut(id.0 as usize) else { continue };
            if let Some(entry) = place.take_if(|entry| entry.uses == 0) {
                self.ids.remove(&entry.slot.addresses.identity());
                self.free.push(Reverse(id));
            }
        }
    }

    /// What the last update has, as the request path sees it.
    pub(super) fn slots(&self) -> Slots<C::Connection> {
        self.slots.clone()
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Entry<C>> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    /// All endpoints.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (EndpointId, &mut Entry<C>)> {
        (0..).map(EndpointId).zip(&mut self.entries).filter_map(|(id, entry)| Some((id, entry.as_mut()?)))
    }
}

impl<C: Connect> Drop for Entry<C> {
    fn drop(&mut self) {
        // Publications that are still in someone's hands hold on to the slot, but must not hold on to the connection.
        self.slot.state.set_connections(None);
    }
}

impl<C: Connect> Endpoints<C> {
    /// No endpoints yet.
    pub(super) fn new(accounting: Arc<Accounting>, mailbox: Arc<Mailbox<C::Connection>>) -> Self {
        Self {
            accounting,
            mailbox,
            turnover: Turnover::default(),
            entries: Vec::new(),
            ids: HashMap::new(),
            free: BinaryHeap::new(),
            slots: Slots::default(),
            translation: Translation::default(),
            repeated: 0,
            left: Vec::new(),
            returned: Vec::new(),
        }
    }
}

impl<C: Connect> fmt::Debug for Endpoints<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("count", &self.ids.len()).finish_non_exhaustive()
    }
}
