//! The priorities of an aggregate's leaves, one leaf's after the other's (gRFC A37).

use std::sync::Arc;

use crate::config::{ClusterSettings, LbPolicy, LocalityPolicy, RingHash};
use crate::policy::lb::{Command, LbPriority, LbUpdate, Pick};

use super::driver::{Driver, connect, disconnect, locality, seconds, settings};

const PICK_FIRST: LbPolicy = LbPolicy::PickFirst { shuffle: false };

/// A leaf: its name, its policy, and the endpoints of its priorities. Localities of different leaves have the same names.
struct Leaf(Arc<ClusterSettings>, Vec<Vec<u32>>);

fn leaf(name: &str, policy: &LbPolicy, priorities: &[&[u32]]) -> Leaf {
    let priorities = priorities.iter().map(|ids| ids.to_vec()).collect();
    Leaf(settings(name, policy, LocalityPolicy::Weighted), priorities)
}

fn round_robin(name: &str, priorities: &[&[u32]]) -> Leaf {
    leaf(name, &LbPolicy::RoundRobin, priorities)
}

/// A leaf whose endpoints are to be found out.
fn undiscovered(name: &str) -> LbPriority {
    let settings = settings(name, &LbPolicy::RoundRobin, LocalityPolicy::Weighted);
    LbPriority { is_discovered: false, ..LbPriority::new(settings, vec![locality("", 1, &[])]) }
}

fn discovered(name: &str, ids: &[u32]) -> LbPriority {
    LbPriority {
        is_discovered: true,
        ..LbPriority { localities: vec![locality("", 1, ids)], ..undiscovered(name) }
    }
}

fn aggregate(leaves: &[Leaf]) -> LbUpdate {
    let priorities = leaves.iter().flat_map(|Leaf(settings, priorities)| {
        let zones = (1..).zip(priorities).map(|(number, ids)| locality(&format!("z{number}"), 1, ids));
        zones.map(|zone| LbPriority::new(settings.clone(), vec![zone])).collect::<Vec<_>>()
    });
    LbUpdate { priorities: priorities.collect(), note: None }
}

fn selected(driver: &Driver) -> &str {
    driver.balancer.selected().map_or("", |name| name)
}

/// LB-03, LB-07, LB-08: each leaf's endpoints are used as the leaf says, and not before the leaves above have failed or had
/// ten seconds.
#[test]
fn leaves_are_made_one_after_the_other_each_with_its_policy() {
    let mut driver = Driver::round_robin();
    let leaves =
        [round_robin("a", &[&[1, 2], &[3]]), leaf("b", &PICK_FIRST, &[&[4, 5]]), round_robin("c", &[&[6]])];
    assert_eq!(driver.update_with(aggregate(&leaves)), connect(&[1, 2]));
    assert_eq!(driver.sleep(seconds(9)), []);
    assert!(matches!(driver.pick(), Pick::Wait(_)));
    assert_eq!(driver.sleep(seconds(1)), connect(&[3]), "the first leaf's second priority");
    assert_eq!(driver.failed(3), connect(&[4]), "pick_first tries one");
    assert_eq!((driver.letter(), selected(&driver)), ('C', "b"));
    driver.ready(4);
    assert_eq!(driver.users(), [4]);
    driver.ready(3);
    assert_eq!((driver.users(), selected(&driver)), (vec![3], "a"));
    driver.ready(1);
    driver.ready(2);
    assert_eq!(driver.users(), [1, 2]);
    // what is not needed is kept a while (LB-10)
    assert_eq!(driver.sleep(seconds(15 * 60)), disconnect(&[4, 3]));
    assert!(driver.balancer.needs("a"));
    assert!(!driver.balancer.needs("b") && !driver.balancer.needs("c"), "not needed yet");
}

/// LB-07: an idle leaf takes the calls.
#[test]
fn idle_leaf_is_used_and_no_lower_one_is_made() {
    let mut driver = Driver::round_robin();
    let ring = LbPolicy::RingHash(RingHash::new(16, 16));
    let leaves = [round_robin("a", &[&[1]]), leaf("b", &ring, &[&[2, 3]]), round_robin("c", &[&[4]])];
    driver.update_with(aggregate(&leaves));
    assert_eq!(driver.failed(1), [], "a ring connects what is picked");
    assert_eq!((driver.letter(), selected(&driver)), ('I', "b"));
    assert_eq!(driver.sleep(seconds(60)), []);
}

/// Proves: LB-12.
#[test]
fn connections_stay_with_their_leaf_when_other_leaves_change() {
    let mut driver = Driver::round_robin();
    let b = || round_robin("b", &[&[4], &[5]]);
    driver.update_with(aggregate(&[round_robin("a", &[&[1], &[2]]), b()]));
    driver.failed(1);
    driver.failed(2);
    driver.failed(4);
    driver.ready(5);
    assert_eq!(driver.users(), [5]);
    let steps: [(&str, Vec<Leaf>, Vec<Command>); 6] = [
        ("another priority above", vec![round_robin("a", &[&[1], &[2], &[3]]), b()], connect(&[3])),
        ("one priority above", vec![round_robin("a", &[&[1]]), b()], vec![]),
        (
            "a new leaf above",
            vec![round_robin("new", &[&[6]]), round_robin("a", &[&[1]]), b()],
            connect(&[6]),
        ),
        ("the other order", vec![b(), round_robin("new", &[&[6]]), round_robin("a", &[&[1]])], vec![]),
        ("a leaf without priorities", vec![round_robin("a", &[]), b()], vec![]),
        ("alone", vec![b()], vec![]),
    ];
    for (name, leaves, expected) in steps {
        assert_eq!(driver.update_with(aggregate(&leaves)), expected, "{name}");
        driver.failed(3);
        driver.failed(6);
        assert_eq!((driver.users(), selected(&driver)), (vec![5], "b"), "{name}");
    }
}

#[test]
fn policy_change_affects_only_its_leaf() {
    let mut driver = Driver::round_robin();
    let leaves = |policy: &LbPolicy| [leaf("a", policy, &[&[1, 2]]), round_robin("b", &[&[3]])];
    driver.update_with(aggregate(&leaves(&LbPolicy::RoundRobin)));
    driver.failed(1);
    driver.failed(2);
    driver.ready(3);
    driver.ready(1);
    driver.ready(2);
    assert_eq!(driver.users(), [1, 2]);
    let commands = driver.update_with(aggregate(&leaves(&PICK_FIRST)));
    assert_eq!(commands, [connect(&[1]), disconnect(&[2])].concat(), "the connection that it uses is kept");
    assert_eq!((driver.users(), selected(&driver)), (vec![1], "a"));
    // in a leaf that is not needed, nothing begins anew
    let changed = [leaf("a", &PICK_FIRST, &[&[1, 2]]), leaf("b", &PICK_FIRST, &[&[3]])];
    assert_eq!(driver.update_with(aggregate(&changed)), disconnect(&[3]));
    assert!(!driver.balancer.needs("b"));
    assert_eq!(driver.users(), [1]);
}

/// LB-08: the time that it takes to find endpoints counts.
#[test]
fn endpoints_are_discovered_when_needed_within_the_failover_time() {
    let mut driver = Driver::round_robin();
    let update = |priorities| LbUpdate { priorities, note: None };
    driver.update_with(update(vec![undiscovered("a"), undiscovered("b"), undiscovered("c")]));
    assert_eq!((driver.letter(), selected(&driver)), ('C', "a"));
    assert!(driver.balancer.needs("a") && !driver.balancer.needs("b"));
    assert!(matches!(driver.pick(), Pick::Wait(None)));
    driver.sleep(seconds(6));
    let commands =
        driver.update_with(update(vec![discovered("a", &[1]), undiscovered("b"), undiscovered("c")]));
    assert_eq!(commands, connect(&[1]));
    driver.sleep(seconds(4));
    assert!(driver.balancer.needs("b") && !driver.balancer.needs("c"));
    // the second has an answer before the first is connected, and the third is not needed
    let known = || vec![discovered("a", &[1]), discovered("b", &[2]), undiscovered("c")];
    assert_eq!(driver.update_with(update(known())), connect(&[2]));
    driver.ready(2);
    assert_eq!((driver.users(), driver.balancer.needs("c")), (vec![2], false));
    driver.ready(1);
    assert_eq!(driver.users(), [1]);
}

/// A name that cannot be looked up is a priority that has failed; when it has an answer, calls stay where they are until it
/// is connected.
#[test]
fn leaf_without_endpoints_is_skipped_until_connected() {
    let mut driver = Driver::round_robin();
    let update = |a, note: Option<&str>| LbUpdate {
        priorities: vec![a, discovered("b", &[2])],
        note: note.map(Into::into),
    };
    driver.update_with(update(undiscovered("a"), None));
    assert_eq!(driver.update_with(update(discovered("a", &[]), Some("no such host"))), connect(&[2]));
    driver.failed(2);
    assert_eq!(driver.failure(), "no endpoint is connected, the last error was: 2 refused; no such host");
    driver.idle(2);
    driver.ready(2);
    assert_eq!(driver.users(), [2]);
    assert_eq!(driver.update_with(update(discovered("a", &[1]), None)), connect(&[1]));
    assert_eq!(driver.users(), [2]);
    driver.ready(1);
    assert_eq!(driver.users(), [1]);
    // another name: its endpoints are not known, and calls wait for them
    driver.update_with(update(undiscovered("a"), None));
    assert_eq!((driver.letter(), selected(&driver)), ('C', "a"));
}
