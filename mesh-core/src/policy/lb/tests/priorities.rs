//! Failover between priorities (gRFC A56).

use std::time::Duration;

use proptest::prelude::*;

use crate::config::{LbPolicy, LocalityPolicy, RingHash};
use crate::policy::lb::{Command, EndpointId, Pick};

use super::driver::{Driver, connect, disconnect, locality, priorities, seconds};

/// Proves: LB-07, LB-13.
#[test]
fn lower_priority_is_started_when_needed_and_dropped_otherwise() {
    let mut driver = Driver::round_robin();
    assert_eq!(driver.update(priorities(&[&[1, 2], &[3], &[4]])), connect(&[1, 2]));
    driver.failed(1);
    assert_eq!(driver.failed(2), connect(&[3]), "the next one, not the one after it");
    driver.ready(3);
    assert_eq!(driver.users(), [3]);
    driver.ready(2);
    assert_eq!(driver.users(), [2], "all calls, although one of two endpoints is down");
    // the lower one stays connected for a while, and is used at once when it is needed
    driver.failed(2);
    assert_eq!(driver.users(), [3]);
}

/// LB-07: an idle priority is used, and connected by the next call.
#[test]
fn idle_priority_is_used() {
    let sizes = RingHash::new(16, 16);
    let mut driver = Driver::new(&LbPolicy::RingHash(sizes), LocalityPolicy::Flat);
    assert_eq!(driver.update(priorities(&[&[1], &[2]])), []);
    assert_eq!(driver.letter(), 'I');
    assert!(matches!(driver.pick(), Pick::Wait(Some(id)) if id.0 == 1));
    assert_eq!(driver.sleep(seconds(60)), [], "no failover from an idle priority");
}

/// Proves: LB-08.
#[test]
fn priority_has_ten_seconds_to_connect() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1], &[2]]));
    assert_eq!(driver.sleep(Duration::from_millis(9_999)), []);
    assert!(matches!(driver.pick(), Pick::Wait(_)));
    assert_eq!(driver.sleep(Duration::from_millis(1)), connect(&[2]), "from its creation");
    driver.ready(2);
    assert_eq!(driver.users(), [2]);
    driver.ready(1);
    assert_eq!(driver.users(), [1]);
    // lost after it was ready: it gets the time again, and calls wait
    driver.idle(1);
    assert_eq!(driver.letter(), 'C');
    driver.sleep(seconds(9));
    assert_eq!(driver.letter(), 'C');
    driver.sleep(seconds(1));
    assert_eq!(driver.users(), [2], "again ten seconds");
    // failed: no time is left, and none is given for connecting after a failure
    driver.failed(1);
    driver.idle(1);
    driver.connecting(1);
    assert_eq!(driver.users(), [2]);
    driver.ready(1);
    driver.idle(1);
    assert_eq!(driver.letter(), 'C');
    driver.failed(1);
    assert_eq!(driver.users(), [2], "a failure ends the timer");
}

/// LB-08: connecting after a failure, without having been ready, starts no timer.
#[test]
fn new_endpoints_in_a_failed_priority_do_not_make_calls_wait() {
    let mut driver = Driver::new(&LbPolicy::RoundRobin, LocalityPolicy::Flat);
    driver.update(priorities(&[&[1], &[2]]));
    driver.failed(1);
    driver.ready(2);
    driver.update(vec![vec![locality("z1", 1, &[1, 3])], vec![locality("z2", 1, &[2])]]);
    assert_eq!(driver.users(), [2], "connecting, but it failed before");
}

/// Proves: LB-09.
#[test]
fn connecting_or_last_priority_is_selected_when_none_is_usable() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1], &[2], &[3]]));
    driver.failed(1);
    driver.sleep(seconds(10));
    driver.failed(3);
    assert_eq!(driver.letter(), 'C', "the second is connecting still, though its time is over");
    driver.failed(2);
    assert_eq!(driver.letter(), 'F');
    assert!(driver.failure().contains("3 refused"), "the last one's error");
    driver.update_noted(vec![], Some("gone"));
    assert_eq!(driver.letter(), 'F');
    assert_eq!(driver.failure(), "there are no endpoints: gone");
}

/// Proves: LB-10.
#[test]
fn priority_that_is_not_needed_is_kept_for_a_quarter_of_an_hour() {
    let mut driver = Driver::round_robin();
    let listed = || priorities(&[&[1], &[2, 3]]);
    driver.update(listed());
    driver.failed(1);
    driver.ready(2);
    driver.failed(3);
    driver.ready(1);
    assert_eq!(driver.sleep(seconds(15 * 60 - 1)), []);
    assert_eq!(driver.users(), [1]);
    // needed once more: the time starts anew
    driver.failed(1);
    assert_eq!(driver.users(), [2]);
    driver.ready(1);
    assert_eq!(driver.sleep(seconds(15 * 60 - 1)), []);
    assert_eq!(driver.sleep(seconds(1)), disconnect(&[2, 3]));
    assert_eq!(driver.balancer.next_deadline(), None);
    // an update does not bring it back, a failure does
    assert_eq!(driver.update(listed()), []);
    assert_eq!(driver.failed(1), connect(&[2, 3]));
    driver.ready(3);
    assert_eq!(driver.users(), [3]);
    // what is no longer configured goes at once
    driver.update(priorities(&[&[1]]));
    assert_eq!(driver.letter(), 'F');
}

/// Proves: LB-11.
#[test]
fn priority_is_chosen_after_whole_update() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[1], &[2], &[3]]));
    driver.failed(1);
    driver.ready(2);
    // the endpoints change places: while only the first priority knew, a third one would seem to be needed
    assert_eq!(driver.update(priorities(&[&[2], &[1], &[3]])), connect(&[2, 1]), "no connection to 3");
    assert_eq!(driver.users(), [2]);
}

/// What A56 comes to when every priority has settled: the first that is ready, else the first that is connecting, else
/// the last.
fn naive(states: &[char]) -> usize {
    let first = |letter| states.iter().position(|state| *state == letter);
    first('R').or_else(|| first('C')).unwrap_or(states.len() - 1)
}

proptest! {
    /// LB-07 to LB-09: for any history the choice is the naive one, once all timers have ended.
    #[test]
    fn choice_depends_on_states_and_not_on_history(
        count in 1_u32..5,
        history in prop::collection::vec((1_u32..5, 0_u8..4, 0_u64..20), 0..40),
    ) {
        let mut driver = Driver::round_robin();
        let ids: Vec<_> = (1..=count).map(|id| [id]).collect();
        let mut commands = driver.update(priorities(&ids.iter().map(<[u32; 1]>::as_slice).collect::<Vec<_>>()));
        let mut states = vec!['C'; count as usize];
        for (id, event, pause) in history {
            let id = (id - 1) % count + 1;
            // an endpoint without a request for a connection has nothing to report
            if commands.contains(&Command::Connect(EndpointId(id))) {
                commands.extend(match event {
                    0 => driver.idle(id),
                    1 => driver.connecting(id),
                    2 => driver.ready(id),
                    _ => driver.failed(id),
                });
                let state = &mut states[id as usize - 1];
                *state = match (event, *state) {
                    (2, _) => 'R',
                    (3, _) | (_, 'F') => 'F',
                    _ => 'C',
                };
            }
            commands.extend(driver.sleep(seconds(pause)));
        }
        // at most ten seconds for each priority, one after the other
        driver.sleep(seconds(60));
        let chosen = naive(&states);
        prop_assert_eq!(driver.letter(), states[chosen], "{:?}", &states);
        match driver.pick() {
            Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => prop_assert_eq!(id.0 as usize, chosen + 1),
            Pick::Wait(_) => prop_assert_eq!(states[chosen], 'C'),
            Pick::Fail(reason) => {
                let is_of_chosen = reason.contains(&format!("{} refused", chosen + 1));
                prop_assert!(is_of_chosen, "{reason}");
            }
            Pick::Drop(_) => prop_assert!(false),
        }
    }
}
