//! Envoy's least request: weights, calls in flight and slow start.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::{LbPolicy, SlowStart, WeightedLeastRequest};
use crate::policy::lb::Pick;

use super::driver::{Driver, seconds};
use super::weighted::{connected, driver_of};

fn policy(bias: f64) -> LbPolicy {
    LbPolicy::WeightedLeastRequest(WeightedLeastRequest { bias, ..WeightedLeastRequest::default() })
}

fn set_in_flight(driver: &mut Driver, calls: &[u32]) {
    for (id, calls) in (1..).zip(calls) {
        driver.load(id).in_flight.store(*calls, Ordering::Relaxed);
    }
}

/// Proves: LB-33.
#[test]
fn chance_is_weight_by_calls_in_flight() {
    type Row = (f64, &'static [u32], &'static [u32], &'static [usize]);
    let rows: [Row; 5] = [
        // bias, weights, calls in flight, shares in percent
        (1.0, &[1, 2], &[0, 0], &[33, 67]),
        (1.0, &[1, 2], &[0, 3], &[67, 33]),
        (1.0, &[10, 1, 4], &[9, 1, 3], &[40, 20, 40]),
        (0.0, &[1, 3], &[0, 100], &[25, 75]),
        (2.0, &[1, 4], &[0, 3], &[80, 20]),
    ];
    for (bias, weights, calls, expected) in rows {
        let mut driver = driver_of(&policy(bias));
        connected(&mut driver, weights);
        set_in_flight(&mut driver, calls);
        let shares = driver.shares(20_000);
        for (id, expected) in (1..).zip(expected) {
            let percent = shares.get(&id).map_or(0, |share| share / 200);
            assert!(percent.abs_diff(*expected) <= 2, "bias {bias}, {weights:?}, {calls:?}: {shares:?}");
        }
    }
}

#[test]
fn many_endpoints_share_by_weight_and_busy_ones_take_fewer_calls() {
    let mut driver = driver_of(&policy(1.0));
    let weights: Vec<u32> = (0..100).map(|at| 1 + at % 2).collect();
    connected(&mut driver, &weights);
    let shares = driver.shares(60_000);
    let of_light: usize = shares.iter().filter(|(id, _)| *id % 2 == 1).map(|(_, share)| share).sum();
    assert!(of_light.abs_diff(20_000) < 600, "{of_light}");
    let busy: Vec<u32> = (0..100).map(|at| if at < 50 { 9 } else { 0 }).collect();
    set_in_flight(&mut driver, &busy);
    let shares = driver.shares(60_000);
    let of_busy: usize = shares.iter().filter(|(id, _)| **id <= 50).map(|(_, share)| share).sum();
    // by the formula a tenth of the others' calls; of four draws all may be busy
    assert!((5_000..11_000).contains(&of_busy), "{of_busy}");
}

/// Calls of `callers` that call again as soon as they have an answer; how many hang, and how many have been answered. Endpoint 1
/// never answers, the others in 1 ms.
fn hang(driver: &mut Driver, callers: usize, rounds: usize) -> (usize, usize) {
    let (mut hanging, mut answered) = (0, 0);
    let mut free: VecDeque<()> = std::iter::repeat_n((), callers).collect();
    for _ in 0..rounds {
        let mut sent = Vec::new();
        for () in std::mem::take(&mut free) {
            let Pick::Endpoint(id) = driver.pick() else { panic!("an endpoint is ready") };
            driver.load(id.0).in_flight.fetch_add(1, Ordering::Relaxed);
            if id.0 == 1 { hanging += 1 } else { sent.push(id.0) }
        }
        for id in sent {
            driver.load(id).in_flight.fetch_sub(1, Ordering::Relaxed);
            answered += 1;
            free.push_back(());
        }
    }
    (hanging, answered)
}

/// Case C25. gRPC's least request draws with repetition (A48, LB-32): there, all callers hang in the end.
#[test]
fn endpoint_that_never_answers_holds_no_more_calls_than_the_others() {
    let mut driver = driver_of(&policy(1.0));
    connected(&mut driver, &[1, 1]);
    let (hanging, answered) = hang(&mut driver, 20, 1_000);
    assert!(hanging <= 11, "{hanging} callers hang");
    assert!(answered > 8_000, "{answered} calls were answered");
}

/// C29
#[test]
fn burst_of_calls_is_spread_though_none_is_answered() {
    let mut driver = driver_of(&policy(1.0));
    connected(&mut driver, &[1, 1]);
    for _ in 0..20 {
        let Pick::Endpoint(id) = driver.pick() else { panic!("an endpoint is ready") };
        driver.load(id.0).in_flight.fetch_add(1, Ordering::Relaxed);
    }
    let most = (1..=2).map(|id| driver.load(id).in_flight.load(Ordering::Relaxed)).max();
    assert!(most <= Some(11), "{most:?}");
}

/// LB-51
#[test]
fn share_of_a_new_endpoint_grows() {
    let settings = WeightedLeastRequest {
        slow_start: Some(SlowStart::new(Duration::from_secs(60))),
        ..WeightedLeastRequest::default()
    };
    let mut driver = driver_of(&LbPolicy::WeightedLeastRequest(settings));
    connected(&mut driver, &[1]);
    driver.sleep(seconds(60));
    connected(&mut driver, &[1, 1]);
    for (after, expected) in [(0, 9), (30, 33), (30, 50)] {
        driver.sleep(seconds(after));
        let percent = driver.shares(20_000)[&2] / 200;
        assert!(percent.abs_diff(expected) <= 2, "{percent} instead of {expected}");
    }
}
