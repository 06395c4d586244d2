//! Each endpoint once.

use std::sync::Arc;

use crate::shared::SharedList;

use super::id_map::IdMap;
use super::{EndpointId, LbEndpoint, LbLocality, LbUpdate};

/// The update without endpoints that an earlier priority or locality has already (LB-29). A locality or a priority of
/// which nothing is left that way is not there either.
///
/// Looks at every endpoint; drivers call it if an endpoint is there twice.
pub fn distinct(mut update: LbUpdate) -> LbUpdate {
    let mut seen = IdMap::default();
    let mut keeps = |locality: &mut LbLocality| {
        let is_empty = locality.endpoints.is_empty();
        locality.endpoints = without(&locality.endpoints, &mut seen);
        is_empty || !locality.endpoints.is_empty()
    };
    update.priorities.retain_mut(|priority| {
        let is_empty = priority.is_empty();
        priority.retain_mut(&mut keeps);
        is_empty || !priority.is_empty()
    });
    update
}

/// The list without what has been seen. Chunks that lose nothing are shared.
fn without(list: &SharedList<LbEndpoint>, seen: &mut IdMap<()>) -> SharedList<LbEndpoint> {
    let mut is_new = |id: EndpointId| seen.insert(id, ()).is_none();
    let chunks = list.chunks().iter().map(|chunk| {
        let kept: Vec<_> = chunk.iter().filter(|endpoint| is_new(endpoint.id)).collect();
        match kept.len() == chunk.len() {
            true => chunk.clone(),
            false => kept.into_iter().cloned().collect::<Arc<_>>(),
        }
    });
    SharedList::from_chunks(chunks.collect())
}
