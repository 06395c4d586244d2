//! Round robin and least request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{EndpointAddresses, LbPolicy, LocalityPolicy};
use crate::policy::lb::{Connectivity, EndpointId, LbEndpoint, Pick, PickContext, leaf};
use crate::sharded::shards;

use super::driver::{Driver, connect, endpoint, locality, priorities, weigh};

/// Proves: LB-30.
#[test]
fn round_robin_connects_all_and_rotates_over_those_that_are_ready() {
    let mut driver = Driver::round_robin();
    assert_eq!(driver.update(priorities(&[&[1, 2, 3]])), connect(&[1, 2, 3]));
    assert_eq!(driver.letter(), 'C');
    assert!(matches!(driver.pick(), Pick::Wait(None)));
    driver.connecting(1);
    driver.ready(1);
    driver.ready(2);
    assert_eq!(driver.letter(), 'R');
    assert_eq!(driver.shares(100), [(1, 50), (2, 50)].into());
    driver.ready(3);
    assert_eq!(driver.shares(99), [(1, 33), (2, 33), (3, 33)].into());
    // an idle one is connected at once
    assert_eq!(driver.idle(2), connect(&[2]));
    assert_eq!(driver.shares(100), [(1, 50), (3, 50)].into());
    driver.idle(1);
    driver.idle(3);
    assert_eq!(driver.letter(), 'C', "idle ones count as connecting");
}

/// LB-30: failed until it is ready, whatever comes in between.
#[test]
fn failed_endpoint_counts_as_failed_until_it_is_ready() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1, 2]]));
    driver.failed(1);
    assert_eq!(driver.letter(), 'C');
    driver.failed(2);
    assert_eq!(driver.letter(), 'F');
    assert_eq!(driver.idle(1), connect(&[1]), "tried again when its backoff is over");
    driver.connecting(1);
    assert_eq!(driver.letter(), 'F');
    driver.ready(1);
    assert_eq!(driver.letter(), 'R');
    assert_eq!(driver.users(), [1]);
    driver.idle(1);
    assert_eq!(driver.letter(), 'C', "an endpoint that was ready counts as connecting again");
}

/// Proves: LB-30.
#[test]
fn rotations_of_threads_differ_by_at_most_one_call_per_shard() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1, 2, 3, 4, 5, 6, 7]]));
    (1..=7).for_each(|id| _ = driver.ready(id));
    let picker = driver.picker.clone();
    let counts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for calls in [1, 2, 10, 1_000] {
            let (picker, counts) = (&picker, &counts);
            scope.spawn(move || {
                let (mut rng, headers) = (StdRng::seed_from_u64(1), HeaderMap::new());
                for _ in 0..calls {
                    let Pick::Endpoint(id) = picker.pick(&PickContext::new("/", &headers), &mut rng) else {
                        continue;
                    };
                    *counts.lock().unwrap().entry(id).or_insert(0_usize) += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let (most, fewest) = (counts.values().max().unwrap(), counts.values().min().unwrap());
    assert_eq!(counts.values().sum::<usize>(), 1_013);
    assert!(most - fewest <= shards(), "{counts:?}");
}

#[test]
fn rotation_starts_at_random_and_continues_when_endpoints_change() {
    let firsts: BTreeSet<_> = (0..20)
        .map(|seed| {
            let mut driver = Driver::round_robin();
            driver.rng = StdRng::seed_from_u64(seed);
            driver.update(priorities(&[&[1, 2, 3, 4]]));
            (1..=4).for_each(|id| _ = driver.ready(id));
            match driver.pick() {
                Pick::Endpoint(id) => id.0,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(firsts.len(), 4, "{firsts:?}");

    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1, 2, 3, 4]]));
    (1..=4).for_each(|id| _ = driver.ready(id));
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        // a new picker before each call
        driver.update(priorities(&[&[1, 2, 3, 4]]));
        if let Pick::Endpoint(id) = driver.pick() {
            seen.insert(id.0);
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// Proves: LB-31.
#[test]
fn failures_name_the_last_endpoint_error_and_the_note() {
    let mut driver = Driver::round_robin();
    driver.update_noted(priorities(&[&[1, 2]]), Some("eds: timed out"));
    driver.failed(1);
    driver.failed(2);
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 2 refused; eds: timed out");
    driver.idle(1);
    driver.report(1, Connectivity::TransientFailure("1 reset".into()));
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 1 reset; eds: timed out");
    driver.report(1, Connectivity::TransientFailure("1 timed out".into()));
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 1 timed out; eds: timed out");
    driver.update(priorities(&[&[2]]));
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 2 refused");
    driver.update(priorities(&[&[1, 2, 3, 4]]));
    for id in [1, 3, 4] {
        driver.failed(id);
    }
    driver.update(priorities(&[&[1, 2, 4]]));
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 4 refused");
    for priorities in [vec![], priorities(&[&[]]), vec![vec![]]] {
        driver.update_noted(priorities, Some("eds: does not exist"));
        assert_eq!(driver.letter(), 'F');
        assert_eq!(driver.failure(), "there are no endpoints: eds: does not exist");
    }
    driver.update(vec![]);
    assert_eq!(driver.failure(), "there are no endpoints");
}

/// Proves: LB-32.
#[test]
fn least_request_takes_the_least_busy_of_its_samples() {
    let policy = LbPolicy::LeastRequest { choice_count: 2 };
    let mut driver = Driver::new(&policy, LocalityPolicy::Weighted);
    let mut three = priorities(&[&[1, 2, 3]]);
    weigh(&mut three[0][0], &[1_000]); // does not count
    assert_eq!(driver.update(three), connect(&[1, 2, 3]));
    (1..=3).for_each(|id| _ = driver.ready(id));
    for (_, share) in driver.shares(30_000) {
        assert!((9_500..10_500).contains(&share), "the first sample wins ties: {share}");
    }
    driver.load(1).in_flight.store(5, Ordering::Relaxed);
    driver.load(2).in_flight.store(2, Ordering::Relaxed);
    // of two samples with replacement: 1 only if it is both, 3 unless it is neither
    let shares = driver.shares(90_000);
    for (id, ninths) in [(1, 1), (2, 3), (3, 5)] {
        let share = shares[&id];
        assert!(share.abs_diff(ninths * 10_000) < 700, "{id}: {share}");
    }
    driver.idle(3);
    assert_eq!(driver.users(), [1, 2]);
}

/// Proves: LB-29.
#[test]
fn endpoint_is_identified_by_its_addresses() {
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let mut first = endpoint(1);
    first.addresses = EndpointAddresses::new(address(1), [address(2)]);
    let mut same = endpoint(1);
    same.addresses = EndpointAddresses::new(address(2), [address(1)]);
    let part = endpoint(3);
    let mut listed = vec![vec![locality("a", 1, &[])], vec![locality("b", 1, &[])]];
    listed[0][0].endpoints = [first.clone(), same.clone(), part].into_iter().collect();
    listed[1][0].endpoints = [same].into_iter().collect();
    let mut driver = Driver::round_robin();
    assert_eq!(
        driver.update(listed),
        connect(&[1, 3]),
        "once in a cluster, whatever the order of its addresses"
    );
    driver.ready(1);
    // another order of its addresses or other attributes are no other endpoint
    first.addresses = EndpointAddresses::new(address(2), [address(1)]);
    first.weight = 7;
    first.details = Some(Arc::default());
    let mut listed = vec![vec![locality("a", 1, &[])]];
    listed[0][0].endpoints = [first].into_iter().collect();
    assert_eq!(driver.update(listed), []);
    assert_eq!(driver.users(), [1]);
}

#[test]
fn reused_id_is_a_new_endpoint() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1, 2]]));
    driver.ready(1);
    driver.ready(2);
    let mut listed = priorities(&[&[1, 2]]);
    let addresses = EndpointAddresses::new(([127, 0, 0, 2], 2).into(), []);
    let other = LbEndpoint { addresses, ..endpoint(2) };
    listed[0][0].endpoints = [endpoint(1), other].into_iter().collect();
    assert_eq!(driver.update(listed), connect(&[2]));
    assert_eq!(driver.users(), [1]);
}

#[test]
fn one_change_among_ten_thousand_keeps_the_others() {
    let ids: Vec<u32> = (1..=10_000).collect();
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&ids]));
    for id in &ids {
        // many inputs, one picker at the end
        driver.balancer.on_connectivity(driver.now, EndpointId(*id), Connectivity::Ready, &mut driver.rng);
    }
    driver.idle(500);
    assert_eq!(driver.shares(19_998).len(), 9_999);
    let mut more = ids;
    more[499] = 10_001;
    let commands = driver.update(priorities(&[&more]));
    assert_eq!(commands, connect(&[10_001]));
    driver.ready(10_001);
    assert!(driver.shares(10_000).values().all(|share| *share == 1));
}

/// Each picker wakes the calls that wait.
#[test]
fn endpoint_that_changes_nothing_for_calls_leads_to_no_picker() {
    for localities in [LocalityPolicy::Flat, LocalityPolicy::Weighted] {
        let mut driver = Driver::new(&LbPolicy::RoundRobin, localities);
        driver.update(priorities(&[&[1, 2, 3]]));
        type Step = fn(&mut Driver);
        let steps: [(Step, usize); 8] = [
            (|driver| _ = driver.connecting(1), 0),
            (|driver| _ = driver.failed(2), 0),
            (|driver| _ = driver.ready(1), 1),
            (|driver| _ = driver.connecting(3), 0),
            (|driver| _ = driver.failed(3), 0),
            (|driver| _ = driver.ready(3), 1),
            (|driver| _ = driver.idle(3), 1),
            (|driver| _ = driver.failed(3), 0),
        ];
        for (number, (step, expected)) in steps.into_iter().enumerate() {
            let before = driver.pickers;
            step(&mut driver);
            assert_eq!(driver.pickers - before, expected, "step {number}, {localities:?}");
        }
    }
}

/// Only the whole of a cluster's balancers selects among leaves.
#[test]
fn leaf_needs_every_cluster_and_selects_none() {
    let leaf = leaf(&LbPolicy::RoundRobin);
    assert_eq!(leaf.selected(), None);
    assert!(leaf.needs("cart"));
}
