//! Tables of hashes against naive ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use twox_hash::XxHash64;

use crate::config::{self, EndpointDetails};
use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::tests::driver::locality;
use crate::policy::lb::{EndpointId, LbEndpoint, LbLocality};

use super::ring::entry_counts;
use super::seats::Seats;
use super::{Circle, Maglev, Ring, View};

/// A table of endpoints of one locality. An endpoint's id is its place in the list.
struct Table<C> {
    circle: C,
    seats: Seats,
    localities: Vec<LbLocality>,
}

impl<C: Circle> Table<C> {
    fn of(circle: C, endpoints: &[(&str, u32)]) -> Self {
        let mut table = Self { circle, seats: Seats::default(), localities: Vec::new() };
        let endpoints: Vec<_> = (0..).zip(endpoints).map(|(id, (key, weight))| (id, *key, *weight)).collect();
        table.update(&endpoints);
        table
    }

    /// Sets endpoints of these ids, keys and weights. An endpoint that stays has its id and key.
    fn update(&mut self, endpoints: &[(u32, &str, u32)]) {
        let endpoint = |(id, key, weight): &(u32, &str, u32)| {
            let address = SocketAddr::from(([10, 0, 0, 1], 1));
            let details = EndpointDetails { hash_key: Some((*key).into()), ..Default::default() };
            let (weight, details) = (*weight, Some(Arc::new(details)));
            LbEndpoint { weight, details, ..LbEndpoint::new(EndpointId(*id), address.into()) }
        };
        let new: Vec<_> = endpoints.iter().map(endpoint).collect();
        let old: Vec<_> = self.localities.iter().flat_map(|locality| &locality.endpoints).collect();
        let is_gone =
            |old: &&&LbEndpoint| new.iter().all(|new| (new.id, &new.details) != (old.id, &old.details));
        let gone: Vec<_> = old.iter().filter(is_gone).map(|endpoint| endpoint.id).collect();
        let dropped: Vec<_> = gone.into_iter().filter_map(|id| self.seats.leave(id)).collect();
        let localities =
            vec![LbLocality { endpoints: new.iter().cloned().collect(), ..locality("", 1, &[]) }];
        self.seats.follow_localities(&self.localities, &localities);
        let taken: Vec<_> = new.iter().filter_map(|new| self.seats.take(new, Phase::Ready)).collect();
        self.localities = localities;
        self.circle.update(&mut self.seats, &dropped, &taken);
    }

    /// The hash and the endpoint of each entry, from this hash on.
    fn walk(&self, hash: u64) -> Vec<(u64, u32)> {
        let (view, shown) = (self.circle.view(), self.seats.shown());
        let entries = view.walk(hash).map(|entry| (entry, *shown.get(entry.seat as usize).unwrap()));
        let counted = entries.filter(|(entry, shown)| entry.number < shown.entries);
        counted.map(|(entry, shown)| (entry.hash, shown.id.0)).collect()
    }

    fn first(&self, hash: u64) -> Option<u32> {
        self.walk(hash).first().map(|(_, id)| *id)
    }

    /// How many entries each endpoint has.
    fn places(&self) -> BTreeMap<u32, usize> {
        let mut places = BTreeMap::new();
        self.walk(0).into_iter().for_each(|(_, id)| *places.entry(id).or_default() += 1);
        places
    }
}

fn ring(min_size: u64, max_size: u64, endpoints: &[(&str, u32)]) -> Table<Ring> {
    Table::of(Ring::new(&config::RingHash::new(min_size, max_size)), endpoints)
}

/// Proves: LB-35.
#[test]
fn entries_follow_weights() {
    let table: [(u64, u64, &[f64], &[u32]); 7] = [
        // minimum, maximum, weights, places of each
        (1, 4096, &[1.0, 1.0, 1.0], &[1, 1, 1]),
        (1, 4096, &[1.0, 2.0, 3.0], &[1, 2, 3]),
        (10, 4096, &[1.0, 2.0, 3.0], &[2, 4, 6]),
        (6, 6, &[1.0, 2.0, 3.0], &[1, 2, 3]),
        (8, 8, &[3.0, 3.0, 4.0], &[3, 2, 3]),
        (4, 20, &[1.0, 99.0], &[1, 19]),
        (1024, 4096, &[7.0], &[1024]),
    ];
    for (min_size, max_size, weights, expected) in table {
        let places: Vec<_> = entry_counts(&config::RingHash::new(min_size, max_size), weights).collect();
        assert_eq!(places, expected, "{min_size}..{max_size} {weights:?}");
    }
    // in the order of their keys
    let places = ring(8, 8, &[("c", 2), ("b", 1), ("a", 1)]).places();
    assert_eq!(places, [(0, 4), (1, 2), (2, 2)].into());
    // the keys are hashed with a number that starts at zero for each endpoint
    let mut expected: Vec<_> =
        ["a_0", "a_1", "b_0", "b_1"].map(|key| XxHash64::oneshot(0, key.as_bytes())).to_vec();
    expected.sort_unstable();
    let hashes: Vec<_> =
        ring(4, 4, &[("b", 1), ("a", 1)]).walk(0).into_iter().map(|(hash, _)| hash).collect();
    assert_eq!(hashes, expected);
}

/// Both limits are capped at 4096 by the client.
/// Proves: LB-34.
#[test]
fn rings_have_at_most_4096_entries() {
    let size = |min_size, max_size, endpoints| ring(min_size, max_size, endpoints).walk(0).len();
    assert_eq!(size(8 << 20, 8 << 20, &[("a", 1)]), 4096);
    assert_eq!(size(1024, 8 << 20, &[("a", 1), ("b", 1_000_000)]), 4096);
    assert_eq!(size(0, 0, &[("a", 1)]), 1);
    assert_eq!(size(1024, 4096, &[]), 0);
    assert_eq!(ring(1024, 4096, &[]).first(0), None);
}

/// Proves: LB-36.
#[test]
fn walk_starts_at_or_after_hash_and_wraps_around() {
    let ring = ring(16, 16, &[("a", 1), ("b", 1)]);
    let entries = ring.walk(0);
    for (at, (hash, endpoint)) in entries.iter().enumerate() {
        assert_eq!(ring.first(*hash), Some(*endpoint));
        assert_eq!(ring.first(hash + 1), Some(entries[(at + 1) % entries.len()].1));
        assert_eq!(ring.walk(*hash).len(), 16);
    }
    assert_eq!(ring.first(0), Some(entries[0].1));
    assert_eq!(ring.first(u64::MAX), Some(entries[0].1));
}

/// The ring of LB-35, made at once from keys and weights in the order of keys.
fn naive_ring(min_size: u64, endpoints: &[(u32, String, u32)]) -> Vec<(u64, u32)> {
    let total: f64 = endpoints.iter().map(|(_, _, weight)| f64::from(*weight)).sum();
    let least = endpoints.iter().map(|(_, _, weight)| f64::from(*weight) / total).fold(1.0, f64::min);
    let scale = ((least * min_size as f64).ceil() / least).min(4096.0);
    let (mut entries, mut target) = (Vec::new(), 0.0);
    for (id, key, weight) in endpoints {
        target += scale * (f64::from(*weight) / total);
        for number in 0.. {
            if entries.len() as f64 >= target {
                break;
            }
            entries.push((XxHash64::oneshot(0, format!("{key}_{number}").as_bytes()), *id));
        }
    }
    entries.sort_unstable();
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was in the ring before, it is the one that its endpoints make.
    #[test]
    fn ring_that_changes_equals_a_ring_made_at_once(
        steps in prop::collection::vec(prop::collection::vec((0_u32..24, 1_u32..60), 1..24), 1..12),
        min_size in 1_u64..2_000,
        hashes in prop::collection::vec(any::<u64>(), 20),
    ) {
        let mut table = ring(min_size, 4096, &[]);
        for step in steps {
            let endpoints: BTreeMap<u32, u32> = step.into_iter().collect();
            let mut endpoints: Vec<_> = endpoints.into_iter().map(|(id, weight)| (id, format!("10.0.0.{id}:1"), weight)).collect();
            let listed: Vec<_> = endpoints.iter().map(|(id, key, weight)| (*id, key.as_str(), *weight)).collect();
            table.update(&listed);
            // The weights are shares of the whole, as for every policy over localities (LB-37).
            let total: u64 = endpoints.iter().map(|(_, _, weight)| u64::from(*weight)).sum();
            for (_, _, weight) in &mut endpoints {
                *weight = u32::try_from((u64::from(*weight) << 31) / total).unwrap();
            }
            endpoints.sort_by(|(_, key, _), (_, other, _)| key.cmp(other));
            let expected = naive_ring(min_size, &endpoints);
            prop_assert_eq!(table.walk(0), expected.clone());
            for hash in &hashes {
                let next = expected.iter().find(|(entry, _)| entry >= hash).or_else(|| expected.first());
                prop_assert_eq!(table.first(*hash), next.map(|(_, id)| *id));
            }
        }
    }

    /// Removing an endpoint moves hardly a hash of the others.
    #[test]
    fn maglev_gives_shares_by_weight_and_moves_little(
        weights in prop::collection::vec(1_u32..20, 2..12),
        gone in any::<prop::sample::Index>(),
    ) {
        let keys: Vec<_> = (0..weights.len()).map(|at| format!("10.0.0.{at}:1")).collect();
        let mut endpoints: Vec<_> =
            (0..).zip(&keys).zip(&weights).map(|((id, key), weight)| (id, key.as_str(), *weight)).collect();
        let mut table = Table::of(Maglev::new(65_537), &[]);
        table.update(&endpoints);
        let total: u32 = weights.iter().sum();
        for (id, places) in table.places() {
            let expected = 65_537 * weights[id as usize] as usize / total as usize;
            prop_assert!(places.abs_diff(expected) <= 66, "{places} instead of {expected}");
        }
        let before: Vec<_> = (0..65_537).map(|hash| table.circle.view().walk(hash).next()).collect();
        let seat = table.seats.of(EndpointId(endpoints[gone.index(endpoints.len())].0));
        endpoints.remove(gone.index(endpoints.len()));
        table.update(&endpoints);
        let after = (0..65_537).map(|hash| table.circle.view().walk(hash).next());
        let of_others = before.iter().zip(after).filter(|(before, _)| before.map(|entry| entry.seat) != seat);
        let moved = of_others.filter(|(before, after)| before.map(|entry| entry.seat) != after.map(|entry| entry.seat)).count();
        prop_assert!(moved < 65_537 / 4, "{moved} slots of others moved");
    }
}

/// Proves: LB-49.
#[test]
fn every_endpoint_has_a_slot_if_there_are_enough() {
    let keys: Vec<_> = (0..101).map(|at| format!("10.0.0.{at}:1")).collect();
    let endpoints: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    let places = Table::of(Maglev::new(101), &endpoints).places();
    assert_eq!((places.len(), places.values().max()), (101, Some(&1)));
    let heavy: Vec<_> =
        keys.iter().enumerate().map(|(at, key)| (key.as_str(), if at == 7 { 1_000 } else { 1 })).collect();
    let places = Table::of(Maglev::new(1_009), &heavy).places();
    assert_eq!((places.len(), places[&7] > 800), (101, true), "{places:?}");
    assert_eq!(Table::of(Maglev::new(7), &[]).first(3), None);
    assert_eq!(Table::of(Maglev::new(2), &[("a", 1)]).first(3), Some(0));
}

#[test]
fn endpoint_with_another_key_has_other_places() {
    let mut table = ring(100, 100, &[("a", 1), ("b", 1)]);
    table.update(&[(0, "c", 1), (1, "b", 1)]);
    assert_eq!(table.walk(0), {
        let mut expected = ring(100, 100, &[("c", 1), ("b", 1)]).walk(0);
        expected.sort_unstable();
        expected
    });
}

/// Weights that change over and over leave no room in use.
#[test]
fn entries_that_do_not_count_are_removed_in_the_end() {
    let keys: Vec<_> = (0..50).map(|at| format!("10.0.0.{at}:1")).collect();
    let mut table = ring(1024, 4096, &[]);
    for heavy in 0..50 {
        let weight = |at: u32| if at == heavy { 10_000 } else { 1 };
        let endpoints: Vec<_> = (0..).zip(&keys).map(|(at, key)| (at, key.as_str(), weight(at))).collect();
        table.update(&endpoints);
        assert!(table.circle.view().walk(0).count() <= 3 * 4096);
    }
}
