//! The streams that each change wakes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::resources::{ResourceKind, SERVER_LISTENERS, Slot, is_server_listener};

/// A set of resources whose changes a stream subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interest {
    /// All resources.
    All(Slot),
    /// One name, whether it exists or not.
    One(Slot, Arc<str>),
}

/// Whether an interest begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InterestChange {
    On,
    Off,
}

impl From<bool> for InterestChange {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The interests of all streams, by resource.
#[derive(Debug, Default)]
pub(super) struct Interests {
    all: [BTreeSet<u64>; Slot::COUNT],
    one: [HashMap<Arc<str>, Vec<u64>>; Slot::COUNT],
}

impl Interests {
    /// Begins or ends an interest of a stream; each begins once before it ends.
    pub(super) fn turn(&mut self, stream: u64, interest: &Interest, turned: InterestChange) {
        let interest = &shared(interest);
        match (interest, turned) {
            (Interest::All(slot), InterestChange::On) => drop(self.all[slot.index()].insert(stream)),
            (Interest::All(slot), InterestChange::Off) => drop(self.all[slot.index()].remove(&stream)),
            (Interest::One(slot, name), InterestChange::On) => {
                self.one[slot.index()].entry(Arc::clone(name)).or_default().push(stream);
            }
            (Interest::One(slot, name), InterestChange::Off) => {
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

    /// The streams that are interested in a name; one with the wildcard and the name occurs twice.
    pub(super) fn of(&self, slot: Slot, name: &str) -> impl Iterator<Item = u64> {
        let named = self.one[slot.index()].get(name).into_iter().flatten();
        named.chain(&self.all[slot.index()]).copied()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(BTreeSet::is_empty) && self.one.iter().all(HashMap::is_empty)
    }
}

/// Changes of the listeners of servers are reported together.
fn shared(interest: &Interest) -> Interest {
    match interest {
        Interest::One(slot, name) if slot.kind() == ResourceKind::Listener && is_server_listener(name) => {
            Interest::One(*slot, SERVER_LISTENERS.into())
        }
        other => other.clone(),
    }
}
