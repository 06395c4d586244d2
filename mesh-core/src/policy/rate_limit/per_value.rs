//! A bucket for each value that is seen.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::bucket::{Standing, TokenBucket, TokenLimit};

/// A bucket for each value of a descriptor's open entries. At least the buckets that were used last are kept, and at most twice as
/// many: a value that comes back after so many others begins with a full bucket.
// HF-39
pub(super) struct PerValueBuckets {
    shards: Box<[Mutex<Generations>]>,
    kept_per_shard: usize,
    hasher: RandomState,
}

/// Buckets in two halves. Once the young ones are as many as are kept, they become the old ones, and the old ones are dropped.
#[derive(Default)]
struct Generations {
    young: HashTable<Keyed>,
    old: HashTable<Keyed>,
}

struct Keyed {
    hash: u64,
    key: Box<[u8]>,
    bucket: TokenBucket,
}

impl PerValueBuckets {
    /// Keeps the buckets of at least the `kept` values that were used last.
    pub(super) fn new(kept: NonZeroU32) -> Self {
        let kept = usize::try_from(kept.get()).unwrap_or(usize::MAX);
        // Values do not spread evenly over shards, so few are kept in one.
        let shards = if kept < MANY { 1 } else { SHARDS };
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            kept_per_shard: if shards == 1 { kept } else { (kept / shards).saturating_mul(5) / 4 },
            hasher: RandomState::new(),
        }
    }

    /// Takes tokens from the bucket of a value; see [`TokenBucket::take`].
    pub(super) fn take(
        &self,
        value: &[u8],
        now: Duration,
        limit: TokenLimit,
        cost: u32,
    ) -> Result<Standing, Standing> {
        let hash = self.hasher.hash_one(value);
        // the table within a shard looks at the other bits
        let shard = (hash >> 40) as usize % self.shards.len();
        let mut generations = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        generations.bucket(hash, value, self.kept_per_shard).take(now, limit, cost)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let count = |shard: &Mutex<Generations>| {
            let generations = shard.lock().unwrap_or_else(PoisonError::into_inner);
            generations.young.len() + generations.old.len()
        };
        self.shards.iter().map(count).sum()
    }
}

impl Generations {
    fn bucket(&mut self, hash: u64, key: &[u8], kept: usize) -> &TokenBucket {
        let is_it = |keyed: &Keyed| *keyed.key == *key;
        let mut known = None;
        if self.young.find(hash, is_it).is_none() {
            known = self.old.find_entry(hash, is_it).ok().map(|known| known.remove().0);
            if self.young.len() >= kept {
                self.old = std::mem::take(&mut self.young);
            }
        }
        match self.young.entry(hash, is_it, |keyed| keyed.hash) {
            Entry::Occupied(found) => &found.into_mut().bucket,
            Entry::Vacant(free) => {
                let new = || Keyed { hash, key: key.into(), bucket: TokenBucket::default() };
                &free.insert(known.unwrap_or_else(new)).into_mut().bucket
            }
        }
    }
}

impl fmt::Debug for PerValueBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerValueBuckets")
            .field("kept_per_shard", &self.kept_per_shard)
            .finish_non_exhaustive()
    }
}

/// So many values are worth shards.
const MANY: usize = 1024;

const SHARDS: usize = 64;
