//! The endpoints that are ready.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::shared::SharedTable;

use super::endpoint::IdMap;
use super::{EndpointId, EndpointLoad};

/// The endpoints that take calls, without gaps and in no particular order.
///
/// A picker takes a [`table`](Self::table) and keeps it: that costs the same for ten endpoints and for ten thousand.
#[derive(Debug, Default)]
pub(super) struct Ready {
    table: ReadyTable,
    places: IdMap<usize>,
}

/// The endpoints that a picker chooses from.
pub(super) type ReadyTable = SharedTable<(EndpointId, Arc<EndpointLoad>)>;

impl Ready {
    /// An endpoint takes calls from now on.
    pub(super) fn enter(&mut self, id: EndpointId, load: Arc<EndpointLoad>) {
        if let Entry::Vacant(place) = self.places.entry(id) {
            place.insert(self.table.len());
            self.table.push((id, load));
        }
    }

    /// An endpoint takes no more calls, if it took any.
    pub(super) fn leave(&mut self, id: EndpointId) {
        let Some(place) = self.places.remove(&id) else { return };
        self.table.swap_remove(place);
        if let Some((moved, _)) = self.table.get(place) {
            self.places.insert(*moved, place);
        }
    }

    /// The ready endpoints now.
    pub(super) fn table(&self) -> ReadyTable {
        self.table.clone()
    }
}
