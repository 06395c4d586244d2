//! Weighted round robin by the load that endpoints report.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{LbPolicy, ReportedWeights, SlowStart, WeightSource, WeightedRoundRobin};

use super::driver::{Driver, priorities, seconds};
use super::weighted::{connected, driver_of};

fn policy(settings: ReportedWeights) -> LbPolicy {
    LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(WeightSource::Reported(settings)))
}

fn report(driver: &mut Driver, weights: &[(u32, f32)]) {
    weights.iter().for_each(|(id, weight)| driver.load(*id).weight.report(*weight));
}

/// The endpoints' shares in percent, each with its id.
fn percents(driver: &mut Driver) -> BTreeMap<u32, usize> {
    let shares = driver.shares(20_000);
    shares.into_iter().map(|(id, share)| (id, (share + 100) / 200)).collect()
}

/// Reports of all, once a second.
fn keep_reporting(driver: &mut Driver, weights: &[(u32, f32)], time: u64) {
    for _ in 0..time {
        report(driver, weights);
        driver.sleep(seconds(1));
    }
}

/// Cases C14.
/// Proves: LB-43, LB-46.
#[test]
fn endpoints_share_by_their_reports_and_the_mean_stands_for_none() {
    let mut driver = driver_of(&policy(ReportedWeights::default()));
    connected(&mut driver, &[1, 7, 1]);
    assert_eq!(percents(&mut driver), [(1, 33), (2, 33), (3, 33)].into(), "nothing is known");
    keep_reporting(&mut driver, &[(1, 200.0)], 15);
    assert_eq!(percents(&mut driver), [(1, 33), (2, 33), (3, 33)].into(), "one weight says nothing");
    keep_reporting(&mut driver, &[(1, 200.0), (2, 100.0)], 15);
    assert_eq!(percents(&mut driver), [(1, 44), (2, 22), (3, 33)].into());
    keep_reporting(&mut driver, &[(1, 142.857)], 1);
    assert_eq!(
        percents(&mut driver),
        [(1, 39), (2, 27), (3, 33)].into(),
        "a new weight counts within a second"
    );
    // an endpoint that comes has the mean at once
    connected(&mut driver, &[1, 1, 1, 1]);
    assert_eq!(percents(&mut driver), [(1, 29), (2, 21), (3, 25), (4, 25)].into());
}

/// Proves: LB-45.
#[test]
fn weight_counts_after_the_blackout_and_until_it_is_too_old() {
    let mut driver = driver_of(&policy(ReportedWeights::default()));
    connected(&mut driver, &[1, 1, 1]);
    let even = BTreeMap::from([(1, 33), (2, 33), (3, 33)]);
    let weighed = BTreeMap::from([(1, 60), (2, 20), (3, 20)]);
    let weights = [(1, 300.0), (2, 100.0), (3, 100.0)];
    keep_reporting(&mut driver, &weights, 10);
    assert_eq!(percents(&mut driver), even);
    keep_reporting(&mut driver, &weights, 2);
    assert_eq!(percents(&mut driver), weighed);
    driver.sleep(seconds(178));
    assert_eq!(percents(&mut driver), weighed);
    driver.sleep(seconds(3));
    assert_eq!(percents(&mut driver), even, "too old");
    keep_reporting(&mut driver, &weights, 10);
    assert_eq!(percents(&mut driver), even, "the blackout begins anew");
    keep_reporting(&mut driver, &weights, 2);
    assert_eq!(percents(&mut driver), weighed);
    driver.idle(1);
    driver.ready(1);
    keep_reporting(&mut driver, &weights, 5);
    assert_eq!(percents(&mut driver), even, "the mean of the two others, after another connection");
    keep_reporting(&mut driver, &weights, 7);
    assert_eq!(percents(&mut driver), weighed);
}

#[test]
fn weights_are_computed_once_in_each_period() {
    for (period, expected) in [(Duration::ZERO, 100), (Duration::from_millis(700), 700)] {
        let settings = ReportedWeights { update_period: period, ..ReportedWeights::default() };
        let mut driver = driver_of(&policy(settings));
        connected(&mut driver, &[1, 1]);
        let pickers = driver.pickers;
        for _ in 0..3 {
            let deadline = driver.balancer.next_deadline().unwrap();
            assert_eq!((deadline - driver.now).as_millis(), expected);
            driver.sleep(deadline - driver.now);
        }
        assert_eq!(driver.pickers, pickers, "calls that wait are not woken");
        driver.idle(1);
        driver.idle(2);
        driver.sleep(seconds(1));
        let deadline = driver.balancer.next_deadline().unwrap();
        assert!(deadline - driver.now > seconds(8), "no endpoint is ready, only the failover timer runs");
    }
}

/// A100: slow start scales whatever weight is used.
#[test]
fn slow_start_scales_reported_weights() {
    let settings = ReportedWeights { blackout: Duration::ZERO, ..ReportedWeights::default() };
    let slow_start = SlowStart::new(Duration::from_secs(100));
    let settings = WeightedRoundRobin::new(WeightSource::Reported(settings)).with_slow_start(slow_start);
    let mut driver = driver_of(&LbPolicy::WeightedRoundRobin(settings));
    connected(&mut driver, &[1]);
    keep_reporting(&mut driver, &[(1, 100.0)], 100);
    connected(&mut driver, &[1, 1]);
    keep_reporting(&mut driver, &[(1, 100.0), (2, 300.0)], 20);
    assert_eq!(percents(&mut driver), [(1, 63), (2, 38)].into(), "100 to a fifth of 300");
    keep_reporting(&mut driver, &[(1, 100.0), (2, 300.0)], 80);
    assert_eq!(percents(&mut driver), [(1, 25), (2, 75)].into());
}

#[test]
fn weights_survive_another_policy() {
    let settings = ReportedWeights::default();
    let mut driver = driver_of(&policy(settings.clone()));
    connected(&mut driver, &[1, 1]);
    keep_reporting(&mut driver, &[(1, 300.0), (2, 100.0)], 15);
    driver.change_policy(&LbPolicy::RoundRobin, priorities(&[&[1, 2]]));
    assert_eq!(percents(&mut driver), [(1, 50), (2, 50)].into());
    driver.change_policy(&policy(settings), priorities(&[&[1, 2]]));
    driver.sleep(seconds(1));
    assert_eq!(percents(&mut driver), [(1, 75), (2, 25)].into(), "without another blackout");
}
