//! Removes repeated endpoints from an update.

use super::id_map::IdMap;
use super::{LbLocality, LbUpdate};

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
