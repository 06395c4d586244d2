//! Priorities that move around.

use crate::policy::lb::{Command, LbLocality};

use super::driver::{Driver, connect, disconnect, locality};

type Zones = &'static [&'static [(&'static str, u32)]];

fn priorities(zones: Zones) -> Vec<Vec<LbLocality>> {
    let zone = |(zone, id): &(&str, u32)| locality(zone, 1, &[*id]);
    zones.iter().map(|zones| zones.iter().map(zone).collect()).collect()
}

/// Proves: LB-12.
#[test]
fn connections_follow_localities_from_priority_to_priority() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[("a", 1)], &[("b", 2)]]));
    driver.failed(1);
    driver.ready(2);
    assert_eq!(driver.users(), [2], "the second priority is in use");
    // 1 and 2 keep their state in each step; what is connected anew is told
    let steps: [(&str, Zones, Vec<Command>); 7] = [
        ("swapped", &[&[("b", 2)], &[("a", 1)]], vec![]),
        ("swapped back", &[&[("a", 1)], &[("b", 2)]], vec![]),
        ("a new failed one in between", &[&[("a", 1)], &[("c", 3)], &[("b", 2)]], connect(&[3])),
        ("joined by another locality", &[&[("a", 1)], &[("c", 3)], &[("d", 4), ("b", 2)]], connect(&[4])),
        ("merged", &[&[("a", 1), ("c", 3), ("b", 2)]], vec![]),
        ("split", &[&[("c", 3)], &[("b", 2)], &[("a", 1)]], vec![]),
        ("under another name", &[&[("c", 3)], &[("x", 2)], &[("a", 1)]], vec![]),
    ];
    for (name, zones, expected) in steps {
        let commands = driver.update(priorities(zones));
        let connected: Vec<_> = expected.iter().filter(|command| !commands.contains(command)).collect();
        assert!(connected.is_empty(), "{name}: {commands:?} lacks {connected:?}");
        assert!(!commands.contains(&disconnect(&[2])[0]), "{name}: lost its connection: {commands:?}");
        driver.failed(3);
        driver.failed(4);
        assert_eq!(driver.users(), [2], "{name}");
    }
}

#[test]
fn removed_priority_keeps_no_connection() {
    let mut driver = Driver::round_robin();
    driver.update(priorities(&[&[("a", 1)], &[("b", 2)]]));
    driver.failed(1);
    driver.ready(2);
    driver.ready(1);
    // 2 is moved to a priority that has not been needed yet
    let commands = driver.update(priorities(&[&[("a", 1)], &[("new", 3)], &[("other", 2)]]));
    assert_eq!(commands, disconnect(&[2]));
    assert_eq!(driver.users(), [1]);
    // and is connected again when it is needed
    driver.failed(1);
    assert_eq!(driver.failed(3), connect(&[2]));
}
