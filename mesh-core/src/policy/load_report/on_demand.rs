//! A map that only grows.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// A map that only grows. Finding a known key takes no lock and allocates nothing.
#[derive(Debug)]
pub(super) struct OnDemand<K, V>(ArcSwap<BTreeMap<K, Arc<V>>>);

impl<K: Ord + Clone, V: Default> OnDemand<K, V> {
    /// The value of a key; a new one for a new key. `None` if the key is new and the map has `limit` keys.
    pub(super) fn entry<Q>(&self, key: &Q, limit: usize, make_key: impl Fn() -> K) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let known = self.0.load();
        if let Some(value) = known.get(key) {
            return Some(value.clone());
        }
        if known.len() >= limit {
            return None;
        }
        drop(known);
        let fresh = Arc::new(V::default());
        self.0.rcu(|map| {
            if map.contains_key(key) {
                return map.clone();
            }
            let mut map = BTreeMap::clone(map);
            map.insert(make_key(), fresh.clone());
            Arc::new(map)
        });
        self.0.load().get(key).cloned()
    }

    pub(super) fn load(&self) -> Guard<Arc<BTreeMap<K, Arc<V>>>> {
        self.0.load()
    }
}

impl<K, V> Default for OnDemand<K, V> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(BTreeMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::OnDemand;
    use crate::config::Name;

    #[test]
    fn key_has_one_value_under_concurrent_lookups() {
        let map: OnDemand<Name, AtomicU64> = OnDemand::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1_000 {
                        let key = (number % 50).to_string();
                        map.entry(key.as_str(), usize::MAX, || key.as_str().into())
                            .unwrap()
                            .fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let counts: Vec<_> = map.load().values().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [80; 50]);
    }

    #[test]
    fn full_map_refuses_new_keys() {
        let map: OnDemand<Name, AtomicU64> = OnDemand::default();
        let entry = |key: &'static str| map.entry(key, 2, || key.into());
        assert!(entry("a").is_some() && entry("b").is_some());
        assert!(entry("c").is_none());
        assert!(entry("a").is_some(), "a known key is found");
    }
}
