//! The streams that each change wakes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    one: [HashMap<Arc<str>, Subscribers>; Slot::COUNT],
}

impl Interests {
    /// Begins or ends an interest of a stream; each begins once before it ends.
    pub(super) fn turn(&mut self, stream: u64, interest: &Interest, turned: InterestChange) {
        let interest = &shared(interest);
        match (interest, turned) {
            (Interest::All(slot), InterestChange::On) => drop(self.all[slot.index()].insert(stream)),
            (Interest::All(slot), InterestChange::Off) => drop(self.all[slot.index()].remove(&stream)),
            (Interest::One(slot, name), InterestChange::On) => {
                self.one[slot.index()].entry(Arc::clone(name)).or_default().add(stream);
            }
            (Interest::One(slot, name), InterestChange::Off) => {
                let Some(streams) = self.one[slot.index()].get_mut(name) else { return };
                streams.remove(stream);
                if streams.is_empty() {
                    self.one[slot.index()].remove(name);
                }
            }
        }
    }

    /// The streams that are interested in a name; one with the wildcard and the name occurs twice.
    pub(super) fn of(&self, slot: Slot, name: &str) -> impl Iterator<Item = u64> {
        let named = self.one[slot.index()].get(name).into_iter().flat_map(Subscribers::iter);
        named.chain(self.all[slot.index()].iter().copied())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(BTreeSet::is_empty) && self.one.iter().all(HashMap::is_empty)
    }
}

/// The streams with an interest in one name; a stream counts once per spelling of the name.
#[derive(Debug)]
enum Subscribers {
    /// Most names have a few, which take little memory.
    Few(Vec<u64>),
    /// Leaving is not a search through all of them.
    Many(BTreeMap<u64, u32>),
}

impl Default for Subscribers {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Subscribers {
    fn add(&mut self, stream: u64) {
        match self {
            Self::Few(streams) if streams.len() < MOST_OF_FEW => streams.push(stream),
            Self::Few(streams) => {
                let mut many = BTreeMap::new();
                for stream in streams.drain(..).chain([stream]) {
                    *many.entry(stream).or_default() += 1;
                }
                *self = Self::Many(many);
            }
            Self::Many(streams) => *streams.entry(stream).or_default() += 1,
        }
    }

    fn remove(&mut self, stream: u64) {
        match self {
            Self::Few(streams) => {
                if let Some(place) = streams.iter().position(|other| *other == stream) {
                    streams.swap_remove(place);
                }
            }
            Self::Many(streams) => {
                let left = streams.get_mut(&stream).map(|times| {
                    *times -= 1;
                    *times
                });
                if left == Some(0) {
                    streams.remove(&stream);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Few(streams) => streams.is_empty(),
            Self::Many(streams) => streams.is_empty(),
        }
    }

    /// Every stream; of a few, a stream with two spellings of the name occurs twice.
    fn iter(&self) -> impl Iterator<Item = u64> {
        let (few, many) = match self {
            Self::Few(streams) => (Some(streams), None),
            Self::Many(streams) => (None, Some(streams)),
        };
        few.into_iter().flatten().copied().chain(many.into_iter().flat_map(BTreeMap::keys).copied())
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

const MOST_OF_FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscribers_are_counted_per_spelling_in_either_form() {
        for count in [1, 16, 17, 1000] {
            let mut interests = Interests::default();
            let slot = Slot::from(ResourceKind::Listener);
            let one = Interest::One(slot, "a".into());
            let of = |interests: &Interests| interests.of(slot, "a").collect::<BTreeSet<_>>().len();
            for stream in 0..count {
                interests.turn(stream, &one, InterestChange::On);
                interests.turn(stream, &one, InterestChange::On);
            }
            for stream in 0..count {
                interests.turn(stream, &one, InterestChange::Off);
            }
            assert_eq!(of(&interests), usize::try_from(count).unwrap());
            for stream in 0..count {
                interests.turn(stream, &one, InterestChange::Off);
                interests.turn(stream, &one, InterestChange::Off);
            }
            assert!(interests.is_empty());
        }
    }
}
