//! A map by name whose copies share unchanged parts.

use std::hash::Hasher as _;
use std::sync::Arc;

use foldhash::HashMap;
use twox_hash::XxHash64;

/// Values by name. A clone costs the same whatever is in it; a change of the clone copies a 256th part of it, and the
/// difference of two relatives is found without looking at what they share.
#[derive(Debug, Clone)]
pub struct Table<V> {
    shards: Vec<Arc<Shard<V>>>,
    len: usize,
}

type Shard<V> = HashMap<Arc<str>, V>;

impl<V> Default for Table<V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: vec![empty; SHARDS], len: 0 }
    }
}

impl<V> Table<V> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.shards[place(name)].get(name)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }
}

impl<V: Clone> Table<V> {
    /// Sets the value of a name; gives the one it had.
    pub fn insert(&mut self, name: Arc<str>, value: V) -> Option<V> {
        let previous = Arc::make_mut(&mut self.shards[place(&name)]).insert(name, value);
        self.len += usize::from(previous.is_none());
        previous
    }

    /// Removes a name; gives the value it had.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let shard = &mut self.shards[place(name)];
        if !shard.contains_key(name) {
            return None;
        }
        self.len -= 1;
        Arc::make_mut(shard).remove(name)
    }
}

impl<V: PartialEq> Table<V> {
    /// Reports every name that has been added, changed or removed since `older`.
    pub fn changes_since<'a>(&'a self, older: &'a Self, mut tell: impl FnMut(&'a Arc<str>)) {
        let pairs = self.shards.iter().zip(&older.shards).filter(|(new, old)| !Arc::ptr_eq(new, old));
        for (new, old) in pairs {
            new.iter().filter(|(name, value)| old.get(*name) != Some(value)).for_each(|(name, _)| tell(name));
            old.keys().filter(|name| !new.contains_key(*name)).for_each(&mut tell);
        }
    }
}

fn place(name: &str) -> usize {
    let mut hasher = XxHash64::with_seed(0);
    hasher.write(name.as_bytes());
    usize::try_from(hasher.finish() % SHARDS as u64).expect("less than SHARDS")
}

const SHARDS: usize = 256;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Small and repeatable.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn derived_tables_differ_by_their_changes() {
        let mut state = 7;
        let (mut table, mut model) = (Table::default(), BTreeMap::new());
        for round in 0..200 {
            let (before, old_model) = (table.clone(), model.clone());
            for _ in 0..next(&mut state) % 40 {
                let name = format!("name-{}", next(&mut state) % 300);
                let value = next(&mut state) % 3;
                match value {
                    0 => assert_eq!(table.remove(&name), model.remove(&name)),
                    _ => assert_eq!(table.insert(name.as_str().into(), value), model.insert(name, value)),
                }
            }
            let mut found = Vec::new();
            table.changes_since(&before, |name| found.push(name.as_ref().to_owned()));
            found.sort_unstable();
            let names = model.keys().chain(old_model.keys()).collect::<std::collections::BTreeSet<_>>();
            let expected: Vec<_> =
                names.into_iter().filter(|name| model.get(*name) != old_model.get(*name)).cloned().collect();
            assert_eq!(found, expected, "round {round}");
            assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
            let all: BTreeMap<String, u64> =
                table.iter().map(|(name, value)| (name.as_ref().to_owned(), *value)).collect();
            assert_eq!(all, model);
        }
    }
}
