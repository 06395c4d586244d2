//! Pick first.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{LbPolicy, LocalityPolicy};
use crate::policy::lb::pick_first::is_kept;
use crate::policy::lb::{Command, Connectivity, EndpointId, LbEndpoint, Pick};
use crate::shared::Changes;

use super::driver::{Driver, connect, disconnect, endpoint, locality, priorities, seconds, weigh};

const DELAY: Duration = Duration::from_millis(250);

fn driver() -> Driver {
    Driver::new(&LbPolicy::PickFirst { shuffle: false }, LocalityPolicy::Flat)
}

/// LB-69: the next endpoint after 250 ms or a failure; earlier attempts go on; the first that is ready wins.
#[test]
fn endpoints_are_tried_one_after_the_other() {
    let mut driver = driver();
    assert_eq!(driver.update(priorities(&[&[1, 2, 3, 4]])), connect(&[1]));
    driver.connecting(1);
    assert_eq!(driver.letter(), 'C');
    assert_eq!(driver.sleep(Duration::from_millis(249)), []);
    assert_eq!(driver.sleep(Duration::from_millis(1)), connect(&[2]), "after the delay");
    driver.connecting(2);
    assert_eq!(driver.failed(2), connect(&[3]), "at once after a failure");
    driver.connecting(3);
    assert_eq!(driver.failed(1), [], "only the latest attempt's failure counts");
    assert_eq!(driver.sleep(DELAY), connect(&[4]));
    assert_eq!(driver.ready(3), disconnect(&[1, 2, 4]));
    assert_eq!(driver.users(), [3]);
    assert_eq!(driver.sleep(seconds(60)), []);
}

#[test]
fn attempt_that_connects_after_the_selected_one_is_disconnected() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.sleep(DELAY);
    assert_eq!(driver.ready(2), disconnect(&[1]));
    assert_eq!(driver.ready(1), disconnect(&[1]));
    assert_eq!(driver.users(), [2]);
}

/// Failed when every endpoint has failed once, until one is ready; each is tried again as its backoff ends.
/// Proves: LB-71.
#[test]
fn failure_is_reported_from_the_last_failed_endpoint_until_one_is_ready() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    assert_eq!(driver.failed(1), connect(&[2]));
    assert_eq!(driver.letter(), 'C');
    assert_eq!(driver.idle(1), [], "not again in the same pass");
    assert_eq!(driver.failed(2), connect(&[1]), "the pass is over");
    assert_eq!(driver.letter(), 'F');
    assert!(driver.failure().contains("2 refused"));
    driver.connecting(1);
    assert_eq!(driver.letter(), 'F');
    assert_eq!(driver.idle(2), connect(&[2]));
    driver.report(1, Connectivity::TransientFailure("reset".into()));
    assert!(driver.failure().contains("reset"));
    driver.ready(2);
    assert_eq!(driver.users(), [2]);
}

/// Proves: LB-72.
#[test]
fn new_list_starts_a_new_pass() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.failed(1);
    assert_eq!(driver.update(priorities(&[&[1, 3]])), connect(&[3]), "1 is backing off");
    assert_eq!(driver.letter(), 'C');
    assert_eq!(driver.failed(3), []);
    assert_eq!(driver.letter(), 'F');
    assert_eq!(driver.update(priorities(&[&[4]])), connect(&[4]));
    assert_eq!(driver.letter(), 'F', "failed until one is ready");
    driver.ready(4);
    assert_eq!(driver.update(priorities(&[&[5, 4]])), []);
    assert_eq!(driver.users(), [4]);
    assert_eq!(driver.update(priorities(&[&[5, 6]])), connect(&[5]));
    assert_eq!(driver.letter(), 'C');
    driver.update(vec![]);
    assert_eq!(driver.letter(), 'F');
}

/// Idle when the connection is lost, and connected again by the next call.
/// Proves: LB-73.
#[test]
fn lost_connection_leads_to_idleness() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.ready(1);
    assert_eq!(driver.idle(1), []);
    assert_eq!(driver.letter(), 'I');
    assert!(matches!(driver.pick(), Pick::Wait(None)));
    assert_eq!(driver.update(priorities(&[&[2, 1]])), [], "an update connects no endpoint");
    assert_eq!(driver.exit_idle(), connect(&[2]));
    assert_eq!(driver.letter(), 'C');
    assert_eq!(driver.exit_idle(), []);
}

#[test]
fn attempt_that_ends_without_a_result_is_made_again() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.connecting(1);
    assert_eq!(driver.idle(1), connect(&[1]));
}

/// An attempt that began earlier fails last.
#[test]
fn pass_ends_with_the_failure_of_any_attempt() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    assert_eq!(driver.sleep(DELAY), connect(&[2]));
    let next = driver.balancer.next_deadline().unwrap();
    assert!(next > driver.now + DELAY, "there is no other endpoint to try");
    driver.failed(2);
    assert_eq!(driver.letter(), 'C');
    driver.failed(1);
    assert_eq!(driver.letter(), 'F');
    assert!(driver.failure().contains("1 refused"));
    driver.update(priorities(&[&[2]]));
    assert!(driver.failure().contains("2 refused"), "the error of an endpoint that stays");
}

#[test]
fn failure_of_another_endpoint_leaves_the_selected_one_alone() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.sleep(DELAY);
    driver.ready(1);
    driver.failed(2);
    assert_eq!(driver.users(), [1]);
}

/// LB-72: what an earlier pass began counts in the next one, in the endpoint's turn.
#[test]
fn attempts_of_an_earlier_pass_go_on() {
    let mut one = driver();
    one.update(priorities(&[&[1, 2]]));
    one.connecting(1);
    assert_eq!(one.update(priorities(&[&[2, 1]])), connect(&[2]));
    assert_eq!(one.idle(1), [], "it is not its turn");
    assert_eq!(one.sleep(DELAY), connect(&[1]));

    let mut failed = driver();
    failed.update(priorities(&[&[1, 2]]));
    failed.failed(1);
    failed.failed(2);
    assert_eq!(failed.idle(1), connect(&[1]));
    failed.connecting(1);
    assert_eq!(failed.update(priorities(&[&[1, 2, 3]])), [], "it connects already");
    assert_eq!(failed.sleep(DELAY), connect(&[3]), "the second one is backing off");
}

#[test]
fn endpoint_that_was_disconnected_is_tried_again() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.connecting(1);
    driver.sleep(DELAY);
    assert_eq!(driver.ready(2), disconnect(&[1]));
    driver.idle(2);
    assert_eq!(driver.exit_idle(), connect(&[1]));
}

/// Each picker wakes the calls that wait.
#[test]
fn attempt_that_changes_nothing_for_calls_leads_to_no_picker() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2, 3]]));
    type Step = fn(&mut Driver);
    let steps: [(Step, usize); 6] = [
        (|driver| _ = driver.connecting(1), 0),
        (|driver| _ = driver.failed(1), 0),
        (|driver| _ = (driver.failed(2), driver.failed(3)), 1),
        (|driver| _ = driver.idle(1), 0),
        (|driver| _ = driver.connecting(1), 0),
        (|driver| _ = driver.report(1, Connectivity::TransientFailure("reset".into())), 1),
    ];
    for (number, (step, expected)) in steps.into_iter().enumerate() {
        let before = driver.pickers;
        step(&mut driver);
        assert_eq!(driver.pickers - before, expected, "step {number}");
    }
}

#[test]
fn endpoint_is_kept_unless_it_is_removed_or_replaced() {
    let [one, two] = [1, 2].map(endpoint);
    let replaced = LbEndpoint { addresses: two.addresses.clone(), ..one.clone() };
    let rows: [(&[&LbEndpoint], &[&LbEndpoint], bool); 5] = [
        (&[], &[], true),
        (&[&two], &[], true),
        (&[&one], &[&two], false),
        (&[&one], &[&one], true),
        (&[&one], &[&replaced], false),
    ];
    for (number, (removed, added, expected)) in rows.into_iter().enumerate() {
        let changes = Changes { removed: removed.to_vec(), added: added.to_vec() };
        assert_eq!(is_kept(EndpointId(1), &changes), expected, "row {number}");
    }
}

/// Proves: LB-42.
#[test]
fn shuffled_endpoints_stand_first_as_often_as_their_weights_say() {
    let policy = LbPolicy::PickFirst { shuffle: true };
    let first = |seed: u64, weights: [u32; 3]| {
        let mut driver = Driver::new(&policy, LocalityPolicy::Flat);
        driver.rng = StdRng::seed_from_u64(seed);
        let mut listed = vec![vec![locality("a", 3, &[1, 2]), locality("b", 1, &[3])]];
        weigh(&mut listed[0][0], &weights[..2]);
        weigh(&mut listed[0][1], &weights[2..]);
        match driver.update(listed)[..] {
            [Command::Connect(id)] => id.0,
            ref other => panic!("{other:?}"),
        }
    };
    for (weights, expected) in [([1, 1, 1], [3_750, 3_750, 2_500]), ([2, 1, 9], [5_000, 2_500, 2_500])] {
        let mut counts = BTreeMap::new();
        for seed in 0..10_000 {
            *counts.entry(first(seed, weights)).or_insert(0_u32) += 1;
        }
        for (id, expected) in (1..).zip(expected) {
            assert!(counts[&id].abs_diff(expected) < 250, "{weights:?}: {counts:?}");
        }
    }
}
