//! Translates configured endpoints to those of a balancer's update.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Endpoint, EndpointSet, HealthStatus, Locality, LocalityId, Member};
use crate::policy::lb::{EndpointId, LbEndpoint, LbLocality};
use crate::shared::{Mapping, SharedList};

/// The endpoints of the balancer's last update. Unchanged endpoints are the same in the next update, in lists that share
/// them.
#[derive(Debug, Default)]
pub(super) struct Translation {
    priorities: Vec<Vec<Translated>>,
}

/// A configured locality and its translation.
#[derive(Debug)]
struct Translated {
    source: Arc<Locality>,
    id: Arc<LocalityId>,
    /// Without draining endpoints.
    endpoints: SharedList<LbEndpoint>,
    /// The endpoints that the last update has added.
    new: Vec<(EndpointId, Arc<Member>)>,
}

/// Localities of the last update that are not yet matched with one of this update.
type Known = BTreeMap<Arc<LocalityId>, Vec<Translated>>;

impl Translation {
    /// Sets the configured endpoints; `translate` translates new and changed ones. Returns removed and changed ones, once for
    /// each place at which they were listed.
    pub(super) fn follow(
        &mut self,
        set: &EndpointSet,
        mut translate: impl FnMut(&Endpoint, &Arc<LocalityId>) -> LbEndpoint,
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

    /// The localities for the balancer, by priority.
    pub(super) fn priorities(&self) -> Vec<Vec<LbLocality>> {
        let locality = |translated: &Translated| LbLocality {
            id: translated.source.id.clone(),
            weight: translated.source.weight.get(),
            endpoints: translated.endpoints.clone(),
        };
        self.priorities.iter().map(|localities| localities.iter().map(locality).collect()).collect()
    }

    /// Visits the endpoints that the last update has added.
    pub(super) fn brought(&self, mut visit: impl FnMut(EndpointId, &Endpoint, &Arc<LocalityId>)) {
        for translated in self.priorities.iter().flatten() {
            translated.new.iter().for_each(|(id, member)| visit(*id, &member.endpoint, &translated.id));
        }
    }

    /// Visits all endpoints, in order.
    pub(super) fn all(&self, mut visit: impl FnMut(EndpointId, &Endpoint, &Arc<LocalityId>)) {
        for Translated { source, id, endpoints, .. } in self.priorities.iter().flatten() {
            let serving = source.endpoints.iter().filter(|endpoint| is_serving(endpoint));
            serving.zip(endpoints).for_each(|(endpoint, told)| visit(told.id, endpoint, id));
        }
    }
}

/// The last translation of a locality; if several priorities had it, an equal one is preferred.
fn take(known: &mut Known, locality: &Arc<Locality>) -> Option<Translated> {
    let candidates = known.get_mut(&locality.id)?;
    let same = candidates.iter().position(|candidate| Arc::ptr_eq(&candidate.source, locality));
    (!candidates.is_empty()).then(|| candidates.remove(same.unwrap_or(0)))
}

impl Translated {
    fn new(
        source: &Arc<Locality>,
        before: Option<Self>,
        translate: &mut impl FnMut(&Endpoint, &Arc<LocalityId>) -> LbEndpoint,
        released: &mut Vec<EndpointId>,
    ) -> Self {
        let mut before = before.unwrap_or_else(|| Self::nothing(&source.id));
        before.new.clear();
        if Arc::ptr_eq(&before.source, source) {
            return before;
        }
        let Self { source: old, id, endpoints, mut new } = before;
        let mut translator = Translator { translate, locality: &id, new: &mut new, released };
        let known = (old.endpoints.members(), &endpoints);
        let endpoints = source.endpoints.members().mapped(known, &mut translator);
        Self { source: source.clone(), id, endpoints, new }
    }

    fn nothing(id: &LocalityId) -> Self {
        let source = Locality { id: id.clone(), ..Locality::of(Vec::new()) };
        let id = Arc::new(id.clone());
        Self { source: Arc::new(source), id, endpoints: SharedList::default(), new: Vec::new() }
    }
}

/// Translates one locality, and collects added and removed endpoints.
struct Translator<'a, F> {
    translate: &'a mut F,
    locality: &'a Arc<LocalityId>,
    new: &'a mut Vec<(EndpointId, Arc<Member>)>,
    released: &'a mut Vec<EndpointId>,
}

impl<F: FnMut(&Endpoint, &Arc<LocalityId>) -> LbEndpoint> Mapping<Member, LbEndpoint> for Translator<'_, F> {
    fn has_counterpart(&self, member: &Member) -> bool {
        is_serving(&member.endpoint)
    }

    fn add(&mut self, member: &Arc<Member>) -> LbEndpoint {
        let told = (self.translate)(&member.endpoint, self.locality);
        self.new.push((told.id, member.clone()));
        told
    }

    fn remove(&mut self, told: &LbEndpoint) {
        self.released.push(told.id);
    }
}

/// EDS-11: draining endpoints take no calls.
fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint.health != HealthStatus::Draining
}
