//! The incremental variant, as tables.

use ResourceKind::{Cluster as Cds, Endpoints as Eds};

use super::{Client, Protocol, Row};
use crate::discovery::SyncState;
use crate::discovery::stream::{Event, Outcome};
use crate::resources::ResourceKind;

fn check(rows: &[Row]) {
    super::check(Protocol::Delta, rows);
}

#[test]
fn only_what_has_changed_is_sent() {
    check(&[
        (
            "a change among many, of a full-state type too",
            "config cds a=1, cds b=1, eds a=1, eds b=1; ask cds a b; ask eds a b; sends cds a=1 b=1 / eds a=1 b=1;
             ack cds; ack eds; config cds a=2, cds b=1, eds a=1, eds b=2; sends cds a=2 / eds b=2;
             ack cds; ack eds; sends nothing",
        ),
        (
            "one more name does not bring the others along",
            "config cds a=1, cds b=1; ask cds a; sends cds a=1; ack cds; ask cds b; sends cds b=1",
        ),
        (
            "revisions while one is unanswered become one",
            "config eds a=1, eds b=1; ask eds a b; sends eds a=1 b=1;
             config eds a=2, eds b=1; config eds a=3, eds b=1; sends nothing;
             config eds a=4, eds b=2; sends nothing; ack eds; sends eds a=4 b=2;
             config eds a=5, eds b=2; config eds a=4, eds b=2; ack eds; sends nothing",
        ),
        (
            "an empty request changes nothing",
            "config cds a=1; ask cds a; sends cds a=1; ack cds; ask cds; sends nothing; config cds a=2; sends cds a=2",
        ),
    ]);
}

#[test]
fn presented_versions_are_not_sent_again() {
    check(&[
        (
            "all of it is current: an answer without content",
            "config cds a=1, eds a=1; ask cds *; ask eds a; sends cds a=1 / eds a=1; ack cds; ack eds;
             reopen; ask cds *; ask eds a; sends cds / eds; ack cds; ack eds; sends nothing;
             config cds a=2, eds a=1; sends cds a=2",
        ),
        (
            "what changed meanwhile",
            "config eds a=1, eds b=1; ask eds a b; sends eds a=1 b=1; ack eds;
             config eds a=1, eds b=2; reopen; ask eds a b; sends eds b=2",
        ),
        (
            "what was refused is not held",
            "config eds a=1; ask eds a; sends eds a=1; nack eds; reopen; ask eds a; sends eds a=1",
        ),
        (
            "what vanished meanwhile is removed last",
            "config cds a=1, cds b=1; ask cds *; sends cds a=1 b=1; ack cds;
             config cds b=1; reopen; ask cds *; sends cds; ack cds; wait 999; sends nothing; wait 1; sends cds !a;
             ack cds; wait 60000; sends nothing",
        ),
        (
            "before there are resources",
            "ask cds *; sends nothing; config cds a=1; sends cds a=1; ack cds; config; reopen;
             ask cds *; sends cds; ack cds; wait 1000; sends cds !a",
        ),
    ]);
}

/// Proves: CS-11.
#[test]
fn subscriptions_hold_whatever_the_nonce() {
    check(&[
        (
            "a stale nonce answers nothing and subscribes all the same",
            "config eds a=1, eds b=1, eds c=1; ask eds a; sends eds a=1; ack eds; config eds a=2, eds b=1, eds c=1;
             sends eds a=2; ask eds b nonce=1; sends nothing; ack eds; sends eds b=1;
             ack eds; ask eds -a nonce=1; config eds a=3, eds b=1; sends nothing",
        ),
        (
            "phantom unsubscribes are no-ops",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; ask eds -b -c; sends nothing; ask cds -x; sends nothing",
        ),
        (
            "subscribing again sends it again",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; ask eds a; sends eds a=1",
        ),
        (
            "unsubscribed and subscribed again",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; ask eds -a; sends nothing;
             config eds a=2; sends nothing; ask eds a; sends eds a=2",
        ),
        (
            "unsubscribed and subscribed in one request",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; ask eds a -a; sends eds a=1",
        ),
    ]);
}

/// Proves: CS-12.
#[test]
fn absent_names_are_reported_as_removed() {
    check(&[
        (
            "alone, beside one that exists, and once",
            "config eds b=1; ask eds a; sends eds !a; ack eds; sends nothing; ask eds b c; sends eds b=1 !c; ack eds;
             config eds b=1, eds c=1; sends eds c=1",
        ),
        ("before there are resources", "ask eds a; sends nothing; config; sends eds !a"),
        ("appears before it was told", "config; ask eds a; config eds a=1; sends eds a=1"),
        (
            "asked for again while its removal waits",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; config; sends nothing; ask eds a; sends eds !a;
             ack eds; wait 60000; sends nothing",
        ),
    ]);
}

/// Proves: CS-13.
#[test]
fn unsubscribing_beside_the_wildcard_is_answered() {
    check(&[
        (
            "it exists",
            "config cds a=1, cds b=1; ask cds * a; sends cds a=1 b=1; ack cds; ask cds -a; sends cds a=1; ack cds;
             config cds a=2, cds b=1; sends cds a=2",
        ),
        (
            "it does not exist",
            "config cds b=1; ask cds * a; sends cds b=1 !a; ack cds; ask cds -a; sends cds !a",
        ),
        (
            "the wildcard goes and the name stays",
            "config cds a=1, cds b=1; ask cds * a; sends cds a=1 b=1; ack cds; ask cds -*; sends nothing;
             config cds a=1, cds b=2; sends nothing; config cds a=2, cds b=2; sends cds a=2",
        ),
    ]);
}

#[test]
fn wildcards_are_answered() {
    check(&[
        (
            "the empty first request",
            "config lds a=1; ask lds; sends lds a=1; ack lds; config lds a=1, lds b=1; sends lds b=1;
             ack lds; ask lds; sends nothing",
        ),
        ("even if there is nothing", "config; ask cds *; sends cds; ack cds; sends nothing"),
        (
            "a name beside it is sent again",
            "config cds a=1; ask cds; sends cds a=1; ack cds; ask cds a; sends cds a=1",
        ),
        ("not for EDS and RDS", "config eds a=1, rds a=1; ask eds; sends nothing; ask rds *; sends rds !*"),
    ]);
}

#[test]
fn removals_come_last() {
    check(&[
        (
            "of every type, once",
            "config cds a=1, eds a=1, rds r=1; ask cds *; ask eds a; ask rds r; sends cds a=1 / eds a=1 / rds r=1;
             ack cds; ack eds; ack rds; config cds b=1, rds r=2; sends cds b=1; ack cds; sends rds r=2;
             wait 2000; sends nothing; ack rds; wait 1000; sends eds !a; ack eds; wait 1000; sends cds !a; ack cds;
             wait 60000; sends nothing",
        ),
        (
            "a client that unsubscribes in time gets no removal",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; config; ask eds -a; wait 60000; sends nothing",
        ),
        (
            "back before the removal was due",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; config; wait 500; config eds a=1; wait 60000; sends nothing",
        ),
        (
            "back after it",
            "config eds a=1; ask eds a; sends eds a=1; ack eds; config; wait 1000; sends eds !a; ack eds;
             config eds a=1; sends eds a=1",
        ),
    ]);
}

/// Proves: CS-09.
#[test]
fn waiting_change_is_counted_once() {
    check(&[(
        "a name is subscribed first",
        "config eds a=1, eds b=1, rds r=1; ask eds a; ask rds r; sends eds a=1 / rds r=1; ack rds; ask eds b;
         config eds a=2, eds b=1, rds r=2; sends nothing; ack eds; sends eds a=2 b=1; ack eds; sends rds r=2",
    )]);
}

#[test]
fn refused_content_is_not_sent_again_until_it_changes() {
    check(&[(
        "among others",
        "config eds a=1, eds b=1; ask eds a b; sends eds a=1 b=1; ack eds; config eds a=2, eds b=1; sends eds a=2;
         nack eds; sends nothing; wait 60000; sends nothing; config eds a=2, eds b=2; sends eds b=2; ack eds;
         sends nothing; config eds a=3, eds b=2; sends eds a=3; nack eds; config eds a=1, eds b=2; sends eds a=1",
    )]);
    let mut client = Client::new(Protocol::Delta);
    client.configure(&["cds a=1", "eds a=1"]);
    client.ask(Cds, &["a"]);
    client.sends();
    assert_eq!(client.nack(Cds), Event::Request(Cds, Outcome::Nacked { reason: "no".to_owned() }));
    assert_eq!((client.status()[0].state, &*client.status()[0].reason), (SyncState::Nacked, "no"));
    assert_eq!(client.nack(Cds), Event::Request(Cds, Outcome::Subscribed), "there is nothing left to refuse");
    client.of(Cds).nonce = "0".to_owned();
    assert_eq!(client.ack(Cds), Event::Request(Cds, Outcome::Stale));
    client.ask(Eds, &["a"]);
    client.sends();
    assert!(matches!(client.ack(Eds), Event::Request(Eds, Outcome::Acked { .. })));
}
