//! Who is to be told of which change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::resources::Slot;

/// Something that a stream wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interest {
    /// Everything there is.
    All(Slot),
    /// One name, whether it exists or not.
    One(Slot, Arc<str>),
}

/// Whether an interest begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    On,
    Off,
}

impl From<bool> for Turned {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The interests of all streams, by what they are in.
#[derive(Debug, Default)]
pub(super) struct Interests {
    all: [BTreeSet<u64>; Slot::COUNT],
    one: [HashMap<Arc<str>, Vec<u64>>; Slot::COUNT],
}

impl Interests {
    /// Begins or ends an interest of a stream; it begins once before it ends.
    pub(super) fn turn(&mut self, stream: u64, interest: &Interest, turned: Turned) {
        match (interest, turned) {
            (Interest::All(slot), Turned::On) => drop(self.all[slot.index()].insert(stream)),
            (Interest::All(slot), Turned::Off) => drop(self.all[slot.index()].remove(&stream)),
            (Interest::One(slot, name), Turned::On) => {
                self.one[slot.index()].entry(Arc::clone(name)).or_default().push(stream);
            }
            (Interest::One(slot, name), Turned::Off) => {
                let Some(streams) = self.one[slot.index()].get_mut(name) else { return };
                if let Some(place) = streams.iter().position(|other| *other == stream) {
                    streams.swap_remove(place);
                }
                if streams.is_empty() {
                    self.one[slot.index()].remove(name);
                }
            }
        }
    }

    /// The streams that want to be told of a name; one that holds the wildcard besides it comes twice.
    pub(super) fn of(&self, slot: Slot, name: &str) -> impl Iterator<Item = u64> {
        let named = self.one[slot.index()].get(name).into_iter().flatten();
        named.chain(&self.all[slot.index()]).copied()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(BTreeSet::is_empty) && self.one.iter().all(HashMap::is_empty)
    }
}
