//! A random ready endpoint (Envoy's `RANDOM`), and random draws for other policies.

use std::sync::Arc;

use rand::{Rng, RngExt};

use super::connect_all::Spread;
use super::ready::ReadyTable;
use super::{Pick, PickContext, Picker};

/// A random ready endpoint.
#[derive(Debug)]
pub(super) struct Random;

impl Spread for Random {
    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(RandomPicker(ready))
    }
}

#[derive(Debug)]
struct RandomPicker(ReadyTable);

impl Picker for RandomPicker {
    fn pick(&self, _: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let ready = self.0.get(place(self.0.len(), rng));
        ready.map_or(Pick::Wait(None), |(id, _)| Pick::Endpoint(*id))
    }
}

/// A random place in a list of this length; 0 if it is empty.
#[inline]
pub(super) fn place(len: usize, rng: &mut dyn Rng) -> usize {
    rng.random_range(0..len.max(1) as u32) as usize
}

/// Draws `count` different places of a list of this length, at most [`MAX_DRAWS`], or all if it has no more; calls `visit` with
/// each.
#[inline]
pub(super) fn draw_different(len: usize, count: usize, rng: &mut dyn Rng, mut visit: impl FnMut(usize)) {
    let count = count.min(MAX_DRAWS);
    let first = place(len, rng);
    if len <= count {
        return (first..len).chain(0..first).for_each(visit);
    }
    let mut drawn = [first; MAX_DRAWS];
    visit(first);
    for number in 1..count {
        let mut next = place(len, rng);
        while drawn[..number].contains(&next) {
            next = place(len, rng);
        }
        drawn[number] = next;
        visit(next);
    }
}

/// More draws than this make no better choice.
pub(super) const MAX_DRAWS: usize = 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn draws_are_different_and_reach_every_place() {
        let mut rng = StdRng::seed_from_u64(5);
        for (len, count, expected) in [(1, 2, 1), (2, 2, 2), (3, 2, 2), (5, 4, 4), (4, 9, 4), (100, 60, 10)] {
            let mut all = BTreeSet::new();
            for _ in 0..400 {
                let mut drawn = Vec::new();
                draw_different(len, count, &mut rng, |place| drawn.push(place));
                let different: BTreeSet<_> = drawn.iter().copied().collect();
                assert_eq!((drawn.len(), different.len()), (expected, expected), "{count} of {len}");
                all.extend(drawn);
            }
            assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>(), "{count} of {len}");
        }
    }
}
