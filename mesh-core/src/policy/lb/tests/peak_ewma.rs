//! Peak EWMA: simulated endpoints, and callers that call again as soon as they have an answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::{LbPolicy, PeakEwma, SlowStart};
use crate::policy::lb::{Moment, Pick};

use super::driver::{Driver, seconds};
use super::weighted::{connected, driver_of};

const DECAY: Duration = Duration::from_secs(10);

struct World {
    driver: Driver,
    /// How long the calls of each endpoint take, and whether they fail.
    behaviours: BTreeMap<u32, (Duration, bool)>,
    /// The ends of the calls in flight: when, at which endpoint, since when.
    calls: BinaryHeap<Reverse<(Instant, u32, Instant)>>,
    free: usize,
}

impl World {
    fn new(settings: PeakEwma, callers: usize) -> Self {
        let driver = driver_of(&LbPolicy::PeakEwma(settings));
        Self { driver, behaviours: BTreeMap::new(), calls: BinaryHeap::new(), free: callers }
    }

    /// Endpoints 1, 2 and so on, whose calls take so many milliseconds.
    fn endpoints(&mut self, millis: &[u64]) {
        connected(&mut self.driver, &vec![1; millis.len()]);
        for (id, millis) in (1..).zip(millis) {
            self.behaviours.insert(id, (Duration::from_millis(*millis), false));
        }
    }

    fn fail(&mut self, id: u32, fails: bool) {
        self.behaviours.entry(id).and_modify(|behaviour| behaviour.1 = fails);
    }

    /// Lets time pass; returns how many calls each endpoint was sent meanwhile.
    fn run(&mut self, time: Duration) -> BTreeMap<u32, usize> {
        let end = self.driver.now + time;
        let mut sent = BTreeMap::new();
        loop {
            for _ in 0..std::mem::take(&mut self.free) {
                let Pick::Endpoint(id) = self.driver.pick() else { panic!("an endpoint is ready") };
                self.driver.load(id.0).in_flight.fetch_add(1, Ordering::Relaxed);
                let now = self.driver.now;
                self.calls.push(Reverse((now + self.behaviours[&id.0].0, id.0, now)));
                *sent.entry(id.0).or_default() += 1;
            }
            let Some(Reverse((at, id, since))) = self.calls.peek().copied().filter(|call| call.0.0 <= end)
            else {
                let rest = end - self.driver.now;
                self.driver.sleep(rest);
                return sent;
            };
            self.calls.pop();
            let pause = at - self.driver.now;
            self.driver.sleep(pause);
            let load = self.driver.load(id);
            load.in_flight.fetch_sub(1, Ordering::Relaxed);
            let (now, took) = (Moment::of(at), at - since);
            load.latency.observe(now, took, DECAY);
            if self.behaviours[&id].1 {
                load.latency.observe_failure(now, took, None, DECAY);
            }
            self.free += 1;
        }
    }
}

fn percent(sent: &BTreeMap<u32, usize>, id: u32) -> usize {
    sent.get(&id).copied().unwrap_or_default() * 100 / sent.values().sum::<usize>()
}

/// C27
#[test]
fn endpoint_that_joins_gets_one_call_at_once_and_half_of_them_when_it_is_known() {
    let mut world = World::new(PeakEwma::default(), 4);
    world.endpoints(&[20]);
    world.run(seconds(5));
    world.endpoints(&[20, 20]);
    let first = world.run(Duration::from_millis(20));
    assert_eq!(first.get(&2), Some(&1), "{first:?}");
    let share = percent(&world.run(seconds(10)), 2);
    assert!((45..=55).contains(&share), "{share} %");
}

#[test]
fn slow_endpoint_takes_few_calls_and_one_that_hangs_hardly_any() {
    let mut world = World::new(PeakEwma::default(), 8);
    world.endpoints(&[10, 200, 10, 10, 1_000_000]);
    world.run(seconds(1));
    let sent = world.run(seconds(20));
    assert!(percent(&sent, 2) <= 12, "only against the one that hangs: {sent:?}");
    assert!(sent.get(&5).copied().unwrap_or_default() <= 1, "{sent:?}");
}

/// C26
#[test]
fn endpoint_that_fails_fast_draws_no_calls_and_returns_when_it_works() {
    let mut world = World::new(PeakEwma::default(), 4);
    world.endpoints(&[1, 20]);
    world.fail(1, true);
    let begin = percent(&world.run(seconds(1)), 1);
    let later = percent(&world.run(seconds(20)), 1);
    assert!(begin <= 50 && later <= begin && later < 5, "{begin} %, then {later} %");
    world.fail(1, false);
    world.run(DECAY);
    let after = percent(&world.run(seconds(10)), 1);
    assert!(after > 50, "it is the faster one: {after} %");
}

#[test]
fn averages_fall_while_there_are_no_calls_and_less_often_the_longer() {
    let mut world = World::new(PeakEwma::default(), 0);
    world.endpoints(&[1, 1]);
    let load = world.driver.load(1);
    load.latency.observe(Moment::of(world.driver.now), Duration::from_secs(1), DECAY);
    let until_next = |world: &World| world.driver.balancer.next_deadline().unwrap() - world.driver.now;
    assert_eq!(until_next(&world), seconds(1));
    world.run(seconds(7));
    let average = load.latency.seconds().unwrap();
    assert!((0.48..0.51).contains(&average), "e^-0.7: {average}");
    world.run(seconds(300));
    assert_eq!(load.latency.seconds(), None, "it says nothing any more");
    assert!(until_next(&world) > seconds(0) && until_next(&world) <= DECAY);
}

/// LB-51
#[test]
fn new_endpoint_in_slow_start_takes_a_growing_part() {
    let slow_start = Some(SlowStart::new(Duration::from_secs(60)));
    let mut world = World::new(PeakEwma { slow_start, ..PeakEwma::default() }, 1);
    world.endpoints(&[20]);
    world.run(seconds(60));
    world.endpoints(&[20, 20]);
    let shares: Vec<_> = (0..7).map(|_| percent(&world.run(seconds(10)), 2)).collect();
    assert!(shares[0] <= 15 && shares.is_sorted_by(|one, next| *one <= *next + 3), "{shares:?}");
    assert!((45..=55).contains(&shares[6]), "{shares:?}");
}

#[test]
fn latency_survives_another_policy() {
    let mut world = World::new(PeakEwma::default(), 4);
    world.endpoints(&[10, 200]);
    world.run(seconds(5));
    let before = world.driver.load(2).latency.seconds();
    let endpoints = super::weighted::endpoints(&[1, 1]);
    world.driver.change_policy(&LbPolicy::RoundRobin, endpoints.clone());
    world.driver.change_policy(&LbPolicy::PeakEwma(PeakEwma::default()), endpoints);
    assert_eq!((world.driver.letter(), world.driver.load(2).latency.seconds()), ('R', before));
}
