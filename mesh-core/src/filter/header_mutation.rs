//! Header mutation: sets and removes headers of requests and responses (Envoy's
//! `envoy.extensions.filters.http.header_mutation.v3`).

use std::sync::Arc;

use http::{HeaderMap, request, response};

use crate::config::{HeaderMutation, HeaderMutations, MutationOrder};
use crate::policy::header_mutation::apply;

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, Overrides, RequestAction, Stages,
};

/// Configuration of a header mutation filter.
///
/// Its own mutations come first, then those of every level of the routes that has some: the exception from the
/// rule that one override takes the place of everything else.
// HF-46
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HeaderMutationConfig {
    /// For every call.
    pub mutations: HeaderMutations,
    /// In which order those of the routes are applied.
    pub order: MutationOrder,
}

impl HeaderMutationConfig {
    /// These mutations for every call; those of the routes in this order.
    pub fn new(mutations: HeaderMutations, order: MutationOrder) -> Self {
        Self { mutations, order }
    }
}

/// What a virtual host, a route or a weighted cluster adds to a header mutation filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeaderMutationOverride(pub HeaderMutations);

impl FilterConfig for HeaderMutationConfig {
    fn build(
        &self,
        overrides: Overrides<'_>,
        _: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        // HF-46
        let most_specific_first = overrides.all::<HeaderMutationOverride>()?;
        let least_first = most_specific_first.into_iter().rev().map(|HeaderMutationOverride(each)| each);
        let routes = join(least_first.collect(), self.order);
        let filter = HeaderMutationFilter::of([self.mutations.clone(), routes]);
        Ok(filter.map(|filter| Arc::new(filter) as _))
    }
}

/// Changes headers.
#[derive(Debug)]
pub(super) struct HeaderMutationFilter {
    request: Box<[HeaderMutation]>,
    response: Box<[HeaderMutation]>,
    trailers: Box<[HeaderMutation]>,
}

impl HeaderMutationFilter {
    /// The mutations of several levels, the least specific first. `None`: there are none.
    pub(super) fn new(least_first: Vec<&HeaderMutations>, order: MutationOrder) -> Option<Self> {
        Self::of([join(least_first, order)])
    }

    fn of(parts: impl IntoIterator<Item = HeaderMutations>) -> Option<Self> {
        let HeaderMutations { request, response, trailers } = concatenate(parts);
        let filter = Self { request: request.into(), response: response.into(), trailers: trailers.into() };
        (filter.stages() != Stages::NONE).then_some(filter)
    }
}

impl HttpFilter for HeaderMutationFilter {
    fn stages(&self) -> Stages {
        let stage = |list: &[HeaderMutation], stage| if list.is_empty() { Stages::NONE } else { stage };
        stage(&self.request, Stages::REQUEST)
            | stage(&self.response, Stages::RESPONSE)
            | stage(&self.trailers, Stages::TRAILERS)
    }

    fn on_request(&self, head: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        apply(&self.request, &mut head.headers);
        RequestAction::Continue
    }

    fn on_response(&self, head: &mut response::Parts, _: &mut FilterCall<'_>) {
        apply(&self.response, &mut head.headers);
    }

    fn on_trailers(&self, trailers: &mut HeaderMap, _: &mut FilterCall<'_>) {
        apply(&self.trailers, trailers);
    }
}

/// In the order in which they are applied: by default the most specific come first, and the least specific, which are
/// last, have the last word.
fn join(mut least_first: Vec<&HeaderMutations>, order: MutationOrder) -> HeaderMutations {
    if order == MutationOrder::MostSpecificFirst {
        least_first.reverse();
    }
    concatenate(least_first.into_iter().cloned())
}

fn concatenate(parts: impl IntoIterator<Item = HeaderMutations>) -> HeaderMutations {
    parts.into_iter().fold(HeaderMutations::new(), |mut all, part| {
        all.request.extend(part.request);
        all.response.extend(part.response);
        all.trailers.extend(part.trailers);
        all
    })
}
