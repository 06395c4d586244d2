//! What a filter's configuration can ask for when it makes the filter.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::config::Name;
use crate::counters::{Counter, CounterFamily, CounterStore};
use crate::policy::jwt::RemoteKeys;

use super::{BuildError, RemoteKeySet, RemoteKeySets};

/// What a filter's configuration can ask for when it makes the filter.
///
/// State that is asked for here survives updates of the configuration, and is freed when the last filter that holds it
/// is: with the last call that uses an old configuration.
// HF-06
#[derive(Debug, Clone)]
pub struct FilterContext {
    name: Name,
    place: Name,
    target: Arc<FilterStates>,
    pub(super) mesh: Arc<FilterStates>,
    counters: Arc<CounterStore>,
    remote_keys: Option<Arc<dyn RemoteKeySets>>,
}

impl FilterContext {
    /// A context of its own, for tests of a filter.
    pub fn new(name: impl Into<Name>) -> Self {
        Self::of(name.into(), Arc::default(), Arc::default(), Arc::default())
    }

    pub(crate) fn of(
        name: Name,
        target: Arc<FilterStates>,
        mesh: Arc<FilterStates>,
        counters: Arc<CounterStore>,
    ) -> Self {
        Self { name, place: Name::default(), target, mesh, counters, remote_keys: None }
    }

    /// With what fetches key sets.
    pub(super) fn with_remote_keys(self, remote_keys: Option<Arc<dyn RemoteKeySets>>) -> Self {
        Self { remote_keys, ..self }
    }

    pub(super) fn at(self, place: Name) -> Self {
        Self { place, ..self }
    }

    /// The filter's name in the chain.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which part of the routes has configured this filter: `host/route`, or `host` or `host/route/cluster`. Empty: the listener. The
    /// same after an update, as long as the names are the same.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// State of this filter of this target, by its type; `make` makes it where there is none.
    pub fn state<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.target.state(&self.name, make)
    }

    /// State that all filters of a mesh share, by its type; `make` makes it where there is none.
    pub fn mesh_state<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.mesh.state(&Name::default(), make)
    }

    /// The key set at a URL.
    pub(super) fn remote_keys(&self, keys: &RemoteKeys) -> Result<Arc<dyn RemoteKeySet>, BuildError> {
        let fetcher = self.remote_keys.as_ref();
        let fetcher = fetcher.ok_or_else(|| BuildError::new("key sets are fetched by servers only"))?;
        fetcher.of(keys).map_err(BuildError::new)
    }

    /// The mesh's counter of a family for these values of its labels.
    pub fn counter(&self, family: &CounterFamily, labels: impl IntoIterator<Item = Name>) -> Counter {
        self.counters.counter(family, labels)
    }
}

/// States by filter name and type; kept by those who use them.
#[derive(Default)]
pub(crate) struct FilterStates(Mutex<States>);

type States = HashMap<(Name, TypeId), Weak<dyn Any + Send + Sync>>;

impl FilterStates {
    fn state<T: Any + Send + Sync>(&self, name: &Name, make: impl FnOnce() -> T) -> Arc<T> {
        let key = (name.clone(), TypeId::of::<T>());
        let known = |states: &States| states.get(&key).and_then(Weak::upgrade)?.downcast::<T>().ok();
        if let Some(state) = known(&self.lock()) {
            return state;
        }
        // `make` may ask for other states, so it runs without the lock
        let made = Arc::new(make());
        let mut states = self.lock();
        if let Some(state) = known(&states) {
            return state;
        }
        states.retain(|_, state| state.strong_count() > 0);
        let weak: Weak<T> = Arc::downgrade(&made);
        states.insert(key, weak);
        made
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FilterStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.lock().values().filter(|state| state.strong_count() > 0).count();
        f.debug_struct("FilterStates").field("used", &used).finish()
    }
}
