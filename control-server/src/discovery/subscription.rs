//! Which resources of one type a client has asked for: names and the wildcard.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The current subscription of one type on one stream.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    names: BTreeSet<Arc<str>>,
    wildcard: bool,
    ever_named: bool,
}

/// Whether a type knows the wildcard: only LDS and CDS do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcard {
    Known,
    Unknown,
}

/// Whether a request has turned the wildcard on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    On,
    No,
}

impl Subscription {
    /// Takes the names of a request, which are always the full set (TR-09).
    pub(super) fn update(&mut self, names: &[String], rule: Wildcard) -> Turned {
        let explicit = names.iter().any(|name| name == "*");
        // CS-07: an empty list is the wildcard only while no request of this type had names on this stream.
        let implicit = names.is_empty() && !self.ever_named;
        // CS-08: without `*` among the names the wildcard ends, however it began.
        let wildcard = rule == Wildcard::Known && (explicit || implicit);
        let turned = if wildcard && !self.wildcard { Turned::On } else { Turned::No };
        self.ever_named |= !names.is_empty();
        self.wildcard = wildcard;
        let named = |name: &&String| rule == Wildcard::Unknown || name.as_str() != "*";
        let names = names.iter().filter(named);
        // Names that stay keep their allocation.
        self.names = names
            .map(|name| self.names.get(name.as_str()).cloned().unwrap_or_else(|| Arc::from(name.as_str())))
            .collect();
        turned
    }

    pub(super) fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests in order, and what is subscribed after the last.
    struct Row {
        name: &'static str,
        rule: Wildcard,
        requests: &'static [&'static [&'static str]],
        wildcard: bool,
        names: &'static [&'static str],
    }

    fn check(rows: &[Row]) {
        for row in rows {
            let mut subscription = Subscription::default();
            for request in row.requests {
                let names: Vec<String> = request.iter().map(ToString::to_string).collect();
                subscription.update(&names, row.rule);
            }
            let names: Vec<&str> = subscription.names().iter().map(AsRef::as_ref).collect();
            assert_eq!((subscription.is_wildcard(), &names[..]), (row.wildcard, row.names), "{}", row.name);
        }
    }

    /// Proves: CS-07, CS-08.
    #[test]
    fn wildcard_follows_the_protocol() {
        use Wildcard::{Known, Unknown};
        check(&[
            Row { name: "explicit", rule: Known, requests: &[&["*"]], wildcard: true, names: &[] },
            Row { name: "first request empty", rule: Known, requests: &[&[]], wildcard: true, names: &[] },
            Row { name: "still never named", rule: Known, requests: &[&[], &[]], wildcard: true, names: &[] },
            Row {
                name: "empty after names",
                rule: Known,
                requests: &[&["a"], &[]],
                wildcard: false,
                names: &[],
            },
            Row { name: "empty after *", rule: Known, requests: &[&["*"], &[]], wildcard: false, names: &[] },
            Row {
                name: "empty, names, empty",
                rule: Known,
                requests: &[&[], &["a"], &[]],
                wildcard: false,
                names: &[],
            },
            Row {
                name: "names end it",
                rule: Known,
                requests: &[&[], &["a"]],
                wildcard: false,
                names: &["a"],
            },
            Row { name: "both", rule: Known, requests: &[&["a", "*"]], wildcard: true, names: &["a"] },
            Row {
                name: "both, then without *",
                rule: Known,
                requests: &[&["a", "*"], &["a"]],
                wildcard: false,
                names: &["a"],
            },
            Row { name: "no wildcard: empty", rule: Unknown, requests: &[&[]], wildcard: false, names: &[] },
            Row {
                name: "no wildcard: *",
                rule: Unknown,
                requests: &[&["*"]],
                wildcard: false,
                names: &["*"],
            },
        ]);
    }
}
