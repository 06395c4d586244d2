//! Counters and reference counts that every call writes, divided so that threads do not write the same cache line.
//!
//! Each thread belongs to one shard, and writes the parts of that shard. There are as many shards as processors, at most
//! [`MAX_SHARDS`]; a new thread takes the shard that the fewest running threads have.

mod permits;
mod refs;

use std::cell::Cell;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::available_parallelism;

pub(crate) use permits::Permits;
pub(crate) use refs::{Ref, Refs};

/// One value for each shard.
pub(crate) struct Sharded<T>(Box<[CacheLines<T>]>);

/// A value on cache lines of its own: two, since processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct CacheLines<T>(T);

impl<T> Sharded<T> {
    /// The value of this thread's shard.
    #[inline(always)]
    pub(crate) fn own(&self) -> &T {
        // Every thread's shard is below the number of shards.
        &self.0.get(shard()).unwrap_or(&self.0[0]).0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|lines| &lines.0)
    }
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self((0..shards()).map(|_| CacheLines::default()).collect())
    }
}

impl<T: fmt::Debug> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The number of shards.
#[inline]
pub(crate) fn shards() -> usize {
    *SHARDS
}

/// This thread's shard, below [`shards`].
#[inline(always)]
fn shard() -> usize {
    match SHARD.get() {
        UNASSIGNED => assign(),
        shard => shard,
    }
}

#[cold]
fn assign() -> usize {
    // A thread that is about to end has no assignment any more.
    let shard = ASSIGNMENT.try_with(|assignment| assignment.0).unwrap_or(0);
    SHARD.set(shard);
    shard
}

/// A thread's shard, counted while the thread runs.
struct Assignment(usize);

impl Assignment {
    fn new() -> Self {
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest = threads.iter_mut().take(shards()).enumerate().min_by_key(|(_, threads)| **threads);
        let Some((shard, threads)) = fewest else { return Self(0) };
        *threads += 1;
        Self(shard)
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(threads) = threads.get_mut(self.0) {
            *threads -= 1;
        }
    }
}

thread_local! {
    // apart from the assignment: without a destructor it is read in one instruction
    static SHARD: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static ASSIGNMENT: Assignment = Assignment::new();
}

/// The running threads of each shard.
static THREADS: Mutex<[usize; MAX_SHARDS]> = Mutex::new([0; MAX_SHARDS]);

static SHARDS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, |processors| processors.get().min(MAX_SHARDS)));

const UNASSIGNED: usize = usize::MAX;

/// More shards would cost more memory than they save time.
const MAX_SHARDS: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn thread_keeps_its_shard_and_threads_spread_over_all() {
        let all_assigned = Barrier::new(4 * MAX_SHARDS);
        let seen: BTreeSet<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4 * MAX_SHARDS)
                .map(|_| {
                    scope.spawn(|| {
                        let first = shard();
                        all_assigned.wait();
                        assert_eq!(shard(), first);
                        first
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(seen, (0..shards()).collect());
    }

    #[test]
    fn values_of_shards_are_at_least_two_lines_apart() {
        let values: Sharded<u8> = Sharded::default();
        let addresses: Vec<_> = values.iter().map(|value| std::ptr::from_ref(value).addr()).collect();
        assert_eq!(addresses.len(), shards());
        assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] >= 128), "{addresses:?}");
    }
}
