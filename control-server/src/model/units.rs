//! Who depends on what: the keys that each unit has looked up.

use std::fmt;
use std::sync::Arc;

use foldhash::HashMap;

use super::name::covers;
use crate::kinds::ObjectId;

/// What is built at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Unit {
    /// The service of a host.
    Service(Arc<str>),
    /// The findings about an object.
    Object(ObjectId),
    /// The policies for the servers of a namespace; of an empty name: of every namespace without policies of its own.
    Servers(Arc<str>),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(host) => f.write_str(host),
            Self::Object(id) => id.fmt(f),
            Self::Servers(namespace) => write!(f, "servers of {namespace}"),
        }
    }
}

/// The units and the keys that they have read.
#[derive(Debug, Default)]
pub(super) struct Units {
    numbers: HashMap<Unit, u32>,
    slots: Vec<Slot>,
    /// Numbers without a unit.
    free: Vec<u32>,
    readers: HashMap<u64, Vec<u32>>,
}

#[derive(Debug)]
struct Slot {
    unit: Unit,
    reads: Box<[u64]>,
}

impl Units {
    /// The units that have read a key.
    pub(super) fn readers_of(&self, key: u64) -> impl Iterator<Item = Unit> {
        let numbers = self.readers.get(&key).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().map(|number| self.slots[*number as usize].unit.clone())
    }

    /// The services whose host a wildcard covers.
    pub(super) fn services_covered_by(&self, wildcard: &str) -> impl Iterator<Item = Unit> {
        let units = self.numbers.keys();
        units.filter(move |unit| matches!(unit, Unit::Service(host) if covers(wildcard, host))).cloned()
    }

    /// Records what a unit has read now; a unit that has read nothing is forgotten.
    pub(super) fn record(&mut self, unit: &Unit, reads: Vec<u64>) {
        let number = match self.numbers.get(unit) {
            Some(number) => *number,
            None if reads.is_empty() => return,
            None => self.add(unit.clone()),
        };
        let before = std::mem::take(&mut self.slots[number as usize].reads);
        for key in before {
            if let Some(readers) = self.readers.get_mut(&key) {
                if let Some(place) = readers.iter().position(|reader| *reader == number) {
                    readers.swap_remove(place);
                }
                if readers.is_empty() {
                    self.readers.remove(&key);
                }
            }
        }
        if reads.is_empty() {
            self.numbers.remove(unit);
            self.free.push(number);
            return;
        }
        for key in &reads {
            self.readers.entry(*key).or_default().push(number);
        }
        self.slots[number as usize].reads = reads.into();
    }

    fn add(&mut self, unit: Unit) -> u32 {
        let slot = Slot { unit: unit.clone(), reads: Box::default() };
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 units fit into memory")
            }
        };
        self.numbers.insert(unit, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(host: &str) -> Unit {
        Unit::Service(host.into())
    }

    fn readers(units: &Units, key: u64) -> Vec<Unit> {
        let mut found: Vec<Unit> = units.readers_of(key).collect();
        found.sort();
        found
    }

    #[test]
    fn reader_is_known_by_its_latest_reads() {
        let mut units = Units::default();
        units.record(&unit("a.b"), vec![1, 2]);
        units.record(&unit("c.b"), vec![2]);
        assert_eq!(readers(&units, 2), [unit("a.b"), unit("c.b")]);
        units.record(&unit("a.b"), vec![3]);
        assert_eq!(readers(&units, 2), [unit("c.b")]);
        assert_eq!(readers(&units, 1), []);
        assert_eq!(units.services_covered_by("*.b").count(), 2);
    }

    #[test]
    fn forgotten_unit_leaves_nothing() {
        let mut units = Units::default();
        for round in 0..100 {
            units.record(&unit(&format!("host-{round}")), vec![1, round]);
            units.record(&unit(&format!("host-{round}")), Vec::new());
        }
        assert!(units.numbers.is_empty() && units.readers.is_empty());
        assert_eq!(units.slots.len(), 1);
    }
}
