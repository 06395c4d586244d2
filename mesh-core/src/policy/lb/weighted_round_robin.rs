//! In turn over the ready endpoints, heavier ones more often (gRFC A58, Envoy's `ROUND_ROBIN`).

use std::sync::Arc;

use rand::Rng;

use super::connect_all::Spread;
use super::load::FULL_SHARE;
use super::ready::ReadyTable;
use super::round_robin::Positions;
use super::{Pick, PickContext, Picker};

/// In turn over the ready endpoints, each as often as its share says.
///
/// The rotation passes all endpoints again and again; in each round an endpoint is skipped unless its shares of the rounds so
/// far add up to one more call. So the calls of an endpoint are spread evenly, and a changed share needs no new picker.
#[derive(Debug, Default)]
pub(super) struct WeightedRoundRobin {
    positions: Arc<Positions>,
}

impl Spread for WeightedRoundRobin {
    fn begin(&mut self, rng: &mut dyn Rng) {
        self.positions.begin_at_random(rng);
    }

    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(WeightedRoundRobinPicker { ready, positions: self.positions.clone() })
    }
}

#[derive(Debug)]
struct WeightedRoundRobinPicker {
    /// Not empty.
    ready: ReadyTable,
    positions: Arc<Positions>,
}

impl Picker for WeightedRoundRobinPicker {
    /// LB-46: no lock, and no call waits for another one.
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        let len = self.ready.len().max(1) as u32;
        let mut passed = None;
        for _ in 0..MAX_PASSED {
            let position = self.positions.take();
            let (round, place) = (position / len, position % len);
            let Some((id, load)) = self.ready.get(place as usize) else { break };
            if has_turn(load.share.get(), round, place) {
                return Pick::Endpoint(*id);
            }
            passed = Some(*id);
        }
        passed.map_or(Pick::Wait(None), Pick::Endpoint)
    }
}

/// Whether an endpoint of this share takes a call in this round. Endpoints of equal shares skip different rounds.
#[inline]
fn has_turn(share: u32, round: u32, place: u32) -> bool {
    let full = u64::from(FULL_SHARE);
    let before = (u64::from(share) * u64::from(round) + u64::from(place) * (full / 2)) % full;
    before + u64::from(share) >= full
}

/// So many endpoints in a row are skipped at most. One heavy endpoint among ten thousand light ones is found sooner.
const MAX_PASSED: u32 = 1 << 17;
