//! In turn over the ready endpoints (gRFC A27, A61).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::Rng;

use super::connect_all::Spread;
use super::ready::ReadyTable;
use super::{Pick, PickContext, Picker};

/// In turn over the ready endpoints.
///
/// All pickers share one position, so that endpoints which come and go do not send the rotation back to its start.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    turn: Arc<AtomicU32>,
}

impl Spread for RoundRobin {
    /// LB-30: a random start, so that not all clients start with the same endpoint.
    fn begin(&mut self, rng: &mut dyn Rng) {
        self.turn.store(rng.next_u32(), Ordering::Relaxed);
    }

    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(RoundRobinPicker { ready, turn: self.turn.clone() })
    }
}

#[derive(Debug)]
struct RoundRobinPicker {
    /// Not empty.
    ready: ReadyTable,
    turn: Arc<AtomicU32>,
}

impl Picker for RoundRobinPicker {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let place = (turn as usize).checked_rem(self.ready.len());
        let ready = place.and_then(|place| self.ready.get(place));
        ready.map_or(Pick::Wait(None), |(id, _)| Pick::Endpoint(*id))
    }
}
