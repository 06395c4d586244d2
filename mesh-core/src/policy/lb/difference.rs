//! What is new in an update.

use std::collections::BTreeMap;

use crate::shared::{Changes, SharedList};

use super::{LbEndpoint, LbLocality};

/// Whether both are the same, as far as can be seen without looking at endpoints.
pub(super) fn are_same(old: &[LbLocality], new: &[LbLocality]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is_same(new))
}

/// Which endpoints are no longer in localities, and which ones are new or different in them. One that has changed, or
/// moved to another locality, is among both.
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
