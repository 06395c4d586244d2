//! What requests make of a subscription.

use crate::discovery::stream::subscription::{Subscription, Wildcard};

/// Requests in order, and what is subscribed after the last.
struct Row {
    name: &'static str,
    rule: Wildcard,
    requests: &'static [&'static [&'static str]],
    wildcard: bool,
    names: &'static [&'static str],
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn check(row: &Row, subscription: &Subscription) {
    let mut names: Vec<&str> = subscription.names().iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    assert_eq!((subscription.is_wildcard(), &names[..]), (row.wildcard, row.names), "{}", row.name);
}

fn check_whole(rows: &[Row]) {
    for row in rows {
        let mut subscription = Subscription::default();
        for request in row.requests {
            subscription.replace(&strings(request), row.rule, |name| name.into());
        }
        check(row, &subscription);
    }
}

/// A name with a `-` before it is unsubscribed.
fn check_changes(rows: &[Row]) {
    for row in rows {
        let mut subscription = Subscription::default();
        for request in row.requests {
            let (off, on): (Vec<&str>, Vec<&str>) = request.iter().partition(|name| name.starts_with('-'));
            let off: Vec<&str> = off.iter().map(|name| &name[1..]).collect();
            subscription.change(&strings(&on), &strings(&off), row.rule, |name| name.into());
        }
        check(row, &subscription);
    }
}

use Wildcard::{Known, Unknown};

/// Proves: CS-07, CS-08.
#[test]
fn wildcard_follows_the_protocol() {
    check_whole(&[
        Row { name: "explicit", rule: Known, requests: &[&["*"]], wildcard: true, names: &[] },
        Row { name: "first request empty", rule: Known, requests: &[&[]], wildcard: true, names: &[] },
        Row { name: "still never named", rule: Known, requests: &[&[], &[]], wildcard: true, names: &[] },
        Row { name: "empty after names", rule: Known, requests: &[&["a"], &[]], wildcard: false, names: &[] },
        Row { name: "empty after *", rule: Known, requests: &[&["*"], &[]], wildcard: false, names: &[] },
        Row {
            name: "empty, names, empty",
            rule: Known,
            requests: &[&[], &["a"], &[]],
            wildcard: false,
            names: &[],
        },
        Row { name: "names end it", rule: Known, requests: &[&[], &["a"]], wildcard: false, names: &["a"] },
        Row { name: "both", rule: Known, requests: &[&["a", "*"]], wildcard: true, names: &["a"] },
        Row {
            name: "both, then without *",
            rule: Known,
            requests: &[&["a", "*"], &["a"]],
            wildcard: false,
            names: &["a"],
        },
        Row {
            name: "a name twice",
            rule: Known,
            requests: &[&["a", "b"], &["b", "b"]],
            wildcard: false,
            names: &["b"],
        },
        Row { name: "no wildcard: empty", rule: Unknown, requests: &[&[]], wildcard: false, names: &[] },
        Row { name: "no wildcard: *", rule: Unknown, requests: &[&["*"]], wildcard: false, names: &["*"] },
    ]);
}

#[test]
fn delta_takes_changes() {
    check_changes(&[
        Row { name: "explicit", rule: Known, requests: &[&["*"]], wildcard: true, names: &[] },
        Row { name: "first request empty", rule: Known, requests: &[&[]], wildcard: true, names: &[] },
        Row {
            name: "empty is no change",
            rule: Known,
            requests: &[&["a"], &[]],
            wildcard: false,
            names: &["a"],
        },
        Row {
            name: "a name does not end the wildcard",
            rule: Known,
            requests: &[&[], &["a"]],
            wildcard: true,
            names: &["a"],
        },
        Row {
            name: "both, then without *",
            rule: Known,
            requests: &[&["a", "*"], &["-*"]],
            wildcard: false,
            names: &["a"],
        },
        Row {
            name: "both, then without the name",
            rule: Known,
            requests: &[&["a", "*"], &["-a"]],
            wildcard: true,
            names: &[],
        },
        Row {
            name: "phantoms",
            rule: Known,
            requests: &[&["a"], &["-b", "-*"]],
            wildcard: false,
            names: &["a"],
        },
        Row {
            name: "only phantoms at first",
            rule: Known,
            requests: &[&["-a"]],
            wildcard: false,
            names: &[],
        },
        Row {
            name: "added and removed at once stays",
            rule: Known,
            requests: &[&["a", "-a"]],
            wildcard: false,
            names: &["a"],
        },
        Row { name: "no wildcard: empty", rule: Unknown, requests: &[&[]], wildcard: false, names: &[] },
        Row { name: "no wildcard: *", rule: Unknown, requests: &[&["*"]], wildcard: false, names: &["*"] },
    ]);
}
