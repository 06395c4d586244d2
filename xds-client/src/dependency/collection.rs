//! Endpoints that are resources of their own (LEDS, gRFC A95): inserted into the localities that refer to them.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::config::{EndpointSet, Endpoints, Name};

use crate::resource::ClusterLoadAssignment;

/// Endpoint sets with the endpoints of their collections, by the assignment's name. Unchanged ones are reused.
#[derive(Debug, Default)]
pub(super) struct Joined {
    sets: HashMap<Name, Join>,
}

/// One endpoint set, and its sources.
#[derive(Debug)]
struct Join {
    assignment: Arc<ClusterLoadAssignment>,
    lists: Vec<Endpoints>,
    set: Arc<EndpointSet>,
}

impl Joined {
    /// The assignment's endpoints, with `lists` in the places of its collections. Costs in proportion to the changes.
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

    /// The assignment refers to no collection any more.
    pub(super) fn forget(&mut self, name: &Name) {
        self.sets.remove(name);
    }

    /// Drops the sets of assignments that do not exist any more.
    pub(super) fn retain(&mut self, keep: impl Fn(&Name) -> bool) {
        self.sets.retain(|name, _| keep(name));
    }
}
