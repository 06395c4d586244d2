//! The published state of a cluster, which the request path reads.

use std::sync::Arc;

use rand::Rng;

use crate::config::{DropCategory, Name};
use crate::policy::lb::{Connectivity, EndpointId, Pick, PickContext, Picker, UniformPick};
use crate::runtime::accounting::Accounting;
use crate::sharded::Refs;
use crate::shared::SharedTable;

use super::Slot;
use super::sessions::ByAddress;

/// A cluster's published state. Immutable: a change is a new publication.
#[derive(Debug)]
pub(crate) struct Published<T> {
    /// Grows by one with every publication; the first is 1.
    pub version: u64,
    /// The cluster's connectivity.
    pub state: Connectivity,
    /// Chooses an endpoint for a call.
    pub picker: Arc<dyn Picker>,
    /// Counts calls that the picker fails or drops.
    pub(crate) accounting: Arc<Accounting>,
    pub(super) slots: Slots<T>,
    pub(super) by_address: ByAddress,
    pub(super) drops: Arc<[DropCategory]>,
}

/// Slots by [`EndpointId`]; `None` for ids without an endpoint.
pub(super) type Slots<T> = SharedTable<Option<Arc<Refs<Slot<T>>>>>;

impl<T> Published<T> {
    /// The state before the first publication.
    pub(super) fn nothing(accounting: Arc<Accounting>) -> Self {
        let picker = Arc::new(NotYet);
        Self {
            version: 0,
            state: Connectivity::Connecting,
            picker,
            accounting,
            slots: Slots::default(),
            by_address: ByAddress::default(),
            drops: Arc::default(),
        }
    }

    /// LB-22: one draw for each category, while the cluster is ready; the one that drops the call.
    pub(crate) fn draw_drop(&self, rng: &mut dyn Rng) -> Option<Name> {
        if !matches!(self.state, Connectivity::Ready) {
            return None;
        }
        let drop = self.drops.iter().find(|drop| drop.fraction.draw(rng))?;
        Some(drop.category.clone())
    }

    /// The endpoint of an id that this publication's picker has picked.
    pub(crate) fn slot(&self, id: EndpointId) -> Option<&Refs<Slot<T>>> {
        self.slots.get(id.0 as usize)?.as_deref()
    }

    /// All endpoints.
    #[cfg(test)]
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (EndpointId, &Arc<Slot<T>>)> {
        (0..)
            .map(EndpointId)
            .zip(self.slots.iter())
            .filter_map(|(id, slot)| Some((id, slot.as_ref()?.value())))
    }
}

/// Makes calls wait while nothing is known.
#[derive(Debug)]
pub(super) struct NotYet;

impl Picker for NotYet {
    fn pick(&self, _context: &PickContext<'_>, _rng: &mut dyn Rng) -> Pick {
        Pick::Wait(None)
    }

    fn uniform(&self) -> Option<UniformPick> {
        Some(UniformPick::Wait)
    }
}
