//! The counts of a mesh's clusters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::{ClusterSettings, Name};

use super::ClusterLoad;

/// The counts of a mesh's clusters by `{cluster, EDS service name}`, whatever channel or target uses them (LB-23).
///
/// A count exists as long as a configuration or a call refers to it, so that a cluster that is removed and added again still
/// counts its running calls.
#[derive(Debug, Default)]
pub(crate) struct LoadRegistry(Mutex<HashMap<(Name, Name), Weak<ClusterLoad>>>);

impl LoadRegistry {
    pub(crate) fn load(&self, settings: &ClusterSettings) -> Arc<ClusterLoad> {
        let mut loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (settings.name.clone(), settings.service_name.clone());
        if let Some(load) = loads.get(&key).and_then(Weak::upgrade) {
            return load;
        }
        if loads.len() == loads.capacity() {
            loads.retain(|_, load| load.strong_count() > 0);
        }
        let load = Arc::new(ClusterLoad::new(settings.name.clone()));
        loads.insert(key, Arc::downgrade(&load));
        load
    }

    /// All counts that something refers to.
    pub(crate) fn loads(&self) -> Vec<Arc<ClusterLoad>> {
        let loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loads.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::LoadRegistry;
    use crate::config::{ClusterSettings, MaxRequests};
    use crate::policy::retry::RetryBudget;

    /// Proves: LB-23, LB-24.
    #[test]
    fn clusters_share_a_count_by_cluster_and_service_name() {
        let registry = LoadRegistry::default();
        let settings = ClusterSettings::new("a");
        let other_service = ClusterSettings { service_name: "b".into(), ..settings.clone() };
        let first = registry.load(&settings);
        let limit = MaxRequests(2);
        assert!(first.in_flight.enter(limit));
        assert!(registry.load(&settings).in_flight.enter(limit));
        assert!(!first.in_flight.enter(limit), "as many as the limit");
        assert!(registry.load(&other_service).in_flight.enter(limit));
        first.in_flight.leave();
        assert!(first.in_flight.enter(limit));
    }

    #[test]
    fn a_count_outlives_its_cluster_while_calls_run() {
        let registry = LoadRegistry::default();
        let settings = ClusterSettings::new("a");
        let call = registry.load(&settings);
        assert!(call.in_flight.enter(MaxRequests(1)));
        assert!(!registry.load(&settings).in_flight.enter(MaxRequests(1)));
        let load = Arc::downgrade(&call);
        drop(call);
        assert!(load.upgrade().is_none());
    }

    #[test]
    fn retries_that_wait_count_against_the_budget() {
        let registry = LoadRegistry::default();
        let load = registry.load(&ClusterSettings::new("a"));
        let budget = RetryBudget::default();
        assert!((0..3).all(|_| load.start_retry(budget)));
        assert!(!load.start_retry(budget));
        load.send_retry();
        assert!(!load.start_retry(budget), "an attempt that runs is still a retry");
        load.end_retry();
        assert!(load.start_retry(budget));
    }
}
