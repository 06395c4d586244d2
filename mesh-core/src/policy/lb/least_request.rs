//! The least busy of a few random endpoints (gRFC A48).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{Rng, RngExt};

use super::connect_all::Spread;
use super::connectivity::Phase;
use super::members::Members;
use super::{EndpointId, EndpointLoad, Pick, PickContext, Picker};

/// The least busy of a few random endpoints.
#[derive(Debug)]
pub(super) struct LeastRequest {
    pub(super) choice_count: u32,
}

impl Spread for LeastRequest {
    fn picker(&self, members: &Members) -> Arc<dyn Picker> {
        let ready = members.list().iter().filter(|member| member.counted == Phase::Ready);
        let ready = ready.map(|member| (member.endpoint.id, member.endpoint.load.clone())).collect();
        Arc::new(LeastRequestPicker { ready, choice_count: self.choice_count })
    }
}

#[derive(Debug)]
struct LeastRequestPicker {
    /// Not empty.
    ready: Box<[(EndpointId, Arc<EndpointLoad>)]>,
    choice_count: u32,
}

impl LeastRequestPicker {
    fn sample(&self, rng: &mut dyn Rng) -> (EndpointId, u32) {
        let (id, load) = &self.ready[rng.random_range(0..self.ready.len())];
        (*id, load.in_flight.load(Ordering::Relaxed))
    }
}

impl Picker for LeastRequestPicker {
    /// LB-32: samples with replacement; strictly fewer calls win, the first sample wins ties; weights do not count.
    fn pick(&self, _: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let (mut best, mut fewest) = self.sample(rng);
        for _ in 1..self.choice_count {
            let (id, in_flight) = self.sample(rng);
            if in_flight < fewest {
                (best, fewest) = (id, in_flight);
            }
        }
        Pick::Endpoint(best)
    }
}
