//! What the request path reads of a cluster.

use std::sync::Arc;

use rand::Rng;

use crate::policy::lb::{Connectivity, EndpointId, Pick, PickContext, Picker};
use crate::runtime::accounting::Accounting;
use crate::shared::SharedTable;

use super::Slot;

/// A cluster's state at a moment: swapped whole, never changed.
#[derive(Debug)]
pub(crate) struct Published<T> {
    /// Grows by one with every publication; the first is 1.
    pub version: u64,
    /// The cluster's connectivity.
    pub state: Connectivity,
    /// Chooses an endpoint for a call.
    pub picker: Arc<dyn Picker>,
    /// What calls that the picker fails or drops count for.
    pub(crate) accounting: Arc<Accounting>,
    pub(super) slots: Slots<T>,
}

/// By [`EndpointId`]; `None` where no endpoint is at the moment.
pub(super) type Slots<T> = SharedTable<Option<Arc<Slot<T>>>>;

impl<T> Published<T> {
    /// Before the first publication.
    pub(super) fn nothing(accounting: Arc<Accounting>) -> Self {
        let picker = Arc::new(NotYet);
        Self { version: 0, state: Connectivity::Connecting, picker, accounting, slots: Slots::default() }
    }

    /// The endpoint that this publication's picker means by `id`.
    pub(crate) fn slot(&self, id: EndpointId) -> Option<&Arc<Slot<T>>> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    /// All endpoints.
    #[cfg(test)]
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (EndpointId, &Arc<Slot<T>>)> {
        (0..).map(EndpointId).zip(self.slots.iter()).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }
}

/// Makes calls wait while nothing is known.
#[derive(Debug)]
pub(super) struct NotYet;

impl Picker for NotYet {
    fn pick(&self, _context: &PickContext<'_>, _rng: &mut dyn Rng) -> Pick {
        Pick::Wait(None)
    }
}
