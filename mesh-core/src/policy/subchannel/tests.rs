use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::race::Race;
use super::{AttemptDelay, ConnectionEnd, Settings, Subchannel};
use crate::config::EndpointAddresses;
use crate::policy::backoff::BackoffSettings;
use crate::policy::lb::Connectivity;

const SEED: u64 = 0x5eed;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn addresses(list: &[&str]) -> EndpointAddresses {
    let mut all = list.iter().map(|text| address(text));
    EndpointAddresses::new(all.next().unwrap(), all)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A subchannel on a virtual clock.
struct World {
    subchannel: Subchannel,
    start: Instant,
    now: Instant,
    rng: StdRng,
}

impl World {
    fn new(list: &[&str]) -> Self {
        Self::with(list, Settings::default())
    }

    fn with(list: &[&str], settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            subchannel: Subchannel::new(addresses(list), Arc::new(settings)),
            start: now,
            now,
            rng: StdRng::seed_from_u64(SEED),
        }
    }

    fn connect(&mut self) {
        self.subchannel.connect(self.now);
    }

    /// The attempt that is due now.
    fn attempt(&mut self) -> Option<SocketAddr> {
        match self.subchannel.wants_attempt() {
            true => self.subchannel.start_attempt(self.now, &mut self.rng),
            false => None,
        }
    }

    fn fail(&mut self, error: &str) {
        self.subchannel.on_failed(self.now, error);
    }

    fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.subchannel.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.subchannel.on_deadline(self.now);
        }
        self.now = end;
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn state(&self) -> String {
        match self.subchannel.connectivity() {
            Connectivity::TransientFailure(reason) => format!("failed: {reason}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

#[test]
fn does_nothing_until_a_connection_is_wanted() {
    let mut world = World::new(&["10.0.0.1:1"]);
    assert_eq!((world.state().as_str(), world.attempt()), ("idle", None));
    assert_eq!(world.subchannel.next_deadline(), None);
    world.connect();
    assert_eq!(world.state(), "connecting");
    assert_eq!(world.attempt(), Some(address("10.0.0.1:1")));
    assert_eq!(world.attempt(), None, "one attempt at a time");
    world.subchannel.on_connected(world.now);
    assert_eq!(world.state(), "ready");
    assert_eq!(world.subchannel.next_deadline(), None);
}

/// LB-73's part of a subchannel: a lost connection is not made anew by itself.
#[test]
fn lost_connection_leads_to_idle() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    world.subchannel.on_connected(world.now);
    world.advance(ms(60_000));
    world.subchannel.on_disconnected(world.now, ConnectionEnd::Broken);
    assert_eq!((world.state().as_str(), world.attempt()), ("idle", None));
    world.connect();
    assert!(world.attempt().is_some(), "the next attempt needs no backoff");
}

/// Proves: LB-74.
#[test]
fn backoff_grows_to_its_maximum_and_is_reset_by_success() {
    let mut world = World::new(&["10.0.0.1:1"]);
    let mut nominal = 1.0_f64;
    for pass in 0..20 {
        world.connect();
        assert!(world.attempt().is_some(), "pass {pass}, seed {SEED:#x}");
        let begun = world.now;
        world.fail("refused");
        assert_eq!(world.state(), "failed: refused");
        let pause = (world.subchannel.next_deadline().unwrap() - begun).as_secs_f64();
        assert!((nominal * 0.8..=nominal * 1.2).contains(&pause), "pass {pass}: {pause}, seed {SEED:#x}");
        world.advance(Duration::from_secs_f64(pause));
        assert_eq!(world.state(), "idle");
        nominal = (nominal * 1.6).min(120.0);
    }
    world.connect();
    world.attempt();
    world.subchannel.on_connected(world.now);
    world.advance(ms(5_000));
    world.subchannel.on_disconnected(world.now, ConnectionEnd::Broken);
    world.connect();
    world.attempt();
    let begun = world.now;
    world.fail("refused");
    assert!(world.subchannel.next_deadline().unwrap() - begun <= ms(1_200), "back at the first step");

    // The least connect timeout is 20 s, or the whole backoff if that is longer.
    let mut world = World::new(&["10.0.0.1:1"]);
    let mut limits = Vec::new();
    for _ in 0..20 {
        world.connect();
        world.attempt();
        let begun = world.now;
        while world.state() == "connecting" {
            world.advance(ms(10));
        }
        limits.push(world.now - begun);
        while world.state() != "idle" {
            world.advance(ms(10));
        }
    }
    assert!(limits[..5].iter().all(|limit| (ms(20_000)..ms(20_020)).contains(limit)), "{limits:?}");
    assert!(limits[15..].iter().all(|limit| (ms(96_000)..ms(144_020)).contains(limit)), "{limits:?}");
}

#[test]
fn pause_counts_from_the_beginning_of_the_pass() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    world.advance(ms(700));
    world.fail("reset");
    let left = world.subchannel.next_deadline().unwrap() - world.now;
    assert!((ms(100)..=ms(500)).contains(&left), "{left:?}");
}

#[test]
fn no_pass_begins_while_backing_off() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    world.fail("refused");
    world.subchannel.disconnect();
    assert_eq!(world.state(), "idle");
    world.connect();
    assert_eq!((world.state().as_str(), world.attempt()), ("failed: refused", None));
    world.advance(ms(1_200));
    assert_eq!(world.state(), "idle");
    world.connect();
    assert!(world.attempt().is_some());
}

/// To the nanosecond: a deadline that is early does nothing, and at its end the backoff is over also for a call.
#[test]
fn backoff_lasts_until_its_deadline_and_not_longer() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    world.fail("refused");
    let until = world.subchannel.next_deadline().unwrap();
    world.subchannel.on_deadline(until - Duration::from_nanos(1));
    assert_eq!(world.state(), "failed: refused");
    world.subchannel.disconnect();
    world.now = until;
    world.connect();
    assert!(world.attempt().is_some());
}

/// A connection that lasted for as long as the first backoff is no reason for a pause.
#[test]
fn broken_connections_are_brief_within_the_first_backoff() {
    for (lasted, is_paused) in [(ms(999), true), (ms(1_000), false)] {
        let mut world = World::new(&["10.0.0.1:1"]);
        for _ in 0..2 {
            world.connect();
            assert!(world.attempt().is_some());
            world.subchannel.on_connected(world.now);
            world.advance(lasted);
            world.subchannel.on_disconnected(world.now, ConnectionEnd::Broken);
        }
        world.connect();
        assert_eq!(world.attempt().is_none(), is_paused, "{lasted:?}");
    }
}

#[test]
fn another_order_of_addresses_counts_from_the_next_pass_on() {
    let [first, second] = ["10.0.0.1:1", "10.0.0.2:1"];
    let mut world = World::new(&[first, second]);
    world.connect();
    assert_eq!(world.attempt(), Some(address(first)));
    world.subchannel.prefer(addresses(&[second, first]));
    world.fail("refused");
    assert_eq!(world.attempt(), Some(address(second)), "the pass goes on");
    world.subchannel.on_connected(world.now);
    world.subchannel.on_disconnected(world.now, ConnectionEnd::Served);
    world.connect();
    assert_eq!(world.attempt(), Some(address(second)));
}

#[test]
fn endpoint_that_closes_at_once_is_not_reconnected_in_a_loop() {
    let mut world = World::new(&["10.0.0.1:1"]);
    let mut attempts = 0;
    while world.elapsed() < ms(10_000) {
        world.connect();
        if world.attempt().is_some() {
            attempts += 1;
            world.subchannel.on_connected(world.now);
            world.subchannel.on_disconnected(world.now, ConnectionEnd::Broken);
        } else {
            assert_eq!(world.state(), "connecting", "calls wait, they do not fail");
            world.advance(ms(10));
        }
    }
    assert_eq!(attempts, 11, "two at once, then one a second");
}

/// An endpoint that closes each connection after so many requests works: no call waits for a backoff.
#[test]
fn endpoint_that_closes_after_serving_is_reconnected_at_once() {
    let mut world = World::new(&["10.0.0.1:1"]);
    for _ in 0..100 {
        world.connect();
        assert!(world.attempt().is_some());
        world.subchannel.on_connected(world.now);
        world.advance(ms(1));
        world.subchannel.on_disconnected(world.now, ConnectionEnd::Served);
    }
}

/// Proves: LB-69.
#[test]
fn another_address_joins_after_the_delay_or_a_failure() {
    let list = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];
    let mut world = World::new(&list);
    world.connect();
    assert_eq!(world.attempt(), Some(address(list[0])));
    world.advance(ms(249));
    assert_eq!(world.attempt(), None);
    world.advance(ms(1));
    assert_eq!(world.attempt(), Some(address(list[1])), "after the delay");
    world.fail("refused");
    assert_eq!(world.attempt(), Some(address(list[2])), "at once after a failure");
    assert_eq!(world.state(), "connecting", "the first attempt goes on");
    world.subchannel.on_connected(world.now);
    assert_eq!(world.state(), "ready", "the first that is ready wins");
    world.fail("too late");
    assert_eq!(world.state(), "ready");

    for (given, used) in [(0, 100), (99, 100), (250, 250), (2_000, 2_000), (60_000, 2_000)] {
        assert_eq!(AttemptDelay::new(ms(given)).duration(), ms(used), "{given} ms");
    }
}

/// Proves: LB-70.
#[test]
fn addresses_are_unique_and_families_alternate() {
    let order = |list: &[&str]| {
        let settings = Settings::default();
        let mut race = Race::new(addresses(list).as_slice(), None);
        let now = Instant::now();
        let mut order = Vec::new();
        while let Some(address) = race.start_attempt(now, &settings, Duration::default) {
            order.push(address.ip().to_string());
        }
        order.join(" ")
    };
    let rows = [
        ("one", &["10.0.0.1:1"][..], "10.0.0.1"),
        ("one family keeps its order", &["10.0.0.2:1", "10.0.0.1:1"], "10.0.0.2 10.0.0.1"),
        ("duplicates go", &["10.0.0.1:1", "10.0.0.1:1", "10.0.0.2:1"], "10.0.0.1 10.0.0.2"),
        (
            "begins with the first family",
            &["[::1]:1", "[::2]:1", "10.0.0.1:1", "[::3]:1", "10.0.0.2:1"],
            "::1 10.0.0.1 ::2 10.0.0.2 ::3",
        ),
        ("the rest follows", &["10.0.0.1:1", "[::1]:1", "[::2]:1", "[::3]:1"], "10.0.0.1 ::1 ::2 ::3"),
    ];
    for (name, list, expected) in rows {
        assert_eq!(order(list), expected, "{name}");
    }
}

#[test]
fn fails_only_after_every_address_has_failed_once() {
    let mut world = World::new(&["10.0.0.1:1", "[::1]:1"]);
    world.connect();
    world.attempt();
    world.fail("connect to 10.0.0.1:1: refused");
    assert_eq!(world.state(), "connecting");
    world.attempt();
    world.fail("connect to [::1]:1: refused");
    let expected =
        "failed: none of 2 addresses can be reached, the last failure: connect to [::1]:1: refused";
    assert_eq!(world.state(), expected);
    assert_eq!(world.attempt(), None, "no address twice in a pass");
}

#[test]
fn unanswered_attempt_fails_with_its_address() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    world.advance(ms(19_999));
    assert_eq!(world.state(), "connecting");
    world.advance(ms(1));
    // The pass took longer than its pause, so idle follows at once.
    world.subchannel.disconnect();
    let mut world = World::with(
        &["10.0.0.1:1"],
        Settings {
            backoff: BackoffSettings { initial: ms(30_000), jitter: 0.0, ..BackoffSettings::default() },
            ..Settings::default()
        },
    );
    world.connect();
    world.attempt();
    let begun = world.now;
    world.now += ms(30_000);
    world.subchannel.on_deadline(world.now);
    assert_eq!(world.state(), "failed: connect to 10.0.0.1:1: no connection within 30.0s");
    assert_eq!(world.subchannel.next_deadline(), Some(begun + ms(30_000)));
}

#[test]
fn pass_goes_on_while_an_attempt_runs() {
    let mut world = World::new(&["10.0.0.1:1", "10.0.0.2:1"]);
    world.connect();
    world.attempt();
    world.advance(ms(250));
    assert!(world.attempt().is_some(), "both run now");
    world.fail("one refused");
    assert_eq!(world.state(), "connecting");
    world.fail("two refused");
    assert_eq!(world.state(), "failed: none of 2 addresses can be reached, the last failure: two refused");
}

#[test]
fn deadline_that_is_early_ends_no_attempt() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    world.attempt();
    let deadline = world.subchannel.next_deadline().unwrap();
    world.subchannel.on_deadline(deadline - Duration::from_nanos(1));
    assert_eq!(world.state(), "connecting");
    world.subchannel.on_deadline(deadline);
    assert!(world.state().contains("no connection within 20.0s"), "{}", world.state());

    // The second attempt waits for the driver's limits, however long that takes.
    let mut world = World::new(&["10.0.0.1:1", "10.0.0.2:1"]);
    world.connect();
    world.attempt();
    world.fail("refused");
    world.subchannel.on_deadline(world.now + ms(1_000_000));
    assert_eq!(world.state(), "connecting");
}

#[test]
fn attempts_wait_for_the_driver_without_a_deadline() {
    let mut world = World::new(&["10.0.0.1:1"]);
    world.connect();
    assert!(world.subchannel.wants_attempt());
    assert_eq!(world.subchannel.next_deadline(), None);
    world.now += ms(60_000);
    assert!(world.attempt().is_some(), "time in the queue is not time of the attempt");
    assert!(world.subchannel.next_deadline().unwrap() >= world.now + ms(20_000));
}

#[test]
fn extreme_settings_do_not_panic() {
    for (multiplier, jitter) in [(f64::NAN, f64::NAN), (-3.0, -1.0), (f64::INFINITY, 9.0), (0.0, 1.0)] {
        let backoff = BackoffSettings { multiplier, jitter, ..BackoffSettings::default() };
        let mut world = World::with(&["10.0.0.1:1"], Settings { backoff, ..Settings::default() });
        for _ in 0..5 {
            world.connect();
            world.attempt();
            world.fail("refused");
            world.advance(ms(300_000));
        }
    }
}
