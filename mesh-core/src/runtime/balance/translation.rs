//! From configured endpoints to what a balancer is told of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointSet, HealthStatus, Locality, LocalityId, Member};
use crate::policy::lb::{EndpointId, LbEndpoint, LbLocality};
use crate::shared::SharedList;

/// What a balancer was told last. A chunk of endpoints that is configured again is told again, as the same chunk.
#[derive(Debug, Default)]
pub(super) struct Translation {
    priorities: Vec<Vec<Translated>>,
}

/// A locality in both languages.
#[derive(Debug)]
struct Translated {
    source: Arc<Locality>,
    id: Arc<LocalityId>,
    /// A chunk for each chunk of the source, without what is draining.
    endpoints: SharedList<LbEndpoint>,
    /// Which chunks the last update has brought.
    new: Vec<usize>,
}

/// Localities of the last update that this one has not taken up yet.
type Known = BTreeMap<Arc<LocalityId>, Vec<Translated>>;

impl Translation {
    /// Follows an update; what is new is translated by `translate`. Returns the endpoints of chunks that are gone, once
    /// for each time that they were there.
    pub(super) fn follow(
        &mut self,
        set: &EndpointSet,
        mut translate: impl FnMut(&Endpoint, &Arc<LocalityId>) -> Option<LbEndpoint>,
    ) -> Vec<EndpointId> {
        let mut known = Known::new();
        for translated in std::mem::take(&mut self.priorities).into_iter().flatten() {
            known.entry(translated.id.clone()).or_default().push(translated);
        }
        let mut released = Vec::new();
        for priority in &set.priorities {
            let localities = priority.localities.iter().map(|locality| {
                let before = take(&mut known, locality);
                Translated::new(locality, before, &mut translate, &mut released)
            });
            self.priorities.push(localities.collect());
        }
        let gone = known.into_values().flatten();
        released.extend(
            gone.flat_map(|gone| gone.endpoints.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>()),
        );
        released
    }

    /// For the balancer.
    pub(super) fn priorities(&self) -> Vec<Vec<LbLocality>> {
        let locality = |translated: &Translated| LbLocality {
            id: translated.source.id.clone(),
            weight: translated.source.weight.get(),
            endpoints: translated.endpoints.clone(),
        };
        self.priorities.iter().map(|localities| localities.iter().map(locality).collect()).collect()
    }

    /// Visits the endpoints of chunks that the last update has brought.
    pub(super) fn new(&self, mut visit: impl FnMut(EndpointId, &Endpoint, &Arc<LocalityId>)) {
        for translated in self.priorities.iter().flatten() {
            translated.new.iter().for_each(|at| translated.visit(*at, &mut visit));
        }
    }

    /// Visits all endpoints, in order.
    pub(super) fn all(&self, mut visit: impl FnMut(EndpointId, &Endpoint, &Arc<LocalityId>)) {
        for translated in self.priorities.iter().flatten() {
            (0..translated.endpoints.chunks().len()).for_each(|at| translated.visit(at, &mut visit));
        }
    }
}

/// The locality as it was: of several priorities', the one that is the same.
fn take(known: &mut Known, locality: &Arc<Locality>) -> Option<Translated> {
    let candidates = known.get_mut(&locality.id)?;
    let same = candidates.iter().position(|candidate| Arc::ptr_eq(&candidate.source, locality));
    (!candidates.is_empty()).then(|| candidates.remove(same.unwrap_or(0)))
}

impl Translated {
    fn new(
        source: &Arc<Locality>,
        before: Option<Self>,
        mut translate: impl FnMut(&Endpoint, &Arc<LocalityId>) -> Option<LbEndpoint>,
        released: &mut Vec<EndpointId>,
    ) -> Self {
        let mut before = before.unwrap_or_else(|| Self::nothing(&source.id));
        before.new.clear();
        if Arc::ptr_eq(&before.source, source) {
            return before;
        }
        let (old, new) = (before.source.endpoints.members(), source.endpoints.members());
        let told = before.endpoints.chunks();
        let (of_old, of_new) = SharedList::differing(old, new);
        let mut old: BTreeMap<_, _> = old.chunks()[of_old.clone()]
            .iter()
            .map(|chunk| chunk.as_ptr())
            .zip(&told[of_old.clone()])
            .collect();
        let mut chunks = Vec::with_capacity(new.chunks().len());
        chunks.extend_from_slice(&told[..of_old.start]);
        for (at, chunk) in of_new.clone().zip(&new.chunks()[of_new]) {
            chunks.push(old.remove(&chunk.as_ptr()).cloned().unwrap_or_else(|| {
                before.new.push(at);
                serving(chunk).filter_map(|endpoint| translate(endpoint, &before.id)).collect()
            }));
        }
        chunks.extend_from_slice(&told[of_old.end..]);
        released.extend(old.into_values().flat_map(|chunk| chunk.iter().map(|endpoint| endpoint.id)));
        Self { source: source.clone(), endpoints: SharedList::from_chunks(chunks), ..before }
    }

    fn nothing(id: &LocalityId) -> Self {
        let source = Locality { id: id.clone(), ..Locality::of(Vec::new()) };
        let id = Arc::new(id.clone());
        Self { source: Arc::new(source), id, endpoints: SharedList::default(), new: Vec::new() }
    }

    fn visit(&self, chunk: usize, visit: &mut impl FnMut(EndpointId, &Endpoint, &Arc<LocalityId>)) {
        let (sources, told) =
            (&self.source.endpoints.members().chunks()[chunk], &self.endpoints.chunks()[chunk]);
        for (endpoint, told) in serving(sources).zip(told.iter()) {
            visit(told.id, endpoint, &self.id);
        }
    }
}

/// EDS-11: draining endpoints take no calls.
fn serving(chunk: &[Member]) -> impl Iterator<Item = &Endpoint> {
    let endpoints = chunk.iter().map(|member| &member.endpoint);
    endpoints.filter(|endpoint| endpoint.health != HealthStatus::Draining)
}
