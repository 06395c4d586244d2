//! Counters of what a mesh has done: refused calls, denied ones, failed handshakes, retries.
//!
//! A [`CounterFamily`] names what is counted, a [`Counter`] counts it for one set of labels, and the [`CounterStore`] of a mesh
//! lists all of them for metrics. Each thread counts on its own cache line, so that counting costs one addition.

mod families;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Name;
use crate::sharded::Sharded;

pub use families::{AUTHORIZATIONS, FAMILIES};
pub(crate) use families::{
    CLIENT_HANDSHAKES, ENDED_CONNECTIONS, EXTERNAL_CHECKS, HEALTH_CHECKS, MIRRORED_REQUESTS,
    RATE_LIMITED_CALLS, SERVER_HANDSHAKES, SKIPPED_MIRRORS, TOKENS,
};

/// What is counted, as OpenTelemetry has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterFamily {
    /// The metric's name.
    pub name: &'static str,
    /// A text for users.
    pub description: &'static str,
    /// In OpenTelemetry's notation: `{call}`.
    pub unit: &'static str,
    /// The names of the labels.
    pub labels: &'static [&'static str],
}

impl CounterFamily {
    /// A family of counters, each for one set of values for `labels`.
    pub const fn new(
        name: &'static str,
        description: &'static str,
        unit: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, description, unit, labels }
    }
}

/// Counts what happens with one set of labels. A cheap handle.
#[derive(Clone, Default)]
pub struct Counter(Arc<Sharded<AtomicU64>>);

impl Counter {
    /// Counts one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts so many.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.own().fetch_add(count, Ordering::Relaxed);
    }

    /// Whether someone besides the store has it.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// How many have been counted.
    pub fn value(&self) -> u64 {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}

/// The counters of a mesh. The configuration source makes the store and gives it to the mesh
/// ([`ConfigSource::counters`](crate::runtime::ConfigSource::counters)); the source shows it in metrics.
///
/// A counter stays after its last handle is dropped, so that totals do not fall. Only once there are more than [`MAX_UNUSED`] of
/// these, the store drops them.
#[derive(Default)]
pub struct CounterStore(Mutex<Counters>);

/// Counters with their family, by its name and the values of its labels.
type Counters = BTreeMap<(&'static str, Vec<Name>), (CounterFamily, Counter)>;

/// How many counters a store keeps at most whose handles have been dropped.
pub const MAX_UNUSED: usize = 4096;

/// One counter's value at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterValue {
    /// What is counted.
    pub family: CounterFamily,
    /// The values of the family's labels, in their order.
    pub labels: Vec<Name>,
    /// How many have been counted.
    pub value: u64,
}

impl CounterValue {
    /// A counter's value, for tests.
    pub fn new(family: CounterFamily, labels: impl IntoIterator<Item = Name>, value: u64) -> Self {
        Self { family, labels: labels.into_iter().collect(), value }
    }
}

impl CounterStore {
    /// The counter of a family with these values for its labels. Look it up when a configuration is taken into use, not per call.
    pub fn counter(&self, family: &CounterFamily, labels: impl IntoIterator<Item = Name>) -> Counter {
        let labels: Vec<Name> = labels.into_iter().collect();
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        let mut counters = self.lock();
        if let Some(known) = counters.get(&(family.name, labels.clone())) {
            return known.1.clone();
        }
        if counters.len() >= MAX_UNUSED {
            let unused = counters.values().filter(|(_, counter)| !counter.is_used()).count();
            if unused >= MAX_UNUSED {
                counters.retain(|_, (_, counter)| counter.is_used());
            }
        }
        let new = || (*family, Counter::default());
        counters.entry((family.name, labels)).or_insert_with(new).1.clone()
    }

    /// All counters that have counted something, by name and labels.
    pub fn values(&self) -> Vec<CounterValue> {
        let counters = self.lock();
        let values = counters.iter().map(|((_, labels), (family, counter))| CounterValue {
            family: *family,
            labels: labels.clone(),
            value: counter.value(),
        });
        values.filter(|counter| counter.value > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CounterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: CounterFamily = CounterFamily::new("a", "b", "{c}", &["of"]);

    #[test]
    fn counters_with_the_same_labels_are_one_and_count_from_all_threads() {
        let store = CounterStore::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| store.counter(&FAMILY, ["x".into()]).increment()));
            }
        });
        store.counter(&FAMILY, ["y".into()]).add(2);
        store.counter(&FAMILY, ["z".into()]);
        let expected =
            [CounterValue::new(FAMILY, ["x".into()], 400), CounterValue::new(FAMILY, ["y".into()], 2)];
        assert_eq!(store.values(), expected, "those that have counted nothing are not listed");
    }

    #[test]
    fn counters_in_use_are_kept_and_unused_ones_are_bounded() {
        let store = CounterStore::default();
        let used = store.counter(&FAMILY, ["used".into()]);
        used.increment();
        for number in 0..3 * MAX_UNUSED {
            store.counter(&FAMILY, [number.to_string().into()]).increment();
        }
        assert!(store.values().len() <= MAX_UNUSED + 2, "{}", store.values().len());
        assert_eq!(store.counter(&FAMILY, ["used".into()]).value(), 1);
    }

    #[test]
    fn families_have_names_of_their_own() {
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }
}
