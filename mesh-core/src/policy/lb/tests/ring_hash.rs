//! Ring hash: states, picks and connections. The ring itself is tested beside it.

use http::HeaderName;
use twox_hash::XxHash64;

use crate::config::{LbPolicy, LocalityPolicy, RingHash};
use crate::policy::lb::Pick;

use super::driver::{Driver, connect, endpoint, locality, priorities, weigh};

fn driver() -> Driver {
    let sizes = RingHash::new(1024, 4096);
    Driver::new(&LbPolicy::RingHash(sizes), LocalityPolicy::Flat)
}

/// The hash of an endpoint's first place on the ring: a call with it goes there.
fn place(id: u32) -> Option<u64> {
    Some(XxHash64::oneshot(0, format!("{}_0", endpoint(id).addresses.first()).as_bytes()))
}

/// Proves: LB-38.
#[test]
fn ring_state_stays_usable_after_one_failure() {
    let rows = [
        // states of endpoints as reported; `x` is idle after a failure
        ("", 'F'),
        ("I", 'I'),
        ("II", 'I'),
        ("C", 'C'),
        ("R", 'R'),
        ("F", 'F'),
        ("x", 'F'),
        ("CI", 'C'),
        ("RI", 'R'),
        ("RF", 'R'),
        ("RFFF", 'R'),
        ("FF", 'F'),
        ("FFC", 'F'),
        ("FFI", 'F'),
        ("FxC", 'F'),
        ("FC", 'C'),
        ("FI", 'C'),
        ("xI", 'C'),
        ("FCI", 'C'),
    ];
    for (states, expected) in rows {
        let mut driver = driver();
        let ids: Vec<u32> = (1..=states.len()).map(|id| id as u32).collect();
        driver.update(priorities(&[&ids]));
        for (id, state) in ids.iter().zip(states.chars()) {
            match state {
                'C' => _ = driver.connecting(*id),
                'R' => _ = driver.ready(*id),
                'F' => _ = driver.failed(*id),
                'x' => _ = (driver.failed(*id), driver.idle(*id)),
                _ => {}
            }
        }
        assert_eq!(driver.letter(), expected, "{states}");
    }
}

/// Proves: LB-39.
#[test]
fn first_unfailed_endpoint_of_ring_takes_the_call() {
    let mut driver = driver();
    assert_eq!(driver.update(priorities(&[&[1, 2, 3]])), [], "nothing is connected before a call needs it");
    assert!(matches!(driver.pick_by(place(1)), Pick::Wait(Some(id)) if id.0 == 1), "idle: connect it");
    driver.connecting(1);
    assert!(matches!(driver.pick_by(place(1)), Pick::Wait(None)), "connecting: wait");
    driver.ready(1);
    assert!(matches!(driver.pick_by(place(1)), Pick::Endpoint(id) if id.0 == 1));
    assert!(matches!(driver.pick_by(place(2)), Pick::Wait(Some(id)) if id.0 == 2));
    driver.ready(2);
    driver.failed(1);
    for id in [1, 3] {
        // failed: whichever comes next on the ring
        let next = driver.pick_by(place(id));
        assert!(matches!(next, Pick::Endpoint(id) if id.0 == 2) || matches!(next, Pick::Wait(_)), "{next:?}");
    }
    driver.ready(3);
    assert!(matches!(driver.pick_by(place(1)), Pick::Endpoint(id) if id.0 != 1));
    for id in 1..=3 {
        driver.failed(id);
    }
    for id in 1..=3 {
        match driver.pick_by(place(id)) {
            Pick::Fail(reason) => assert!(reason.contains(&format!("{id} refused")), "{id}: {reason}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Proves: LB-40.
#[test]
fn failure_connects_one_idle_endpoint_without_a_call() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2, 3, 4]]));
    driver.connecting(3);
    assert_eq!(driver.failed(3), connect(&[1]), "one failed and none is connecting");
    driver.connecting(1);
    assert_eq!(driver.failed(1), connect(&[2]));
    assert_eq!(driver.idle(3), connect(&[3]), "failed ones are tried again as their backoff ends");
    assert_eq!(driver.letter(), 'F');
    assert_eq!(driver.update(priorities(&[&[1, 2, 3, 4, 5]])), [], "2 is being connected already");
    driver.ready(2);
    assert_eq!(driver.letter(), 'R');
    assert_eq!(driver.idle(2), connect(&[2]), "lost while two have failed");
}

#[test]
fn lost_connection_is_remade_by_next_call_while_ready() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2]]));
    driver.ready(1);
    driver.ready(2);
    assert_eq!(driver.idle(1), []);
    assert_eq!(driver.idle(2), []);
    assert_eq!(driver.letter(), 'I');
    assert_eq!(driver.exit_idle(), connect(&[1]));
    assert_eq!(driver.exit_idle(), []);
}

/// Proves: RT-73.
#[test]
fn calls_without_a_hash_go_to_random_endpoints() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2, 3, 4]]));
    (1..=4).for_each(|id| _ = driver.ready(id));
    let shares = driver.shares(40_000);
    assert!(shares.len() == 4 && shares.values().all(|share| *share > 7_000), "{shares:?}");
}

/// Proves: LB-37.
#[test]
fn shares_of_the_ring_are_locality_weight_times_endpoint_weight() {
    let mut driver = driver();
    let mut listed = vec![vec![locality("a", 3, &[1, 2]), locality("b", 1, &[3])]];
    weigh(&mut listed[0][0], &[2]);
    weigh(&mut listed[0][1], &[100]);
    driver.update(listed);
    (1..=3).for_each(|id| _ = driver.ready(id));
    // 3/4 of all in two thirds and one third, 1/4
    for (id, share) in driver.shares(100_000) {
        let expected = [0, 50_000, 25_000, 25_000][id as usize];
        assert!(share.abs_diff(expected) < 5_000, "{id}: {share}");
    }
}

#[test]
fn failed_endpoint_moves_its_own_calls_and_no_others() {
    let mut driver = driver();
    driver.update(priorities(&[&[1, 2, 3, 4, 5]]));
    (1..=5).for_each(|id| _ = driver.ready(id));
    let calls = |driver: &mut Driver| {
        let call = |number: u64| match driver.pick_by(Some(XxHash64::oneshot(0, &number.to_le_bytes()))) {
            Pick::Endpoint(id) => id.0,
            other => panic!("{other:?}"),
        };
        (0..1_000).map(call).collect::<Vec<_>>()
    };
    let before = calls(&mut driver);
    driver.failed(5);
    let after = calls(&mut driver);
    assert!(before.contains(&5) && !after.contains(&5));
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == 5));
    driver.ready(5);
    assert_eq!(calls(&mut driver), before, "and takes them back");
}

fn driver_by_header() -> Driver {
    let ring = RingHash::new(1024, 4096).with_request_hash_header(HeaderName::from_static("k"));
    Driver::new(&LbPolicy::RingHash(ring), LocalityPolicy::Flat)
}

/// Case C19.
///
/// Proves: LB-41.
#[test]
fn values_of_request_hash_header_are_joined() {
    let mut driver = driver_by_header();
    let ids: Vec<u32> = (1..=50).collect();
    driver.update(priorities(&[&ids]));
    ids.iter().for_each(|id| _ = driver.ready(*id));
    let mut other = 0;
    for number in 0..50 {
        let (a, b) = (format!("a{number}"), format!("b{number}"));
        let (joined, reversed) = (format!("{a},{b}"), format!("{b},{a}"));
        let mut endpoint = |values: &[&str]| match driver.pick_with("k", values) {
            Pick::Endpoint(id) => id.0,
            other => panic!("{other:?}"),
        };
        let expected = endpoint(&[&a, &b]);
        assert_eq!(endpoint(&[&joined]), expected);
        assert_eq!(endpoint(&[&b, &a]), endpoint(&[&reversed]));
        other += usize::from(endpoint(&[&b, &a]) != expected);
    }
    assert!(other > 25, "another order is another key: {other}");
    let hash = XxHash64::oneshot(0, b"a,b");
    let key = driver.pick_with("k", &["a", "b"]);
    let mut by_route = self::driver();
    by_route.update(priorities(&[&ids]));
    ids.iter().for_each(|id| _ = by_route.ready(*id));
    assert_eq!(format!("{key:?}"), format!("{:?}", by_route.pick_by(Some(hash))));
}

/// A76: without the header a ready endpoint is taken, and at most one is connected.
///
/// Proves: LB-41.
#[test]
fn call_without_request_hash_header_takes_a_ready_endpoint() {
    let mut driver = driver_by_header();
    driver.update(priorities(&[&[1, 2, 3, 4]]));
    let Pick::Wait(Some(idle)) = driver.pick() else { panic!("all are idle") };
    driver.connecting(idle.0);
    for _ in 0..100 {
        assert!(matches!(driver.pick(), Pick::Wait(None)), "one is being connected");
    }
    driver.ready(idle.0);
    let (mut connects, mut plain) = (0, 0);
    for _ in 0..1_000 {
        match driver.pick() {
            Pick::Endpoint(id) => plain += usize::from(id == idle),
            Pick::EndpointInstead { endpoint, idle: other } => {
                assert!(endpoint == idle && other != idle);
                connects += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        connects > 500 && plain > 100,
        "most begin at one of the three that are idle: {connects}, {plain}"
    );
    let next = (1..=4).find(|id| *id != idle.0).unwrap();
    driver.connecting(next);
    assert!((0..1_000).all(|_| matches!(driver.pick(), Pick::Endpoint(id) if id == idle)));
    assert!(matches!(driver.pick_with("k", &["a"]), Pick::Endpoint(_) | Pick::Wait(_)), "by its hash");
    (1..=4).for_each(|id| _ = driver.failed(id));
    assert!(matches!(driver.pick(), Pick::Fail(_)));
}
