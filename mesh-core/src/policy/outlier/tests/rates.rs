//! Ejection by success rate and by failure percentage.

use super::{CallResult, Cluster, by_failure_percentage, by_success_rate, text};
use crate::config::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};

/// Success rates in percent of 100 calls each, and who is ejected.
type Row = (&'static str, fn(&mut SuccessRateEjection), &'static [u32], &'static [u32]);

const SUCCESS_RATES: &[Row] = &[
    // C02 a: mean 80, deviation 40, limit 4. Over n - 1, the limit is below 0 and the dead endpoint stays.
    ("C02 a: one of five is dead", |_| {}, &[100, 100, 100, 100, 0], &[4]),
    // C02 b: mean 75, deviation 43.3, limit -7.3
    ("C02 b: one of four is dead", |rule| rule.minimum_hosts = 3, &[100, 100, 100, 0], &[]),
    // C02 c: mean 99.8, deviation 0.4, limit 99.04
    ("C02 c: one fails one call", |_| {}, &[100, 100, 100, 100, 99], &[4]),
    ("all fail alike", |_| {}, &[30; 6], &[]),
    ("all fail alike, without any tolerance", |rule| rule.stdev_factor = 0, &[70; 7], &[]),
    ("without any tolerance", |rule| rule.stdev_factor = 0, &[100, 100, 99, 100, 100], &[2]),
    ("too few endpoints", |rule| rule.stdev_factor = 0, &[100, 100, 100, 0], &[]),
    ("no endpoints", |rule| rule.minimum_hosts = 0, &[], &[]),
    ("all are dead", |_| {}, &[0; 5], &[]),
    ("two outliers", |rule| rule.stdev_factor = 1000, &[100, 100, 100, 100, 100, 100, 0, 0], &[6, 7]),
];

/// Proves: LB-55.
#[test]
fn success_rate_far_below_the_mean_ejects() {
    for (name, change, rates, expected) in SUCCESS_RATES {
        let mut settings = by_success_rate();
        change(settings.success_rate.as_mut().unwrap());
        let mut cluster = Cluster::new(rates.len() as u32, &settings);
        for (id, rate) in (0..).zip(*rates) {
            cluster.calls(id, *rate, 100 - rate);
        }
        cluster.sweep();
        assert_eq!(cluster.ejected(), *expected, "{name}");
    }
}

#[test]
fn endpoint_with_too_few_calls_is_not_judged_by_success_rate() {
    let mut cluster = Cluster::new(7, &by_success_rate());
    for id in 0..5 {
        cluster.calls(id, 100, 0);
    }
    // 99 calls, all failed; and none at all
    cluster.calls(5, 0, 99);
    cluster.sweep();
    assert!(cluster.ejected().is_empty());
    for id in 0..5 {
        cluster.calls(id, 100, 0);
    }
    cluster.calls(5, 0, 100);
    let changes = cluster.sweep();
    assert_eq!(cluster.ejected(), [5], "earlier intervals do not count");
    let expected = "ejected by outlier detection: 0.0 % of its calls succeeded, expected at least 12.5 %";
    assert_eq!(text(&changes[0].state), expected);
}

/// Failed calls of 100, and who is ejected.
type PercentageRow = (&'static str, u32, u32, &'static [u32], &'static [u32]);

const FAILURE_PERCENTAGES: &[PercentageRow] = &[
    // C03, by the steps of A50: above, not at the threshold
    ("C03: 85 and 86 of 100", 85, 1, &[85, 86, 0], &[1]),
    ("C03: a threshold of 100 ejects no endpoint", 100, 1, &[100, 100], &[]),
    ("zero", 0, 1, &[0, 1], &[1]),
    ("each on its own", 85, 5, &[100; 5], &[0, 1, 2, 3, 4]),
    ("too few endpoints", 85, 5, &[100; 4], &[]),
];

/// Proves: LB-56.
#[test]
fn failure_percentage_above_the_threshold_ejects() {
    for (name, threshold, minimum_hosts, failures, expected) in FAILURE_PERCENTAGES {
        let mut settings = by_failure_percentage();
        let rule = settings.failure_percentage.as_mut().unwrap();
        (rule.threshold_percent, rule.minimum_hosts) = (*threshold, *minimum_hosts);
        let mut cluster = Cluster::new(failures.len() as u32, &settings);
        for (id, failed) in (0..).zip(*failures) {
            cluster.calls(id, 100 - failed, *failed);
        }
        cluster.sweep();
        assert_eq!(cluster.ejected(), *expected, "{name}");
    }
}

#[test]
fn endpoint_with_too_few_calls_is_not_judged_by_failure_percentage() {
    let mut settings = by_failure_percentage();
    settings.failure_percentage.as_mut().unwrap().minimum_hosts = 2;
    let mut cluster = Cluster::new(3, &settings);
    cluster.calls(0, 0, 49);
    cluster.calls(1, 0, 50);
    cluster.sweep();
    assert!(cluster.ejected().is_empty(), "only one endpoint has enough calls");
    cluster.calls(0, 0, 50);
    cluster.calls(1, 0, 50);
    let changes = cluster.sweep();
    assert_eq!(cluster.ejected(), [0, 1]);
    let expected = "ejected by outlier detection: 100.0 % of its calls failed, allowed are 85 %";
    assert_eq!(text(&changes[0].state), expected);
}

/// C01: endpoints that all fail every call, and how many of them go at which limit.
const LIMITS: &[(u32, u32, bool, usize)] = &[
    // The present share is at or over the limit: no further ejection.
    (3, 10, false, 1),
    (3, 50, false, 2),
    (3, 67, false, 3),
    (3, 0, false, 0),
    (3, 0, true, 1),
    (3, 10, true, 1),
    (3, 33, false, 1),
    (3, 34, false, 2),
    (100, 10, false, 10),
    (100, 100, false, 100),
];

/// Proves: LB-57.
#[test]
fn no_endpoint_is_ejected_beyond_the_limit() {
    for (endpoints, limit, always_eject_one, expected) in LIMITS {
        let mut settings = by_failure_percentage();
        settings.max_ejection_percent = *limit;
        settings.always_eject_one = *always_eject_one;
        let mut cluster = Cluster::new(*endpoints, &settings);
        for id in 0..*endpoints {
            cluster.calls(id, 0, 50);
        }
        cluster.sweep();
        assert_eq!(cluster.ejected().len(), *expected, "{limit} % of {endpoints}");
        let stayed = u64::from(*endpoints) - *expected as u64;
        assert_eq!(cluster.counts(), [("failure_percentage", [*expected as u64, 0, stayed])]);
    }
}

/// Proves: OB-13.
#[test]
fn only_a_percentage_of_outliers_is_ejected() {
    let mut settings = by_failure_percentage();
    settings.failure_percentage.as_mut().unwrap().enforcing_percent = 30;
    let mut cluster = Cluster::new(1000, &settings);
    for id in 0..1000 {
        cluster.calls(id, 0, 50);
    }
    cluster.sweep();
    let ejected = cluster.ejected().len() as u64;
    // Five standard deviations; the seed is fixed.
    assert!((228..=372).contains(&ejected), "{ejected}");
    assert_eq!(cluster.counts(), [("failure_percentage", [ejected, 1000 - ejected, 0])]);
}

#[test]
fn endpoint_found_by_both_algorithms_is_ejected_once() {
    let mut settings = by_success_rate();
    settings.failure_percentage = Some(FailurePercentageEjection::default());
    let mut cluster = Cluster::new(5, &settings);
    for id in 0..4 {
        cluster.calls(id, 100, 0);
    }
    cluster.calls(4, 0, 100);
    let changes = cluster.sweep();
    assert_eq!((changes.len(), cluster.ejected()), (1, vec![4]));
    assert_eq!(cluster.counts(), [("success_rate", [1, 0, 0])]);
}

/// Reaching an endpoint is judged apart from its answers.
#[test]
fn local_origin_rates_are_counted_separately() {
    for by_rate in [true, false] {
        let mut settings = OutlierDetection::off();
        settings.max_ejection_percent = 100;
        let local = settings.local_origin.insert(Default::default());
        if by_rate {
            local.success_rate = Some(SuccessRateEjection::default());
        } else {
            local.failure_percentage = Some(FailurePercentageEjection::default());
        }
        let mut cluster = Cluster::new(5, &settings);
        for _ in 0..100 {
            for id in 0..4 {
                // whatever it answers, it was reached
                cluster.record(id, super::FAILED);
            }
            cluster.record(4, CallResult::LocalOrigin);
        }
        cluster.sweep();
        assert_eq!(cluster.ejected(), [4]);
        let method = if by_rate { "success_rate_local_origin" } else { "failure_percentage_local_origin" };
        assert_eq!(cluster.counts(), [(method, [1, 0, 0])]);
    }
}

/// Without the distinction, an endpoint that is not reached has failed.
#[test]
fn failures_of_local_origin_count_as_failures_unless_they_are_split() {
    let mut settings = by_failure_percentage();
    for is_split in [false, true] {
        settings.local_origin = is_split.then(Default::default);
        let mut cluster = Cluster::new(2, &settings);
        for _ in 0..50 {
            cluster.record(0, CallResult::LocalOrigin);
        }
        cluster.sweep();
        assert_eq!(cluster.ejected().is_empty(), is_split);
    }
}
