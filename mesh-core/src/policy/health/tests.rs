use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{CheckResult, Checker, Health, Pause, Traffic, first_pause};
use crate::config::{HealthCheck, HealthCheckIntervals, HealthProbe};

/// `g`ood, `f`ailed or `r`efused.
fn result(letter: char) -> CheckResult {
    match letter {
        'g' => CheckResult::Good,
        'f' => CheckResult::Failed("no answer".into()),
        _ => CheckResult::Refused("not serving".into()),
    }
}

/// With different intervals: healthy 1 s, healthy edge 2 s, unhealthy 3 s, unhealthy edge 4 s.
fn settings(unhealthy_threshold: u32, healthy_threshold: u32) -> HealthCheck {
    let second = Duration::from_secs;
    let check = HealthCheck::new(HealthProbe::grpc(""), second(1), second(1));
    let intervals = HealthCheckIntervals {
        healthy_edge: second(2),
        unhealthy: second(3),
        unhealthy_edge: second(4),
        ..check.intervals
    };
    HealthCheck { unhealthy_threshold, healthy_threshold, intervals, ..check }
}

fn wait(checker: &Checker, settings: &HealthCheck, traffic: Traffic) -> u64 {
    let mut pause = checker.pause(settings, &mut StdRng::seed_from_u64(1));
    let mut total = Duration::ZERO;
    while let Some(part) = pause.next(traffic) {
        total += part;
    }
    total.as_secs()
}

/// A name, thresholds of failures and of good checks, results, health after each, seconds until the next check.
type Row = (&'static str, u32, u32, &'static str, &'static str, &'static [u64]);

/// Case C41 is the fourth row.
/// Proves: LB-64, LB-65.
#[test]
fn checks_change_health_by_thresholds_and_the_first_one_alone_decides() {
    let table: &[Row] = &[
        ("first good one", 3, 3, "gg", "HH", &[1, 1]),
        ("first failed one", 3, 2, "fgg", "UUH", &[3, 2, 1]),
        ("failures in a row", 3, 1, "gfffg", "HHHUH", &[1, 4, 4, 3, 1]),
        ("good ones in a row", 3, 3, "fgggg", "UUUHH", &[3, 2, 2, 1, 1]),
        ("a good one between failures", 2, 1, "gfgfgff", "HHHHHHU", &[1, 4, 1, 4, 1, 4, 3]),
        ("a failure between good ones", 1, 2, "fgfggg", "UUUUHH", &[3, 2, 3, 2, 1, 1]),
        ("one that says no", 5, 1, "grrg", "HUUH", &[1, 3, 3, 1]),
        ("zero counts as one", 0, 0, "gfg", "HUH", &[1, 3, 1]),
        ("failures while unhealthy do not count on", 2, 1, "gfffgfg", "HHUUHHH", &[1, 4, 3, 3, 1, 4, 1]),
    ];
    for (name, unhealthy, healthy, results, expected, pauses) in table {
        let settings = settings(*unhealthy, *healthy);
        let mut checker = Checker::default();
        assert_eq!(*checker.health(), Health::Unknown);
        let mut waits = Vec::new();
        let states = results.chars().map(|letter| {
            let before = std::mem::discriminant(checker.health());
            let is_new = checker.on_result(&settings, result(letter)).is_some();
            assert_eq!(is_new, before != std::mem::discriminant(checker.health()), "{name}");
            waits.push(wait(&checker, &settings, Traffic::Some));
            match checker.health() {
                Health::Unknown => '?',
                Health::Healthy => 'H',
                Health::Unhealthy(_) => 'U',
            }
        });
        assert_eq!(&states.collect::<String>(), expected, "{name}");
        assert_eq!(&waits, pauses, "{name}");
    }
}

/// Case C40 b.
/// Proves: LB-65.
#[test]
fn first_call_ends_the_long_interval_of_a_cluster_without_traffic() {
    let mut settings = settings(1, 1);
    settings.intervals = HealthCheckIntervals::every(Duration::from_secs(5));
    let mut checker = Checker::default();
    checker.on_result(&settings, CheckResult::Good);
    assert_eq!(wait(&checker, &settings, Traffic::None), 60);
    assert_eq!(wait(&checker, &settings, Traffic::Some), 5);
    // Traffic begins one second after the first check.
    let mut pause = checker.pause(&settings, &mut StdRng::seed_from_u64(1));
    assert_eq!(pause.next(Traffic::None), Some(Duration::from_secs(5)));
    assert_eq!(pause.next(Traffic::Some), None, "the next check is at most 5 s away");
    settings.intervals.no_traffic_healthy = Duration::from_secs(300);
    assert_eq!(wait(&checker, &settings, Traffic::None), 300);
    checker.on_result(&settings, result('f'));
    assert_eq!(wait(&checker, &settings, Traffic::None), 60);
}

/// Case C40 a.
/// Proves: LB-65.
#[test]
fn jitter_spreads_checks_and_only_adds() {
    let mut settings = settings(1, 1);
    let mut rng = StdRng::seed_from_u64(7);
    assert_eq!(first_pause(&settings, &mut rng), Duration::ZERO);
    settings.initial_jitter = Duration::from_secs(5);
    let mut first: Vec<_> = (0..50).map(|_| first_pause(&settings, &mut rng)).collect();
    first.sort();
    assert!(first[0] < Duration::from_secs(1) && first[49] < Duration::from_secs(5), "{first:?}");
    assert!(first[49] > Duration::from_secs(4), "{first:?}");
    (settings.interval_jitter, settings.interval_jitter_percent) = (Duration::from_secs(2), 50);
    let mut checker = Checker::default();
    checker.on_result(&settings, CheckResult::Good);
    let pauses = (0..200).map(|_| checker.pause(&settings, &mut rng).next(Traffic::Some).unwrap());
    let (least, most) = pauses
        .fold((Duration::MAX, Duration::ZERO), |(least, most), pause| (least.min(pause), most.max(pause)));
    assert!(least >= Duration::from_secs(1) && most < Duration::from_millis(3500), "{least:?} to {most:?}");
    assert!(most - least > Duration::from_secs(1), "{least:?} to {most:?}");
}

#[test]
fn interval_of_zero_does_not_check_in_a_loop() {
    let mut settings = settings(1, 1);
    settings.intervals = HealthCheckIntervals::every(Duration::ZERO);
    let mut checker = Checker::default();
    checker.on_result(&settings, CheckResult::Good);
    let mut pause: Pause = checker.pause(&settings, &mut StdRng::seed_from_u64(1));
    assert_eq!(pause.next(Traffic::Some), Some(Duration::from_millis(1)));
}
