//! Endpoints that are resources apart from their cluster (LEDS, gRFC A95): put where they belong.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::config::{EndpointSet, Endpoints, Name};

use crate::resource::ClusterLoadAssignment;

/// Endpoint sets put together from collections, by the assignment's name. What has not changed is not made again.
#[derive(Debug, Default)]
pub(super) struct Joined {
    sets: HashMap<Name, Join>,
}

/// One endpoint set, and what it was made of.
#[derive(Debug)]
struct Join {
    assignment: Arc<ClusterLoadAssignment>,
    lists: Vec<Endpoints>,
    set: Arc<EndpointSet>,
}

impl Joined {
    /// The assignment's endpoints, with `lists` in the places of its collections. Costs what has changed.
    pub(super) fn join(
        &mut self,
        name: &Name,
        assignment: &Arc<ClusterLoadAssignment>,
        lists: Vec<Endpoints>,
    ) -> Arc<EndpointSet> {
        let last = self.sets.get(name).filter(|last| Arc::ptr_eq(&last.assignment, assignment));
        let changed: Vec<usize> = match last {
            Some(last) => (0..lists.len()).filter(|index| last.lists[*index] != lists[*index]).collect(),
            None => (0..lists.len()).collect(),
        };
        if let Some(last) = last.filter(|_| changed.is_empty()) {
            return last.set.clone();
        }
        let mut set = last.map_or_else(|| (*assignment.set).clone(), |last| (*last.set).clone());
        for index in changed {
            let place = &assignment.collections[index];
            let priority = set.priorities.get_mut(place.priority);
            if let Some(locality) = priority.and_then(|priority| priority.localities.get_mut(place.locality))
            {
                Arc::make_mut(locality).endpoints = lists[index].clone();
            }
        }
        let set = Arc::new(set);
        let join = Join { assignment: assignment.clone(), lists, set: set.clone() };
        self.sets.insert(name.clone(), join);
        set
    }

    /// The assignment lists its endpoints itself.
    pub(super) fn forget(&mut self, name: &Name) {
        self.sets.remove(name);
    }

    /// Those of assignments that are not there any more go.
    pub(super) fn retain(&mut self, keep: impl Fn(&Name) -> bool) {
        self.sets.retain(|name, _| keep(name));
    }
}
