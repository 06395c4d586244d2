//! The least busy of a few random endpoints (gRFC A48).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{Rng, RngExt};

use super::connect_all::Spread;
use super::ready::ReadyTable;
use super::{EndpointId, Pick, PickContext, Picker};

/// The least busy of a few random endpoints.
#[derive(Debug)]
pub(super) struct LeastRequest {
    pub(super) choice_count: u32,
}

impl Spread for LeastRequest {
    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(LeastRequestPicker { ready, choice_count: self.choice_count })
    }
}

#[derive(Debug)]
struct LeastRequestPicker {
    /// Not empty.
    ready: ReadyTable,
    choice_count: u32,
}

impl LeastRequestPicker {
    fn sample(&self, rng: &mut dyn Rng) -> Option<(EndpointId, u32)> {
        let (id, load) = self.ready.get(rng.random_range(0..self.ready.len().max(1)))?;
        Some((*id, load.in_flight.load(Ordering::Relaxed)))
    }
}

impl Picker for LeastRequestPicker {
    /// LB-32: samples with replacement; strictly fewer calls win, the first sample wins ties; weights do not count.
    fn pick(&self, _: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let Some((mut best, mut fewest)) = self.sample(rng) else { return Pick::Wait(None) };
        for _ in 1..self.choice_count {
            match self.sample(rng) {
                Some((id, in_flight)) if in_flight < fewest => (best, fewest) = (id, in_flight),
                Some(_) | None => {}
            }
        }
        Pick::Endpoint(best)
    }
}
