//! What the request path counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{CallResult, FAILED, UNAVAILABLE, by_failure_percentage, by_success_rate};
use crate::config::{ConsecutiveEjection, LocalOriginEjection, OutlierDetection};
use crate::policy::outlier::Counters;
use crate::policy::outlier::counters::{Calls, Interval};

/// Proves: LB-54.
#[test]
fn nothing_is_counted_while_detection_is_off() {
    let counters = Counters::default();
    for settings in [None, Some(OutlierDetection::off())] {
        counters.configure(settings.as_ref());
        assert!(!counters.is_on());
        for result in [CallResult::Success, FAILED, UNAVAILABLE, CallResult::LocalOrigin] {
            assert!((0..100).all(|_| !counters.record(result)));
        }
        assert_eq!(counters.take().answers, Calls::default());
    }
}

#[test]
fn failures_in_a_row_alone_count_no_rates() {
    let counters = Counters::default();
    let mut settings = OutlierDetection::off();
    settings.consecutive_5xx = Some(ConsecutiveEjection::default());
    counters.configure(Some(&settings));
    assert!(counters.is_on());
    assert_eq!([FAILED; 5].map(|result| counters.record(result)), [false, false, false, false, true]);
    assert_eq!(counters.take(), Interval::default());
    let row = Some(ConsecutiveEjection::default());
    settings.local_origin = Some(LocalOriginEjection { consecutive_failures: row, ..Default::default() });
    counters.configure(Some(&settings));
    for result in [FAILED, CallResult::LocalOrigin] {
        counters.record(result);
        assert_eq!(counters.take(), Interval::default());
    }
}

/// Proves: LB-54.
#[test]
fn failure_to_reach_an_endpoint_is_an_answer_unless_it_is_counted_apart() {
    let (one, none) = (Calls { successes: 0, failures: 1 }, Calls::default());
    let mut split = by_success_rate();
    split.local_origin = Some(LocalOriginEjection::default());
    for (settings, answers, reached) in [(by_success_rate(), one, none), (split, none, one)] {
        let counters = Counters::default();
        counters.configure(Some(&settings));
        counters.record(CallResult::LocalOrigin);
        assert_eq!(counters.take(), Interval { answers, reached });
    }
    // Apart from nothing.
    let mut alone = OutlierDetection::off();
    alone.local_origin = Some(LocalOriginEjection::default());
    let counters = Counters::default();
    counters.configure(Some(&alone));
    assert!(!counters.is_on());
}

#[test]
fn counts_stay_while_the_settings_need_them() {
    let counters = Counters::default();
    counters.configure(Some(&by_success_rate()));
    counters.record(FAILED);
    counters.configure(Some(&by_failure_percentage()));
    counters.record(FAILED);
    assert_eq!(counters.take().answers.failures, 2);
    counters.record(FAILED);
    counters.configure(None);
    counters.configure(Some(&by_success_rate()));
    assert_eq!(counters.take().answers, Calls::default());
}

/// C09: counters are read while calls end. Every call is in exactly one interval.
#[test]
fn every_call_is_in_exactly_one_interval() {
    let counters = Arc::new(Counters::default());
    counters.configure(Some(&by_success_rate()));
    let is_done = Arc::new(AtomicBool::new(false));
    let writers = [CallResult::Success, FAILED, CallResult::Success].map(|result| {
        let counters = counters.clone();
        std::thread::spawn(move || (0..200_000).for_each(|_| _ = counters.record(result)))
    });
    let reader = std::thread::spawn({
        let is_done = is_done.clone();
        move || {
            let mut sum = Calls::default();
            loop {
                let is_last = is_done.load(Ordering::Acquire);
                let Calls { successes, failures } = counters.take().answers;
                sum = Calls { successes: sum.successes + successes, failures: sum.failures + failures };
                if is_last {
                    return sum;
                }
            }
        }
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    is_done.store(true, Ordering::Release);
    assert_eq!(reader.join().unwrap(), Calls { successes: 400_000, failures: 200_000 });
}

/// However many threads fail at once, each full row is found, and no row twice.
#[test]
fn concurrent_failures_reach_the_threshold_exactly_once_per_row() {
    let counters = Arc::new(Counters::default());
    let mut settings = by_failure_percentage();
    settings.consecutive_5xx = Some(ConsecutiveEjection { threshold: 7, enforcing_percent: 100 });
    counters.configure(Some(&settings));
    let found = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (counters, found) = (counters.clone(), found.clone());
            std::thread::spawn(move || {
                for _ in 0..7_000 {
                    if counters.record(FAILED) {
                        found.fetch_add(1, Ordering::Relaxed);
                        assert!(counters.server.take());
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let found = found.load(Ordering::Relaxed);
    // Rows that were full before an earlier one was taken are one with it.
    assert!((1..=4_000).contains(&found), "{found}");
    assert!(!counters.server.take(), "none is left");
    assert_eq!(counters.take().answers.failures, 28_000);
    assert_eq!([FAILED; 7].map(|result| counters.record(result)).iter().filter(|found| **found).count(), 1);
}
