//! In turn over the ready endpoints (gRFC A27, A61).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

use crate::sharded::Sharded;

use super::connect_all::Spread;
use super::ready::ReadyTable;
use super::{Pick, PickContext, Picker};

/// In turn over the ready endpoints.
///
/// All pickers share the positions, so that endpoints which come and go do not send the rotation back to its start.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    positions: Arc<Positions>,
}

/// The positions of the rotation. Threads of one shard go in turn together. Each shard has a rotation of its own, so that
/// threads do not wait for each other: while the endpoints stay, two of them differ by at most one call per shard.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// Where the next shard begins. One after the other, so that shards do not begin at the same endpoint.
    start: AtomicU64,
    /// The next position of each shard; 0: it has not begun.
    next: Sharded<AtomicU64>,
}

impl Positions {
    /// LB-30: a random start, so that not all clients start with the same endpoint.
    pub(super) fn begin_at_random(&self, rng: &mut dyn Rng) {
        self.start.store(rng.next_u32().into(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn take(&self) -> u32 {
        let next = self.next.own();
        match next.fetch_add(1, Ordering::Relaxed) {
            0 => self.begin(next),
            position => position as u32,
        }
    }

    #[cold]
    fn begin(&self, next: &AtomicU64) -> u32 {
        let start = self.start.fetch_add(1, Ordering::Relaxed) as u32;
        next.store(BEGUN | (u64::from(start) + 1), Ordering::Relaxed);
        start
    }
}

/// Set in every position of a shard that has begun. The position itself is in the lower half.
const BEGUN: u64 = 1 << 63;

impl Spread for RoundRobin {
    fn begin(&mut self, rng: &mut dyn Rng) {
        self.positions.begin_at_random(rng);
    }

    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(RoundRobinPicker { ready, positions: self.positions.clone() })
    }
}

#[derive(Debug)]
struct RoundRobinPicker {
    /// Not empty.
    ready: ReadyTable,
    positions: Arc<Positions>,
}

impl Picker for RoundRobinPicker {
    fn pick(&self, _: &PickContext<'_>, _: &mut dyn Rng) -> Pick {
        let position = self.positions.take();
        let place = (position as usize).checked_rem(self.ready.len());
        let ready = place.and_then(|place| self.ready.get(place));
        ready.map_or(Pick::Wait(None), |(id, _)| Pick::Endpoint(*id))
    }
}
