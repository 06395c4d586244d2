//! Operations on the endpoints of updates.

use std::collections::BTreeMap;

use crate::shared::{Changes, SharedList};

use super::endpoint::IdMap;
use super::{LbEndpoint, LbLocality, LbUpdate};

/// Whether both are the same, by a comparison that does not read endpoints: equal lists that share nothing count as different.
pub(super) fn are_same(old: &[LbLocality], new: &[LbLocality]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is_same(new))
}

/// The endpoints that were removed from the localities, and those that were added. An endpoint that has changed, or moved to
/// another locality, is in both lists.
pub(super) fn difference<'a>(old: &'a [LbLocality], new: &'a [LbLocality]) -> Changes<'a, LbEndpoint> {
    let mut changes = Changes::default();
    if old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.id == new.id) {
        let pairs = old.iter().zip(new);
        pairs.for_each(|(old, new)| changes.extend(SharedList::changes(&old.endpoints, &new.endpoints)));
        return changes;
    }
    let mut old: BTreeMap<_, _> = old.iter().map(|locality| (&locality.id, &locality.endpoints)).collect();
    for locality in new {
        match old.remove(&locality.id) {
            Some(old) => changes.extend(SharedList::changes(old, &locality.endpoints)),
            None => changes.added.extend(&locality.endpoints),
        }
    }
    changes.removed.extend(old.into_values().flatten());
    changes
}

/// The update without endpoints that an earlier priority or locality has already (LB-29). Localities and priorities that
/// become empty are removed, too.
///
/// Reads every endpoint; drivers call it only if an endpoint is listed twice.
pub(crate) fn distinct(mut update: LbUpdate) -> LbUpdate {
    let mut seen = IdMap::<()>::default();
    let mut keeps = |locality: &mut LbLocality| {
        let is_empty = locality.endpoints.is_empty();
        locality.endpoints = locality.endpoints.retained(|endpoint| seen.insert(endpoint.id, ()).is_none());
        is_empty || !locality.endpoints.is_empty()
    };
    update.priorities.retain_mut(|priority| {
        let is_empty = priority.localities.is_empty();
        priority.localities.retain_mut(&mut keeps);
        is_empty || !priority.localities.is_empty()
    });
    update
}

#[cfg(test)]
mod tests {
    use super::super::tests::driver::locality;
    use super::*;

    #[test]
    fn localities_are_the_same_while_id_weight_and_shared_endpoints_are() {
        let [a, b] = [locality("a", 1, &[1, 2]), locality("b", 1, &[3])];
        let both = [a.clone(), b.clone()];
        let rows = [
            ("clones", vec![a.clone(), b.clone()], true),
            ("order", vec![b.clone(), a.clone()], false),
            ("one less", vec![a.clone()], false),
            ("weight", vec![a.clone(), LbLocality { weight: 2, ..b.clone() }], false),
            ("id", vec![a.clone(), LbLocality { id: a.id.clone(), ..b.clone() }], false),
            ("endpoints", vec![a.clone(), LbLocality { endpoints: a.endpoints.clone(), ..b }], false),
            ("equal, not shared", vec![a, locality("b", 1, &[3])], false),
        ];
        for (name, others, expected) in rows {
            assert_eq!(are_same(&both, &others), expected, "{name}");
        }
        assert!(are_same(&[], &[]));
    }

    #[test]
    fn order_of_localities_makes_no_difference() {
        let ids = |list: &[&LbEndpoint]| list.iter().map(|endpoint| endpoint.id.0).collect::<Vec<_>>();
        let [a, b, more] = [locality("a", 1, &[1]), locality("b", 1, &[2]), locality("b", 1, &[2, 3])];
        let (both, swapped) = ([a.clone(), b.clone()], [b, a.clone()]);
        let changes = difference(&both, &swapped);
        assert_eq!((ids(&changes.removed), ids(&changes.added)), (vec![], vec![]));
        let others = [more, locality("c", 1, &[4]), a];
        let changes = difference(&both, &others);
        let mut added = ids(&changes.added);
        added.sort_unstable();
        assert!(added.ends_with(&[3, 4]), "{added:?}");
    }
}
