//! The filters of a call that see its response.

use std::sync::Arc;

use http::{HeaderMap, response};

use crate::filter::CallFilters;

use super::connect::Connect;
use super::target::{Routed, TargetContext};

/// The filters that see the response of a call.
#[derive(Debug)]
pub(super) struct ResponseFilters {
    filters: CallFilters,
    context: Arc<TargetContext>,
}

impl ResponseFilters {
    /// `None`: no filter wants to see the response.
    pub(super) fn of<C: Connect>(filters: CallFilters, routed: &Routed<C>) -> Option<Box<Self>> {
        let context = &routed.cluster.context;
        filters.see_response().then(|| Box::new(Self { filters, context: context.clone() }))
    }

    pub(super) fn on_response(&mut self, head: &mut response::Parts) {
        let Self { filters, context } = self;
        context.randomness.with(|rng| filters.on_response(head, rng));
    }

    pub(super) fn on_trailers(&mut self, trailers: &mut HeaderMap) {
        let Self { filters, context } = self;
        context.randomness.with(|rng| filters.on_trailers(trailers, rng));
    }

    pub(super) fn see_trailers(&self) -> bool {
        self.filters.see_trailers()
    }
}
