//! The least busy endpoint for its weight (Envoy's `LEAST_REQUEST`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{Rng, RngExt};

use crate::config;

use super::connect_all::Spread;
use super::load::FULL_SHARE;
use super::random::{MAX_DRAWS, draw_different, place};
use super::ready::ReadyTable;
use super::{EndpointId, EndpointLoad, Pick, PickContext, Picker};

/// While all weights are equal, the least busy of a few random endpoints. Otherwise a random one, whose chance is
/// `weight / (calls in flight + 1)^bias` (LB-33).
#[derive(Debug)]
pub(super) struct WeightedLeastRequest {
    choice_count: u32,
    bias: f32,
    are_equal: Arc<AtomicBool>,
}

impl WeightedLeastRequest {
    /// `are_equal` says whether all ready endpoints have the same share.
    pub(super) fn new(settings: &config::WeightedLeastRequest, are_equal: Arc<AtomicBool>) -> Self {
        Self { choice_count: settings.choice_count, bias: settings.bias as f32, are_equal }
    }
}

impl Spread for WeightedLeastRequest {
    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        let (choice_count, bias) = (self.choice_count as usize, self.bias);
        Arc::new(LeastRequestPicker { ready, choice_count, bias, are_equal: self.are_equal.clone() })
    }
}

#[derive(Debug)]
struct LeastRequestPicker {
    /// Not empty.
    ready: ReadyTable,
    choice_count: usize,
    bias: f32,
    are_equal: Arc<AtomicBool>,
}

impl Picker for LeastRequestPicker {
    fn pick(&self, _: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let picked =
            if self.are_equal.load(Ordering::Relaxed) { self.least_busy(rng) } else { self.by_weight(rng) };
        picked.map_or(Pick::Wait(None), Pick::Endpoint)
    }
}

impl LeastRequestPicker {
    /// The draws are different endpoints: an endpoint that never answers is not chosen against itself, and so takes no more
    /// calls than the others have.
    fn least_busy(&self, rng: &mut dyn Rng) -> Option<EndpointId> {
        let mut best: Option<(EndpointId, u32)> = None;
        draw_different(self.ready.len(), self.choice_count, rng, |place| {
            let Some((id, load)) = self.ready.get(place) else { return };
            let in_flight = load.in_flight.load(Ordering::Relaxed);
            if best.is_none_or(|(_, fewest)| in_flight < fewest) {
                best = Some((*id, in_flight));
            }
        });
        best.map(|(id, _)| id)
    }

    /// LB-33: exact for up to [`MAX_DRAWS`] endpoints. Of more, some are drawn by weight, and one of those by its calls.
    fn by_weight(&self, rng: &mut dyn Rng) -> Option<EndpointId> {
        let mut candidates = [(EndpointId(0), 0.0_f32); MAX_DRAWS];
        let mut count = 0;
        let mut total = 0.0;
        let mut add = |id: EndpointId, chance: f32| {
            total += chance;
            candidates[count] = (id, total);
            count += 1;
        };
        if self.ready.len() <= MAX_DRAWS {
            for (id, load) in (0..self.ready.len()).filter_map(|place| self.ready.get(place)) {
                add(*id, load.share.get() as f32 * self.idleness(load));
            }
        } else {
            for _ in 0..self.choice_count.clamp(LEAST_DRAWS, MAX_DRAWS) {
                if let Some((id, load)) = self.draw(rng) {
                    add(*id, self.idleness(load));
                }
            }
        }
        let draw = rng.random::<f32>() * total;
        let candidates = candidates.get(..count)?;
        let chosen = candidates.iter().find(|(_, end)| draw < *end).or_else(|| candidates.last());
        chosen.map(|(id, _)| *id)
    }

    /// A random endpoint, by its share.
    fn draw(&self, rng: &mut dyn Rng) -> Option<&(EndpointId, Arc<EndpointLoad>)> {
        let mut drawn = None;
        for _ in 0..MAX_REDRAWS {
            drawn = self.ready.get(place(self.ready.len(), rng));
            if drawn.is_none_or(|(_, load)| rng.random_range(0..FULL_SHARE) < load.share.get()) {
                break;
            }
        }
        drawn
    }

    #[inline]
    fn idleness(&self, load: &EndpointLoad) -> f32 {
        let calls = load.in_flight.load(Ordering::Relaxed) as f32 + 1.0;
        if self.bias == 1.0 { 1.0 / calls } else { calls.powf(-self.bias) }
    }
}

/// So many endpoints are drawn by weight at least.
const LEAST_DRAWS: usize = 4;
/// After so many draws an endpoint is taken regardless of its weight.
const MAX_REDRAWS: usize = 64;
