//! Endpoints on a circle of hashes.

use std::fmt::Write;

use twox_hash::XxHash64;

use crate::config;

/// LB-34: the client's own limit; a larger configured size is lowered to it.
const SIZE_LIMIT: u64 = 4096;

/// Endpoints on a circle of hashes, each with a number of entries in proportion to its weight.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// By hash, ascending.
    entries: Box<[Entry]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    /// A position in the list that the ring is made of.
    endpoint: u32,
}

impl Ring {
    /// A ring of endpoints, given by their keys and weights (LB-35).
    pub(super) fn new(sizes: config::RingHash, endpoints: &[(String, u32)]) -> Self {
        let (min_size, max_size) = (sizes.min_size.clamp(1, SIZE_LIMIT), sizes.max_size.clamp(1, SIZE_LIMIT));
        let total: f64 = endpoints.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let Some(least) = endpoints.iter().map(|(_, weight)| f64::from(*weight) / total).reduce(f64::min)
        else {
            return Self::default();
        };
        let scale = ((least * min_size as f64).ceil() / least).min(max_size as f64);
        let mut order: Vec<_> = (0..endpoints.len()).collect();
        order.sort_by_key(|at| &endpoints[*at].0);
        let mut entries: Vec<Entry> = Vec::with_capacity(scale.ceil() as usize);
        let (mut target, mut text) = (0.0, String::new());
        for at in order {
            let (key, weight) = &endpoints[at];
            target += scale * (f64::from(*weight) / total);
            for number in 0_u32.. {
                if entries.len() as f64 >= target {
                    break;
                }
                text.clear();
                _ = write!(text, "{key}_{number}");
                entries.push(Entry { hash: XxHash64::oneshot(0, text.as_bytes()), endpoint: at as u32 });
            }
        }
        entries.sort_by_key(|entry| entry.hash);
        Self { entries: entries.into() }
    }

    /// The endpoints of all entries, starting with the first entry at or after `hash` (LB-36).
    #[inline]
    pub(super) fn walk(&self, hash: u64) -> impl Iterator<Item = usize> {
        let (before, after) = self.entries.split_at(self.entries.partition_point(|entry| entry.hash < hash));
        after.iter().chain(before).map(|entry| entry.endpoint as usize)
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, usize)> {
        self.entries.iter().map(|entry| (entry.hash, entry.endpoint as usize))
    }
}
