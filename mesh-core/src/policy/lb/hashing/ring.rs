//! Endpoints on a circle of hashes.

use std::fmt::Write;
use std::sync::Arc;

use twox_hash::XxHash64;

use crate::config;
use crate::shared::SharedTable;

use super::seats::Seats;
use super::{Circle, Dropped, Entry, Seat, View};

/// LB-34: the client's own limit; a larger configured size is lowered to it.
const SIZE_LIMIT: u64 = 4096;

/// Endpoints on a circle of hashes, each with a number of entries in proportion to its weight (LB-35).
///
/// The circle is divided into buckets. An endpoint that comes or goes copies the buckets of its own entries. Other endpoints may
/// get more entries or fewer by that: entries that do not count any more stay, until there are too many of them.
#[derive(Debug)]
pub(super) struct Ring {
    sizes: config::RingHash,
    circle: Buckets,
    /// How many entries of each seat are in the buckets.
    made: Vec<u32>,
    /// How many entries are in the buckets.
    total: usize,
}

/// Entries by hash.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    /// By the upper bits of the hash; in each, ascending.
    buckets: SharedTable<Arc<[Entry]>>,
    /// How many bits of a hash say nothing about its bucket.
    shift: u32,
}

impl Ring {
    pub(super) fn new(sizes: &config::RingHash) -> Self {
        let mut circle = Buckets::default();
        circle.clear(0);
        Self { sizes: sizes.clone(), circle, made: Vec::new(), total: 0 }
    }

    /// Sets the number of entries of each seat.
    fn set_counts(&self, seats: &mut Seats) {
        let weights: Vec<f64> = seats.weights().map(f64::from).collect();
        for (place, entries) in entry_counts(&self.sizes, &weights).enumerate() {
            seats.set_entries(seats.order()[place], entries);
        }
    }

    /// Makes all buckets anew, without entries that do not count.
    fn rebuild(&mut self, seats: &Seats) {
        self.made.fill(0);
        let wanted = seats.order().iter().map(|seat| seats.entries(*seat) as usize).sum();
        self.circle.clear(wanted);
        self.total = 0;
        self.complete(seats, seats.order());
    }

    /// Adds the entries that these seats have too few of.
    fn complete(&mut self, seats: &Seats, which: &[Seat]) {
        let mut entries = Vec::new();
        for seat in which {
            let made = &mut self.made[*seat as usize];
            let wanted = seats.entries(*seat);
            if wanted > *made {
                hashes(seats.key(*seat), *made..wanted, |hash, number| {
                    entries.push(Entry { hash, number, seat: *seat });
                });
                *made = wanted;
            }
        }
        self.total += entries.len();
        self.circle.insert(entries);
    }
}

impl Circle for Ring {
    type View = Buckets;

    fn update(&mut self, seats: &mut Seats, dropped: &[Dropped], _taken: &[Seat]) {
        self.made.resize(seats.len(), 0);
        for Dropped { seat, key } in dropped {
            let made = std::mem::take(&mut self.made[*seat as usize]);
            self.total -= made as usize;
            let mut entries = Vec::with_capacity(made as usize);
            hashes(key, 0..made, |hash, number| entries.push(Entry { hash, number, seat: *seat }));
            self.circle.remove(entries);
        }
        self.set_counts(seats);
        let missing = |seat: &&Seat| seats.entries(**seat) > self.made[**seat as usize];
        let missing: Vec<Seat> = seats.order().iter().filter(missing).copied().collect();
        self.complete(seats, &missing);
        let counted: usize = seats.order().iter().map(|seat| seats.entries(*seat) as usize).sum();
        if self.total > 2 * counted + seats.len() || !self.circle.fits(self.total) {
            self.rebuild(seats);
        }
    }

    fn view(&self) -> Buckets {
        self.circle.clone()
    }
}

impl Buckets {
    /// Removes all entries, and makes room for this many.
    fn clear(&mut self, expected: usize) {
        let bits = (expected / ENTRIES_OF_A_BUCKET).max(2).next_power_of_two().ilog2();
        self.shift = u64::BITS - bits;
        self.buckets = SharedTable::default();
        let empty: Arc<[Entry]> = Arc::default();
        (0..1_usize << bits).for_each(|_| self.buckets.push(empty.clone()));
    }

    /// Whether the number of buckets is right for this many entries.
    fn fits(&self, entries: usize) -> bool {
        let room = self.buckets.len() * ENTRIES_OF_A_BUCKET;
        entries <= 2 * room && (self.buckets.len() <= 4 || entries * 8 >= room)
    }

    fn insert(&mut self, entries: Vec<Entry>) {
        self.change(entries, |bucket, new| {
            let mut merged: Vec<Entry> = bucket.iter().chain(new).copied().collect();
            merged.sort_unstable();
            merged
        });
    }

    fn remove(&mut self, entries: Vec<Entry>) {
        self.change(entries, |bucket, gone| {
            bucket.iter().filter(|entry| !gone.contains(entry)).copied().collect()
        });
    }

    /// Changes each bucket by the entries that belong to it.
    fn change(&mut self, mut entries: Vec<Entry>, change: impl Fn(&[Entry], &[Entry]) -> Vec<Entry>) {
        entries.sort_unstable();
        for of_bucket in entries.chunk_by(|one, next| one.hash >> self.shift == next.hash >> self.shift) {
            let at = (of_bucket[0].hash >> self.shift) as usize;
            if let Some(bucket) = self.buckets.get(at) {
                let changed = change(bucket, of_bucket).into();
                self.buckets.set(at, changed);
            }
        }
    }
}

impl View for Buckets {
    /// LB-36: starts with the first entry at or after the hash.
    fn walk(&self, hash: u64) -> impl Iterator<Item = Entry> {
        let own = (hash >> self.shift) as usize;
        let bucket = |at: usize| self.buckets.get(at).map_or(&[][..], |bucket| bucket);
        let (before, after) = bucket(own).split_at(bucket(own).partition_point(|entry| entry.hash < hash));
        let others = (own + 1..self.buckets.len()).chain(0..own).flat_map(bucket);
        after.iter().chain(others).chain(before).copied()
    }
}

/// LB-35: how many entries the endpoints of these weights have, in the order of keys.
pub(super) fn entry_counts(sizes: &config::RingHash, weights: &[f64]) -> impl Iterator<Item = u32> {
    let (min_size, max_size) = (sizes.min_size.clamp(1, SIZE_LIMIT), sizes.max_size.clamp(1, SIZE_LIMIT));
    let total: f64 = weights.iter().sum();
    let least = weights.iter().copied().fold(f64::INFINITY, f64::min) / total;
    let scale = ((least * min_size as f64).ceil() / least).min(max_size as f64);
    let (mut target, mut begun) = (0.0, 0_u64);
    weights.iter().map(move |weight| {
        target += scale * (weight / total);
        let begin = begun;
        begun = begin.max(target.ceil() as u64);
        (begun - begin) as u32
    })
}

/// The hashes of these numbers of a key.
fn hashes(key: &str, numbers: std::ops::Range<u32>, mut visit: impl FnMut(u64, u32)) {
    let mut text = String::with_capacity(key.len() + 8);
    text.push_str(key);
    text.push('_');
    let length = text.len();
    for number in numbers {
        text.truncate(length);
        _ = write!(text, "{number}");
        visit(XxHash64::oneshot(0, text.as_bytes()), number);
    }
}

const ENTRIES_OF_A_BUCKET: usize = 4;
