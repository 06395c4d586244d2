//! Names of priorities that follow their localities.

use crate::config::LocalityId;
use crate::policy::lb::LbLocality;

/// What a priority's balancer is kept under while priorities move around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChildName(u64);

/// Hands out names so that a priority keeps its balancer, and with it its connections, wherever its localities move.
#[derive(Debug, Default)]
pub(super) struct ChildNames {
    /// Of the last update, by priority.
    current: Vec<(ChildName, Vec<LocalityId>)>,
    next: u64,
}

impl ChildNames {
    /// LB-12: by priority, the name at the same place if a locality is still there, else the name that one of the
    /// localities had if no other priority has it, else a new one.
    pub(super) fn assign(&mut self, priorities: &[Vec<LbLocality>]) -> Vec<ChildName> {
        let holds = |ids: &[LocalityId], priority: &[LbLocality]| {
            priority.iter().any(|locality| ids.binary_search(&locality.id).is_ok())
        };
        let mut previous: Vec<_> = std::mem::take(&mut self.current).into_iter().map(Some).collect();
        let mut names = vec![None; priorities.len()];
        for ((name, previous), priority) in names.iter_mut().zip(&mut previous).zip(priorities) {
            *name = previous.take_if(|(_, ids)| holds(ids, priority)).map(|(name, _)| name);
        }
        for (name, priority) in names.iter_mut().zip(priorities).filter(|(name, _)| name.is_none()) {
            let moved = previous.iter_mut().find_map(|entry| entry.take_if(|(_, ids)| holds(ids, priority)));
            *name = moved.map(|(name, _)| name);
        }
        let names: Vec<_> = names.into_iter().map(|name| name.unwrap_or_else(|| self.fresh())).collect();
        self.current =
            names.iter().copied().zip(priorities.iter().map(|priority| sorted_ids(priority))).collect();
        names
    }

    fn fresh(&mut self) -> ChildName {
        self.next += 1;
        ChildName(self.next)
    }
}

fn sorted_ids(priority: &[LbLocality]) -> Vec<LocalityId> {
    let mut ids: Vec<_> = priority.iter().map(|locality| locality.id.clone()).collect();
    ids.sort_unstable();
    ids
}
