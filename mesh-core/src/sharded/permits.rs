//! A count with a limit, for many threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Sharded, shards};

/// Counts what is in use, up to a limit. The limit is an argument, so that a new limit changes no count.
///
/// Permits are taken from a common count. Far from the limit a shard takes some more than it needs, and keeps those that are
/// given back; its threads use these before they write the common count again. Close to the limit no shard takes more than it
/// needs, and before a request is refused the kept permits of all shards are given back:
///
/// - There are never more in use than the limit.
/// - A request is refused only if too few are free, or if they change hands between threads at that moment.
#[derive(Debug)]
pub(crate) struct Permits {
    /// In use, or kept by a shard.
    taken: Taken,
    /// Kept by each shard: taken, and not in use.
    kept: Sharded<AtomicUsize>,
    /// How many a shard takes at most beyond what it needs.
    batch: usize,
}

/// On a cache line of its own: every call reads it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Taken(AtomicUsize);

impl Permits {
    /// None in use.
    pub(crate) fn new(batch: usize) -> Self {
        Self { taken: Taken::default(), kept: Sharded::default(), batch }
    }

    /// Takes so many permits, unless more than `limit` would be in use then. After `true` they are given back by
    /// [`give_back`](Self::give_back), all at once or in parts.
    #[inline(always)]
    pub(crate) fn take(&self, permits: usize, limit: usize) -> bool {
        // Kept permits are within the limit if all that are taken are; it may be lower than when they were taken.
        let is_within_limit = self.taken.0.load(Ordering::Relaxed) <= limit;
        (is_within_limit && remove(self.kept.own(), permits)) || self.take_from_all(permits, limit)
    }

    /// Gives back so many of the permits in use.
    #[inline(always)]
    pub(crate) fn give_back(&self, permits: usize) {
        let kept = self.kept.own();
        let all = kept.fetch_add(permits, Ordering::Relaxed) + permits;
        // A shard whose threads give back more than they take must not keep what others need.
        if all > 2 * self.batch && remove(kept, all - self.batch) {
            self.taken.0.fetch_sub(all - self.batch, Ordering::Relaxed);
        }
    }

    /// How many are in use.
    pub(crate) fn in_use(&self) -> usize {
        let kept: usize = self.kept.iter().map(|kept| kept.load(Ordering::Relaxed)).sum();
        self.taken.0.load(Ordering::Relaxed).saturating_sub(kept)
    }

    #[inline(never)]
    fn take_from_all(&self, permits: usize, limit: usize) -> bool {
        let mut taken = self.taken.0.load(Ordering::Relaxed);
        loop {
            let rest = limit.checked_sub(taken).and_then(|free| free.checked_sub(permits));
            let Some(rest) = rest else {
                if self.collect() == 0 {
                    return false;
                }
                taken = self.taken.0.load(Ordering::Relaxed);
                continue;
            };
            let more = (rest / (2 * shards())).min(self.batch);
            let after = taken + permits + more;
            match self.taken.0.compare_exchange_weak(taken, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.kept.own().fetch_add(more, Ordering::Relaxed);
                    return true;
                }
                Err(now) => taken = now,
            }
        }
    }

    /// Gives back what the shards keep. Returns how much that was.
    fn collect(&self) -> usize {
        let is_kept = |kept: &&AtomicUsize| kept.load(Ordering::Relaxed) > 0;
        let collected: usize =
            self.kept.iter().filter(is_kept).map(|kept| kept.swap(0, Ordering::Relaxed)).sum();
        self.taken.0.fetch_sub(collected, Ordering::Relaxed);
        collected
    }
}

/// Removes so many from a count, unless it is lower.
#[inline(always)]
fn remove(count: &AtomicUsize, permits: usize) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(permits)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn every_permit_up_to_the_limit_is_given_also_if_another_shard_keeps_it() {
        let permits = Permits::new(32);
        for limit in [0, 1, 7, 1_000] {
            assert!((0..limit).all(|_| permits.take(1, limit)), "{limit}");
            assert!(!permits.take(1, limit));
            assert_eq!(permits.in_use(), limit);
            // given back, and kept, by threads of all shards
            std::thread::scope(|scope| {
                let permits = &permits;
                (0..limit).step_by(10).for_each(|from| {
                    scope.spawn(move || (from..limit.min(from + 10)).for_each(|_| permits.give_back(1)));
                });
            });
            assert_eq!(permits.in_use(), 0);
        }
        assert!(permits.take(1_000, 1_000), "all at once");
    }

    #[test]
    fn permits_that_a_shard_keeps_are_not_used_above_a_lower_limit() {
        let permits = Permits::new(32);
        assert!((0..10).all(|_| permits.take(1, 1_000)));
        (0..5).for_each(|_| permits.give_back(1));
        assert!(!permits.take(1, 5));
        assert!(permits.take(1, 6));
        assert_eq!(permits.in_use(), 6);
    }

    #[test]
    fn shard_that_only_gives_back_keeps_no_more_than_two_batches() {
        let permits = Permits::new(4);
        assert!(permits.take(1_000, usize::MAX));
        (0..1_000).for_each(|_| permits.give_back(1));
        assert!(permits.taken.0.load(Ordering::Relaxed) <= 8 + 4, "{permits:?}");
        assert_eq!(permits.in_use(), 0);
    }

    #[test]
    fn threads_never_use_more_than_the_limit_together() {
        const LIMIT: usize = 5;
        let (permits, in_use, is_exceeded) = (Permits::new(32), AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..5_000 {
                        let wanted = 1 + round % 2;
                        if permits.take(wanted, LIMIT) {
                            let all = in_use.fetch_add(wanted, Ordering::SeqCst) + wanted;
                            is_exceeded.fetch_or(all > LIMIT, Ordering::SeqCst);
                            in_use.fetch_sub(wanted, Ordering::SeqCst);
                            permits.give_back(wanted);
                        }
                    }
                });
            }
        });
        assert!(!is_exceeded.into_inner());
        assert_eq!(permits.in_use(), 0);
        assert!(permits.take(LIMIT, LIMIT), "none is lost");
    }
}
