//! Weighted round robin with configured weights, slow start, and random.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{LbPolicy, LocalityPolicy, SlowStart, WeightSource, WeightedRoundRobin};
use crate::policy::lb::LbLocality;

use super::driver::{Driver, connect, locality, priorities, seconds, weigh};

fn weighted(weights: WeightSource) -> LbPolicy {
    LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(weights))
}

fn slow_start() -> SlowStart {
    SlowStart::new(Duration::from_secs(60))
}

pub(super) fn driver_of(policy: &LbPolicy) -> Driver {
    Driver::new(policy, LocalityPolicy::Weighted)
}

/// One locality of endpoints 1, 2 and so on, with these weights.
pub(super) fn endpoints(weights: &[u32]) -> Vec<Vec<LbLocality>> {
    let ids: Vec<u32> = (1..=weights.len() as u32).collect();
    let mut localities = vec![locality("a", 1, &ids)];
    weigh(&mut localities[0], weights);
    vec![localities]
}

/// Sets endpoints of these weights, and connects them.
pub(super) fn connected(driver: &mut Driver, weights: &[u32]) {
    driver.update(endpoints(weights));
    (1..=weights.len() as u32).for_each(|id| _ = driver.ready(id));
}

/// An endpoint's share of the calls, in percent.
fn percent(driver: &mut Driver, id: u32) -> usize {
    let share = driver.shares(20_000).get(&id).copied().unwrap_or_default();
    (share + 100) / 200
}

/// Proves: LB-52.
#[test]
fn endpoint_weights_count_for_the_weighted_policy_and_not_for_round_robin() {
    let mut plain = Driver::round_robin();
    connected(&mut plain, &[100, 10, 10]);
    assert_eq!(plain.shares(30), [(1, 10), (2, 10), (3, 10)].into());
    let mut driver = driver_of(&weighted(WeightSource::Configured));
    connected(&mut driver, &[100, 10, 10]);
    let shares = driver.shares(12_000);
    for (id, expected) in [(1, 10_000), (2, 1_000), (3, 1_000)] {
        assert!(shares[&id].abs_diff(expected) <= 3, "{shares:?}");
    }
    driver.idle(1);
    assert_eq!(driver.shares(100), [(2, 50), (3, 50)].into(), "the others share by their own weights");
    driver.ready(1);
    assert_eq!(driver.update(endpoints(&[30, 10, 20])), [], "another weight needs no connection");
    let shares = driver.shares(6_000);
    for (id, expected) in [(1, 3_000), (2, 1_000), (3, 2_000)] {
        assert!(shares[&id].abs_diff(expected) <= 3, "{shares:?}");
    }
    assert_eq!(driver.update(endpoints(&[1, 1])), []);
    assert_eq!(driver.shares(100), [(1, 50), (2, 50)].into());
}

#[test]
fn one_heavy_endpoint_among_many_takes_its_share() {
    let mut driver = driver_of(&weighted(WeightSource::Configured));
    let mut weights = vec![1; 1_000];
    weights[499] = 1_000;
    connected(&mut driver, &weights);
    let shares = driver.shares(20_000);
    assert!(shares[&500].abs_diff(10_005) < 200, "{}", shares[&500]);
    let light = shares.iter().filter(|(id, _)| **id != 500).map(|(_, share)| *share);
    assert_eq!(light.clone().count(), 999, "every endpoint takes calls");
    assert!(light.max() < Some(30));
}

/// C17
#[test]
fn light_endpoint_takes_one_of_the_first_calls() {
    let (mut firsts, mut after_updates) = (0, 0);
    for seed in 0..1_000 {
        let mut driver = driver_of(&weighted(WeightSource::Configured));
        driver.rng = StdRng::seed_from_u64(seed);
        connected(&mut driver, &[100, 10]);
        firsts += driver.shares(1).get(&2).copied().unwrap_or_default();
        assert!(driver.shares(11).contains_key(&2), "seed {seed}");
        // the rotation goes on when the endpoints change
        for weight in 100..120 {
            driver.update(endpoints(&[weight, 10]));
            after_updates += driver.shares(1).get(&2).copied().unwrap_or_default();
        }
    }
    assert!((1_500..2_100).contains(&after_updates), "{after_updates} of 20,000 calls after updates");
    assert!((30..=90).contains(&firsts), "{firsts} of 1,000 first calls");
}

/// Cases C11, C12.
/// Proves: LB-51.
#[test]
fn share_of_a_new_endpoint_grows_and_begins_anew_with_each_return() {
    let policy = LbPolicy::WeightedRoundRobin(
        WeightedRoundRobin::new(WeightSource::Equal).with_slow_start(slow_start()),
    );
    let mut driver = driver_of(&policy);
    connected(&mut driver, &[1]);
    driver.sleep(seconds(100));
    driver.update(endpoints(&[1, 1]));
    driver.sleep(seconds(70));
    let assert_growing = |driver: &mut Driver| {
        for (after, expected) in [(0, 9), (6, 9), (24, 33), (29, 50), (1, 50)] {
            driver.sleep(seconds(after));
            let percent = percent(driver, 2);
            assert!(percent.abs_diff(expected) <= 1, "{percent} instead of {expected}");
        }
    };
    driver.ready(2);
    assert_growing(&mut driver);
    driver.failed(2); // an ejection, or a failed health check
    driver.sleep(seconds(5));
    driver.ready(2);
    assert_growing(&mut driver);
    assert_eq!(driver.balancer.next_deadline(), None, "nothing grows any more");
}

/// C11
#[test]
fn aggression_near_zero_leaves_the_least_share() {
    let mut settings = WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start());
    if let Some(slow_start) = &mut settings.slow_start {
        slow_start.aggression = 1e-30;
    }
    let mut driver = driver_of(&LbPolicy::WeightedRoundRobin(settings));
    connected(&mut driver, &[1]);
    driver.sleep(seconds(60));
    connected(&mut driver, &[1, 1]);
    for _ in 0..5 {
        assert_eq!(percent(&mut driver, 2), 9);
        driver.sleep(seconds(11));
    }
    driver.sleep(seconds(10));
    assert_eq!(percent(&mut driver, 2), 50);
}

/// C13
#[test]
fn endpoints_that_are_all_new_share_equally() {
    let settings = WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start());
    let mut driver = driver_of(&LbPolicy::WeightedRoundRobin(settings));
    connected(&mut driver, &[1, 1, 1]);
    for _ in 0..30 {
        let shares = driver.shares(300);
        assert!(shares.values().all(|share| share.abs_diff(100) <= 1), "{shares:?}");
        driver.sleep(seconds(2));
    }
}

#[test]
fn random_reaches_every_ready_endpoint_equally() {
    let mut driver = driver_of(&LbPolicy::Random);
    assert_eq!(driver.update(endpoints(&[7, 1, 1])), connect(&[1, 2, 3]));
    driver.ready(1);
    driver.ready(2);
    assert_eq!(driver.users(), [1, 2]);
    driver.ready(3);
    for share in driver.shares(30_000).into_values() {
        assert!(share.abs_diff(10_000) < 400, "weights do not count: {share}");
    }
}

/// Connections, weights and the time since which an endpoint is ready survive.
#[test]
fn another_policy_takes_over_connections_and_slow_start() {
    let settings = WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start());
    let mut driver = driver_of(&LbPolicy::WeightedRoundRobin(settings.clone()));
    connected(&mut driver, &[1]);
    driver.sleep(seconds(60));
    connected(&mut driver, &[1, 1]);
    driver.sleep(seconds(30));
    let mut other = settings;
    other.weights = WeightSource::Equal;
    let commands = driver.change_policy(&LbPolicy::WeightedRoundRobin(other), priorities(&[&[1, 2]]));
    assert_eq!((commands, driver.letter()), (connect(&[1, 2]), 'R'));
    assert_eq!(percent(&mut driver, 2), 33, "half of its weight");
    let commands = driver.change_policy(&LbPolicy::Random, priorities(&[&[1, 2]]));
    assert_eq!((commands, driver.letter()), (connect(&[1, 2]), 'R'));
    assert_eq!(percent(&mut driver, 2).abs_diff(50) / 2, 0);
}
