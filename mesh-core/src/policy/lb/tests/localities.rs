//! Localities by weight.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use crate::config::{LbPolicy, LocalityPolicy};

use super::driver::{Driver, connect, locality};

/// Proves: LB-17.
#[test]
fn ready_localities_share_calls_by_weight() {
    let mut driver = Driver::round_robin();
    let zones = || vec![vec![locality("a", 3, &[1, 2]), locality("b", 1, &[3]), locality("c", 4, &[4])]];
    assert_eq!(driver.update(zones()), connect(&[1, 2, 3, 4]));
    type Step = fn(&mut Driver);
    let steps: [(Step, char, &[u32]); 8] = [
        (|driver| _ = driver.failed(4), 'C', &[]),
        (|driver| _ = driver.failed(3), 'C', &[]),
        (|driver| _ = (driver.failed(1), driver.failed(2)), 'F', &[]),
        // failed localities count as failed until they are ready
        (|driver| _ = (driver.idle(3), driver.connecting(3)), 'F', &[]),
        (|driver| _ = driver.ready(3), 'R', &[3]),
        (|driver| _ = driver.ready(1), 'R', &[1, 3]),
        (|driver| _ = driver.idle(3), 'R', &[1]),
        (|driver| _ = driver.idle(1), 'C', &[]),
    ];
    for (number, (step, letter, users)) in steps.into_iter().enumerate() {
        step(&mut driver);
        assert_eq!(driver.letter(), letter, "step {number}");
        if letter == 'R' {
            assert_eq!(driver.users(), users, "step {number}");
        }
    }
    (1..=4).for_each(|id| _ = driver.ready(id));
    let shares = driver.shares(80_000);
    for (id, expected) in [(1, 15_000), (2, 15_000), (3, 10_000), (4, 40_000)] {
        assert!(shares[&id].abs_diff(expected) < 700, "{id}: {}", shares[&id]);
    }
}

#[test]
fn locality_that_was_ready_counts_as_connecting_again() {
    let mut driver = Driver::round_robin();
    driver.update(vec![vec![locality("a", 1, &[1]), locality("b", 1, &[2])]]);
    driver.ready(1);
    driver.failed(2);
    driver.idle(1);
    assert_eq!(driver.letter(), 'C');
    driver.failed(1);
    assert_eq!(driver.letter(), 'F');
    assert!(driver.failure().contains("refused"));
}

/// Another weight changes shares and nothing else.
/// Proves: LB-18.
#[test]
fn weight_changes_without_a_new_connection() {
    let mut driver = Driver::round_robin();
    driver.update(vec![vec![locality("a", 1, &[1]), locality("b", 1, &[2])]]);
    driver.ready(1);
    driver.ready(2);
    assert!(driver.shares(10_000)[&1].abs_diff(5_000) < 300);
    assert_eq!(driver.update(vec![vec![locality("b", 1, &[2]), locality("a", 9, &[1])]]), []);
    assert!(driver.shares(10_000)[&1].abs_diff(9_000) < 200);
}

#[test]
fn endpoint_keeps_its_connection_when_it_changes_its_locality() {
    let mut driver = Driver::round_robin();
    driver.update(vec![vec![locality("a", 1, &[1, 2]), locality("b", 1, &[3])]]);
    (1..=3).for_each(|id| _ = driver.ready(id));
    driver.update(vec![vec![locality("a", 1, &[1]), locality("b", 1_000_000, &[2, 3])]]);
    assert_eq!(driver.users(), [2, 3]);
    driver.update(vec![vec![locality("a", 1, &[1, 2]), locality("b", 1_000_000, &[3])]]);
    driver.idle(3);
    assert_eq!(driver.users(), [1, 2]);
    // the state of an endpoint that moved to an earlier locality
    driver.idle(2);
    assert_eq!(driver.users(), [1]);
    driver.ready(2);
    driver.ready(3);
    driver.update(vec![vec![locality("c", 1, &[1, 2, 3])]]);
    assert_eq!(driver.shares(99), [(1, 33), (2, 33), (3, 33)].into());
}

#[test]
fn flat_policies_do_not_look_at_localities() {
    let mut driver = Driver::new(&LbPolicy::RoundRobin, LocalityPolicy::Flat);
    driver.update(vec![vec![locality("a", 1_000, &[1]), locality("b", 1, &[2, 3])]]);
    (1..=3).for_each(|id| _ = driver.ready(id));
    assert_eq!(driver.shares(99), [(1, 33), (2, 33), (3, 33)].into());
}

#[test]
fn locality_that_failed_counts_as_failed_while_a_new_endpoint_connects() {
    let mut driver = Driver::round_robin();
    driver.update(vec![vec![locality("a", 1, &[1]), locality("b", 1, &[2])]]);
    driver.failed(1);
    driver.failed(2);
    assert_eq!(driver.update(vec![vec![locality("a", 1, &[1, 3]), locality("b", 1, &[2])]]), connect(&[3]));
    assert_eq!(driver.letter(), 'F');
    driver.ready(3);
    assert_eq!(driver.users(), [3]);
}

/// A policy that connects for calls only, within a locality.
#[test]
fn localities_pass_on_deadlines_and_calls_that_end_idleness() {
    let mut driver = Driver::new(&LbPolicy::PickFirst { shuffle: false }, LocalityPolicy::Weighted);
    let zones = || vec![vec![locality("a", 1, &[1, 2]), locality("b", 1, &[3])]];
    assert_eq!(driver.update(zones()), connect(&[1, 3]));
    assert_eq!(driver.sleep(Duration::from_millis(249)), []);
    assert_eq!(driver.sleep(Duration::from_millis(1)), connect(&[2]));
    driver.ready(3);
    driver.ready(1);
    assert_eq!(driver.users(), [1, 3]);
    driver.idle(1);
    assert_eq!(driver.letter(), 'R');
    assert_eq!(driver.exit_idle(), connect(&[1]), "only the idle one");
    driver.idle(3);
    driver.failed(1);
    driver.failed(2);
    assert_eq!(driver.letter(), 'I');
    assert_eq!(driver.exit_idle(), connect(&[3]));
}

#[test]
fn failing_calls_have_the_error_of_any_locality() {
    let mut driver = Driver::round_robin();
    driver.update(vec![vec![locality("a", 1, &[1]), locality("b", 1, &[2])]]);
    driver.failed(1);
    driver.failed(2);
    let texts: BTreeSet<_> = (0..100).map(|_| driver.failure()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
}

#[test]
fn locality_without_endpoints_has_failed() {
    let mut driver = Driver::new(&LbPolicy::PickFirst { shuffle: false }, LocalityPolicy::Weighted);
    driver.update(vec![vec![locality("a", 1, &[])]]);
    assert_eq!(driver.failure(), "there are no endpoints");
    driver.update_noted(vec![vec![locality("a", 1, &[])]], Some("no such host"));
    assert_eq!(driver.failure(), "there are no endpoints: no such host");
    driver.update(vec![vec![locality("a", 1, &[]), locality("b", 1, &[])]]);
    assert_eq!(driver.failure(), "there are no endpoints");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// LB-17: within seven standard deviations of what the weights of the ready localities say.
    #[test]
    fn shares_equal_weights(weights in prop::collection::vec((1_u32..1_000, any::<bool>()), 1..12)) {
        let mut driver = Driver::round_robin();
        let zones = (1..).zip(&weights).map(|(id, (weight, _))| locality(&id.to_string(), *weight, &[id]));
        driver.update(vec![zones.collect()]);
        let ready: Vec<_> = (1..).zip(&weights).filter(|(id, (_, is_ready))| *is_ready || *id == 1).collect();
        for (id, _) in &ready {
            driver.ready(*id);
        }
        let total: f64 = ready.iter().map(|(_, (weight, _))| f64::from(*weight)).sum();
        let shares = driver.shares(5_000);
        for (id, (weight, _)) in &ready {
            let share = f64::from(*weight) / total;
            let deviation = (5_000.0 * share * (1.0 - share)).sqrt();
            let got = shares.get(id).copied().unwrap_or_default();
            prop_assert!((got as f64 - 5_000.0 * share).abs() <= 7.0 * deviation + 3.0, "{id}: {got}");
        }
    }
}

/// A cluster is a tree: its priorities, the localities of a priority, the endpoints of a locality.
///
/// Proves: LB-01.
#[test]
fn priority_is_chosen_before_locality_and_locality_before_endpoint() {
    let mut driver = Driver::round_robin();
    let first = vec![locality("a", 3, &[1, 2]), locality("b", 1, &[3])];
    driver.update(vec![first, vec![locality("c", 1, &[4])]]);
    (1..=3).for_each(|id| _ = driver.ready(id));
    let shares = driver.shares(8_000);
    assert_eq!(shares.keys().copied().collect::<Vec<_>>(), [1, 2, 3], "the second priority takes no call");
    assert!(shares[&1].abs_diff(shares[&2]) <= 1, "in turn within the locality: {shares:?}");
    assert!(shares[&3].abs_diff(2_000) < 300, "a quarter by the localities' weights: {shares:?}");
    driver.failed(1);
    driver.failed(2);
    assert_eq!(driver.users(), [3], "another locality goes before another priority");
    driver.failed(3);
    driver.ready(4);
    assert_eq!(driver.users(), [4]);
    driver.ready(2);
    assert_eq!(driver.users(), [2]);
}
