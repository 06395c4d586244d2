//! Random numbers for the request path: one small generator per thread, no lock.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Identifies the mesh that seeded a thread's generator.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static GENERATOR: Cell<Option<(u64, SmallRng)>> = const { Cell::new(None) };
}

/// A mesh's source of randomness. Each thread has its own generator, seeded in the order of the threads' first draws.
#[derive(Debug)]
pub(crate) struct Randomness {
    id: u64,
    seed: u64,
    threads: AtomicU64,
}

impl Randomness {
    pub(crate) fn new(seed: u64) -> Self {
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), seed, threads: AtomicU64::new(0) }
    }

    /// Calls `use_it` with this thread's generator.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut SmallRng) -> T) -> T {
        GENERATOR.with(|cell| {
            let mut generator = match cell.take() {
                Some((id, generator)) if id == self.id => generator,
                _ => self.seed_thread(),
            };
            let result = use_it(&mut generator);
            cell.set(Some((self.id, generator)));
            result
        })
    }

    pub(crate) fn next_u64(&self) -> u64 {
        self.with(Rng::next_u64)
    }

    fn seed_thread(&self) -> SmallRng {
        let thread = self.threads.fetch_add(1, Ordering::Relaxed);
        SmallRng::seed_from_u64(self.seed.wrapping_add(thread))
    }
}

#[cfg(test)]
mod tests {
    use super::Randomness;

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let draw = |seed| {
            let randomness = Randomness::new(seed);
            [randomness.next_u64(), randomness.next_u64()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }
}
