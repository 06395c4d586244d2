//! The ring against a naive one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twox_hash::XxHash64;

use crate::config;

use super::ring::Ring;

fn ring(min_size: u64, max_size: u64, endpoints: &[(&str, u32)]) -> Ring {
    let endpoints: Vec<_> = endpoints.iter().map(|(key, weight)| ((*key).to_owned(), *weight)).collect();
    Ring::new(config::RingHash { min_size, max_size }, &endpoints)
}

fn places(ring: &Ring) -> BTreeMap<usize, usize> {
    let mut places = BTreeMap::new();
    for (_, endpoint) in ring.entries() {
        *places.entry(endpoint).or_default() += 1;
    }
    places
}

/// Proves: LB-35.
#[test]
fn entries_follow_weights() {
    type Endpoints = &'static [(&'static str, u32)];
    let table: [(u64, u64, Endpoints, &[usize]); 7] = [
        // minimum, maximum, endpoints, places of each
        (1, 4096, &[("a", 1), ("b", 1), ("c", 1)], &[1, 1, 1]),
        (1, 4096, &[("a", 1), ("b", 2), ("c", 3)], &[1, 2, 3]),
        (10, 4096, &[("a", 1), ("b", 2), ("c", 3)], &[2, 4, 6]),
        (6, 6, &[("a", 1), ("b", 2), ("c", 3)], &[1, 2, 3]),
        (8, 8, &[("a", 3), ("b", 3), ("c", 4)], &[3, 2, 3]),
        (4, 20, &[("a", 1), ("b", 99)], &[1, 19]),
        (1024, 4096, &[("a", 7)], &[1024]),
    ];
    for (min_size, max_size, endpoints, expected) in table {
        let ring = ring(min_size, max_size, endpoints);
        let places: Vec<_> = places(&ring).into_values().collect();
        assert_eq!(places, expected, "{min_size}..{max_size} {endpoints:?}");
    }
    // the keys are hashed with a number that starts at zero for each endpoint
    let mut expected: Vec<_> =
        ["a_0", "a_1", "b_0", "b_1"].map(|key| XxHash64::oneshot(0, key.as_bytes())).to_vec();
    expected.sort_unstable();
    let hashes: Vec<_> = ring(4, 4, &[("b", 1), ("a", 1)]).entries().map(|(hash, _)| hash).collect();
    assert_eq!(hashes, expected);
}

/// LB-34: both limits are capped at 4096 by the client.
#[test]
fn rings_have_at_most_4096_entries() {
    let size = |min_size, max_size, endpoints| ring(min_size, max_size, endpoints).entries().count();
    assert_eq!(size(8 << 20, 8 << 20, &[("a", 1)]), 4096);
    assert_eq!(size(1024, 8 << 20, &[("a", 1), ("b", 1_000_000)]), 4096);
    assert_eq!(size(0, 0, &[("a", 1)]), 1);
    assert_eq!(size(1024, 4096, &[]), 0);
    assert_eq!(ring(1024, 4096, &[]).walk(0).next(), None);
}

/// Proves: LB-36.
#[test]
fn walk_starts_at_or_after_hash_and_wraps_around() {
    let ring = ring(16, 16, &[("a", 1), ("b", 1)]);
    let entries: Vec<_> = ring.entries().collect();
    for (at, (hash, endpoint)) in entries.iter().enumerate() {
        assert_eq!(ring.walk(*hash).next(), Some(*endpoint));
        assert_eq!(ring.walk(hash + 1).next(), Some(entries[(at + 1) % entries.len()].1));
        assert_eq!(ring.walk(*hash).count(), 16);
    }
    assert_eq!(ring.walk(0).next(), Some(entries[0].1));
    assert_eq!(ring.walk(u64::MAX).next(), Some(entries[0].1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn walk_equals_a_search_of_all_entries(
        weights in prop::collection::vec(1_u32..50, 1..20),
        min_size in 1_u64..200,
        hashes in prop::collection::vec(any::<u64>(), 20),
    ) {
        let endpoints: Vec<_> = weights.iter().enumerate().map(|(at, weight)| (format!("10.0.0.{at}:1"), *weight)).collect();
        let ring = Ring::new(config::RingHash { min_size, max_size: 4096 }, &endpoints);
        let total: usize = weights.iter().map(|weight| *weight as usize).sum();
        let entries: Vec<_> = ring.entries().collect();
        for (endpoint, count) in places(&ring) {
            // The number of entries is rounded up, and so is the end of each endpoint's part: by one and its share at most.
            let weight = weights[endpoint] as usize;
            let off = (count * total).abs_diff(entries.len() * weight);
            prop_assert!(off <= total + weight, "{count} of {} for {weight} of {total}", entries.len());
        }
        for hash in hashes {
            let next = entries.iter().filter(|(entry, _)| *entry >= hash).min().or_else(|| entries.iter().min());
            prop_assert_eq!(ring.walk(hash).next(), next.map(|(_, endpoint)| *endpoint));
        }
    }
}
