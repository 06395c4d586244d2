//! Names of priorities, which stay the same while their localities move between priorities.

use crate::config::{LocalityId, Name};
use crate::policy::lb::LbPriority;

/// Identifies a priority's balancer while its place among the priorities changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChildName(u64);

/// Assigns names so that a priority keeps its balancer and connections while its localities move within its cluster.
#[derive(Debug, Default)]
pub(super) struct ChildNames {
    /// The names of the last update, by priority.
    current: Vec<(ChildName, Origin)>,
    next: u64,
}

/// The cluster, place and localities of a priority.
#[derive(Debug)]
struct Origin {
    cluster: Name,
    /// Its place among the cluster's priorities.
    at: usize,
    /// Sorted.
    localities: Vec<LocalityId>,
}

impl ChildNames {
    /// LB-12: by priority, the name at the same place in the cluster if a locality is still there, else the name that one
    /// of the localities had in the cluster if no other priority has it, else a new one.
    pub(super) fn assign(&mut self, priorities: &[LbPriority]) -> Vec<ChildName> {
        let origins = origins(priorities);
        let mut previous: Vec<_> = std::mem::take(&mut self.current).into_iter().map(Some).collect();
        let mut names = vec![None; origins.len()];
        for is_at_home in [true, false] {
            for (name, origin) in names.iter_mut().zip(&origins).filter(|(name, _)| name.is_none()) {
                let fits = |before: &Origin| {
                    (before.at == origin.at || !is_at_home) && before.shares_locality_with(origin)
                };
                let take = |(_, before): &mut (ChildName, Origin)| fits(before);
                let taken = previous.iter_mut().find_map(|entry| entry.take_if(take));
                *name = taken.map(|(name, _)| name);
            }
        }
        let names: Vec<_> = names.into_iter().map(|name| name.unwrap_or_else(|| self.fresh())).collect();
        self.current = names.iter().copied().zip(origins).collect();
        names
    }

    fn fresh(&mut self) -> ChildName {
        self.next += 1;
        ChildName(self.next)
    }
}

impl Origin {
    fn shares_locality_with(&self, other: &Self) -> bool {
        self.cluster == other.cluster
            && other.localities.iter().any(|locality| self.localities.binary_search(locality).is_ok())
    }
}

fn origins(priorities: &[LbPriority]) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::with_capacity(priorities.len());
    for priority in priorities {
        let cluster = priority.settings.name.clone();
        // a leaf's priorities come one after the other
        let at = origins.last().filter(|last| last.cluster == cluster).map_or(0, |last| last.at + 1);
        let mut localities: Vec<_> = priority.localities.iter().map(|locality| locality.id.clone()).collect();
        localities.sort_unstable();
        origins.push(Origin { cluster, at, localities });
    }
    origins
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ClusterSettings;
    use crate::policy::lb::LbLocality;

    /// Priorities, each of a cluster and with zones.
    type Priorities = &'static [(&'static str, &'static [&'static str])];

    fn priorities(list: Priorities) -> Vec<LbPriority> {
        let locality = |zone: &&str| {
            LbLocality::new(LocalityId { zone: (*zone).to_owned(), ..LocalityId::default() }, 1, [])
        };
        let priority = |(cluster, zones): &(&str, &[&str])| {
            LbPriority::new(Arc::new(ClusterSettings::new(*cluster)), zones.iter().map(locality).collect())
        };
        list.iter().map(priority).collect()
    }

    /// Proves: LB-12.
    #[test]
    fn name_follows_localities_and_stays_in_its_place_if_it_can() {
        let rows: [(&str, Priorities, Priorities, &[u64]); 10] = [
            ("the same", &[("x", &["a"]), ("x", &["b"])], &[("x", &["a"]), ("x", &["b"])], &[1, 2]),
            ("swapped", &[("x", &["a"]), ("x", &["b"])], &[("x", &["b"]), ("x", &["a"])], &[2, 1]),
            ("another locality", &[("x", &["a"])], &[("x", &["b"])], &[2]),
            ("another cluster", &[("x", &["a"])], &[("y", &["a"])], &[2]),
            ("one added in front", &[("x", &["a"])], &[("x", &["b"]), ("x", &["a"])], &[2, 1]),
            ("one removed", &[("x", &["a"]), ("x", &["b"])], &[("x", &["b"])], &[2]),
            // both share a locality with the second: the one in its place has the name
            ("split", &[("x", &["a"]), ("x", &["b", "c"])], &[("x", &["b"]), ("x", &["c"])], &[3, 2]),
            ("merged", &[("x", &["a"]), ("x", &["b"])], &[("x", &["c", "b", "a"])], &[1]),
            // places count within a cluster
            (
                "split in the second cluster",
                &[("x", &["a"]), ("y", &["b", "c"])],
                &[("x", &["a"]), ("x", &["d"]), ("y", &["c"]), ("y", &["b"])],
                &[1, 3, 2, 4],
            ),
            (
                "a cluster in front",
                &[("y", &["a"]), ("y", &["b"])],
                &[("x", &["a"]), ("y", &["c"]), ("y", &["b", "a"])],
                &[3, 4, 2],
            ),
        ];
        for (row, before, after, expected) in rows {
            let mut names = ChildNames::default();
            let first = names.assign(&priorities(before));
            assert_eq!(first, (1..=before.len() as u64).map(ChildName).collect::<Vec<_>>(), "{row}");
            let assigned: Vec<_> = names.assign(&priorities(after)).into_iter().map(|name| name.0).collect();
            assert_eq!(assigned, expected, "{row}");
        }
    }
}
