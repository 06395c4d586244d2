//! Each endpoint once.

use std::collections::BTreeSet;

use super::{LbEndpoint, LbLocality, LbUpdate};

/// The update without endpoints that an earlier priority or locality has already (LB-29): one with the same addresses,
/// in whatever order. A locality or a priority of which nothing is left that way is not there either.
pub(super) fn distinct(mut update: LbUpdate) -> LbUpdate {
    let mut seen = BTreeSet::new();
    let mut is_new = |endpoint: &LbEndpoint| seen.insert(endpoint.addresses.identity());
    let mut keeps = |locality: &mut LbLocality| {
        let is_empty = locality.endpoints.is_empty();
        locality.endpoints.retain(&mut is_new);
        is_empty || !locality.endpoints.is_empty()
    };
    update.priorities.retain_mut(|priority| {
        let is_empty = priority.is_empty();
        priority.retain_mut(&mut keeps);
        is_empty || !priority.is_empty()
    });
    update
}
