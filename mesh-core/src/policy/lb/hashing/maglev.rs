//! Maglev: a table of a fixed size, of which each endpoint has a part in proportion to its weight.

use std::sync::Arc;

use twox_hash::XxHash64;

use super::seats::Seats;
use super::{Circle, Dropped, Entry, Seat, View};

/// A table of a fixed size (LB-49). An endpoint that comes or goes moves few other hashes; the table is made anew, which costs the
/// same for ten endpoints and for ten thousand.
#[derive(Debug)]
pub(super) struct Maglev {
    size: u64,
    /// The order in which each endpoint asks for slots, by seat.
    permutations: Vec<Permutation>,
    table: Arc<[Seat]>,
}

/// First slot and step.
#[derive(Debug, Clone, Copy, Default)]
struct Permutation {
    offset: u64,
    skip: u64,
}

/// An endpoint while the table is made.
struct Turn {
    seat: Seat,
    weight: f64,
    /// How far its weight must have added up for its next slot.
    target: f64,
    /// The next slot that it asks for.
    slot: u64,
    skip: u64,
    entries: u32,
}

impl Maglev {
    /// `size` is a prime number.
    pub(super) fn new(size: u64) -> Self {
        Self { size: size.max(2), permutations: Vec::new(), table: Arc::default() }
    }

    fn permutation(&self, key: &str) -> Permutation {
        let [first, second] = [0, 1].map(|seed| XxHash64::oneshot(seed, key.as_bytes()));
        Permutation { offset: first % self.size, skip: second % (self.size - 1) + 1 }
    }

    /// One slot after the other goes to the endpoint whose turn it is; a heavy endpoint has more turns.
    fn fill(&self, turns: &mut [Turn], heaviest: f64) -> Arc<[Seat]> {
        let mut table = vec![EMPTY; self.size as usize];
        let mut left = table.len();
        for round in 1_u32.. {
            for turn in &mut *turns {
                if f64::from(round) * turn.weight < turn.target {
                    continue;
                }
                turn.target += heaviest;
                while table[turn.slot as usize] != EMPTY {
                    turn.advance(self.size);
                }
                table[turn.slot as usize] = turn.seat;
                turn.advance(self.size);
                turn.entries += 1;
                left -= 1;
                if left == 0 {
                    return table.into();
                }
            }
        }
        table.into()
    }
}

impl Turn {
    fn advance(&mut self, size: u64) {
        self.slot += self.skip;
        if self.slot >= size {
            self.slot -= size;
        }
    }
}

impl Circle for Maglev {
    type View = Slots;

    fn update(&mut self, seats: &mut Seats, _dropped: &[Dropped], taken: &[Seat]) {
        self.permutations.resize(seats.len(), Permutation::default());
        for seat in taken {
            self.permutations[*seat as usize] = self.permutation(seats.key(*seat));
        }
        let weights: Vec<f64> = seats.weights().map(f64::from).collect();
        let total: f64 = weights.iter().sum();
        let turn = |(seat, weight): (&Seat, f64)| {
            let Permutation { offset, skip } = self.permutations[*seat as usize];
            Turn { seat: *seat, weight: weight / total, target: 0.0, slot: offset, skip, entries: 0 }
        };
        let mut turns: Vec<_> = seats.order().iter().zip(weights).map(turn).collect();
        let heaviest = turns.iter().map(|turn| turn.weight).fold(0.0, f64::max);
        self.table = if turns.is_empty() { Arc::default() } else { self.fill(&mut turns, heaviest) };
        turns.iter().for_each(|turn| seats.set_entries(turn.seat, turn.entries));
    }

    fn view(&self) -> Slots {
        Slots(self.table.clone())
    }
}

/// The seat of each slot.
#[derive(Debug)]
pub(super) struct Slots(Arc<[Seat]>);

impl View for Slots {
    fn walk(&self, hash: u64) -> impl Iterator<Item = Entry> {
        let at = hash.checked_rem(self.0.len() as u64).unwrap_or_default() as usize;
        let (before, after) = self.0.split_at(at.min(self.0.len()));
        after.iter().chain(before).map(move |seat| Entry { hash, number: 0, seat: *seat })
    }
}

const EMPTY: Seat = Seat::MAX;
