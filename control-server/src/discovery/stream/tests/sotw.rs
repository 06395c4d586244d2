//! State of the world, as tables.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::discovery::v3::DiscoveryRequest;

use ResourceKind::{Cluster as Cds, Endpoints as Eds, Listener as Lds, Route as Rds};

use super::{Client, Protocol, Row};
use crate::discovery::SyncState;
use crate::discovery::stream::{Event, Limits, Outcome, Pacing, Stream};
use crate::resources::ResourceKind;

fn check(rows: &[Row]) {
    super::check(Protocol::Sotw, rows);
}

/// Proves: CS-01.
#[test]
fn stale_nonces_are_ignored() {
    check(&[
        (
            "a request with an old nonce changes nothing",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ack eds; config eds a=2, eds b=1; sends eds a=2;
             ask eds a b nonce=1; sends nothing;
             ack eds; sends eds b=1",
        ),
        (
            "an empty nonce is an initial request, even while a response is on its way",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ask eds a b nonce=; sends nothing;
             ack eds; sends eds b=1",
        ),
        (
            "the first request of a stream may carry a nonce of an earlier one",
            "config eds a=1; ask eds a nonce=77; sends eds a=1",
        ),
    ]);
    let mut client = Client::new(Protocol::Sotw);
    client.configure(&["cds a=1", "eds a=1", "lds a=1"]);
    for kind in [Cds, Eds, Lds] {
        client.ask(kind, &["a"]);
    }
    let set = client.set.clone().unwrap();
    let nonces: HashSet<_> = std::iter::from_fn(|| client.stream.next_response(client.now, &set))
        .map(|response| response.nonce)
        .collect();
    assert_eq!(nonces.len(), 3, "nonces are unique on a stream, across types");
    client.of(Cds).nonce = "0".to_owned();
    assert_eq!(client.nack(Cds), Event::Request(Cds, Outcome::Stale), "not taken for a NACK");
}

/// Proves: CS-02.
#[test]
fn error_detail_alone_makes_a_nack() {
    let mut client = Client::new(Protocol::Sotw);
    client.configure(&["cds a=1"]);
    client.ask(Cds, &["a"]);
    client.sends();
    client.of(Cds).version = client.of(Cds).last.clone();
    let refused = Event::Request(Cds, Outcome::Nacked { reason: "no".to_owned() });
    assert_eq!(client.nack(Cds), refused, "with the version of the response");
    assert_eq!(client.status()[0].state, SyncState::Nacked);
    assert_eq!(client.status()[0].reason, "no");
    client.configure(&["cds a=2"]);
    client.sends();
    client.of(Cds).last = "some other version".to_owned();
    assert!(matches!(client.ack(Cds), Event::Request(Cds, Outcome::Acked { .. })), "whatever the version");
    assert_eq!(client.status()[0].state, SyncState::Synced);
}

/// Proves: CS-03.
#[test]
fn newly_subscribed_names_are_sent_again() {
    check(&[
        (
            "unsubscribed and subscribed again",
            "config rds a=1; ask rds a; sends rds a=1;
             ack rds; ask rds; sends nothing;
             ask rds a; sends rds a=1",
        ),
        (
            "a current version on a new stream",
            "config cds a=1, eds a=1; ask cds a; ask eds a; sends cds a=1 / eds a=1;
             ack cds; ack eds; reopen; ask cds a; ask eds a; sends cds a=1 / eds a=1",
        ),
        (
            "one more name: only that one for a partial type",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ack eds; ask eds a b; sends eds b=1",
        ),
    ]);
}

/// Proves: CS-04.
#[test]
fn full_state_types_are_sent_whole_and_others_in_part() {
    check(&[
        (
            "a change among many",
            "config cds a=1, cds b=1, cds c=1, eds a=1, eds b=1, lds a=1, lds b=1, rds a=1, rds b=1; ask cds a b; ask eds a b; ask lds a b; ask rds a b; sends cds a=1 b=1 / eds a=1 b=1 / lds a=1 b=1 / rds a=1 b=1;
             ack cds; ack eds; ack lds; ack rds; config cds a=2, cds b=1, cds c=2, eds a=2, eds b=1, lds a=2, lds b=1, rds a=2, rds b=1; sends cds a=2 b=1 / eds a=2;
             ack cds; ack eds; sends lds a=2 b=1 / rds a=2",
        ),
        (
            "one more name brings the others along",
            "config cds a=1, cds b=1; ask cds a; sends cds a=1;
             ack cds; ask cds a b; sends cds a=1 b=1",
        ),
        (
            "a resource that was not asked for is not sent",
            "config cds a=1; ask cds a; sends cds a=1;
             ack cds; config cds a=1, cds z=1; sends nothing",
        ),
    ]);
}

/// Proves: CS-05.
#[test]
fn unchanged_content_is_never_sent_again() {
    check(&[
        (
            "after an ACK",
            "config eds a=1; ask eds a; sends eds a=1;
             ack eds; sends nothing;
             ack eds; sends nothing;
             config eds a=1; sends nothing",
        ),
        (
            "after a NACK, until the content changes",
            "config cds a=1; ask cds a; sends cds a=1;
             nack cds; sends nothing;
             wait 60000; sends nothing;
             nack cds; config cds a=1, eds a=1; sends nothing;
             config cds a=2; sends cds a=2",
        ),
        (
            "a name that goes and comes back unchanged, partial type",
            "config eds a=1; ask eds a; sends eds a=1;
             ack eds; config; wait 60000; sends nothing;
             config eds a=1; sends nothing",
        ),
    ]);
}

/// Proves: CS-06, CS-14.
#[test]
fn absent_resources_are_sent_when_they_appear() {
    let rows: [Row; 2] = [
        (
            "full state",
            "config; ask lds a; sends lds !a;
             ack lds; config lds z=1; sends nothing;
             config lds a=1; sends lds a=1",
        ),
        (
            "partial, beside one that exists",
            "config eds b=1; ask eds a b; sends eds b=1 !a;
             ack eds; config eds a=1, eds b=1; sends eds a=1",
        ),
    ];
    check(&rows);
    let mut client = Client::new(Protocol::Sotw);
    client.configure(&[]);
    client.ask(Lds, &["a"]);
    client.sends();
    client.ack(Lds);
    let status = &client.status()[0];
    assert_eq!((status.state, &status.missing[..]), (SyncState::Missing, &["a".to_owned()][..]));
}

#[test]
fn wildcards_are_answered() {
    check(&[
        (
            "everything, and what comes later",
            "config cds a=1, cds b=1; ask cds; sends cds a=1 b=1;
             ack cds; config cds a=1, cds b=1, cds c=1; sends cds a=1 b=1 c=1",
        ),
        (
            "even if there is nothing",
            "config; ask lds *; sends lds;
             ack lds; sends nothing",
        ),
        (
            "even if all of it is held by name",
            "config cds a=1; ask cds a; sends cds a=1;
             ack cds; ask cds a *; sends cds a=1;
             ack cds; ask cds a; sends nothing;
             config cds a=1, cds b=1; sends nothing",
        ),
        ("not for EDS and RDS", "config eds a=1, rds a=1; ask eds; ask rds *; sends rds !*"),
    ]);
}

/// Proves: CS-09.
#[test]
fn clusters_precede_listeners_and_removals_follow() {
    check(&[
        (
            "one revision, all types: in order, whatever the order of the subscriptions",
            "config cds a=1, eds a=1, lds a=1, rds a=1; ask rds a; ask lds a; ask eds a; ask cds a; sends cds a=1 / eds a=1 / lds a=1 / rds a=1",
        ),
        (
            "a type that waits for an answer holds back the later ones",
            "config cds a=1, rds a=1; ask cds a; ask rds a; sends cds a=1 / rds a=1;
             ack rds; config cds a=2, rds a=2; sends nothing;
             ack cds; sends cds a=2; ack cds; sends rds a=2",
        ),
        (
            "a route to a new cluster waits until the client has that, and its endpoints",
            "config cds a=1, eds a=1, rds r=1; ask cds *; ask eds a; ask rds r; sends cds a=1 / eds a=1 / rds r=1;
             ack cds; ack eds; ack rds; config cds a=1, cds b=1, eds a=1, eds b=1, rds r=2; sends cds a=1 b=1;
             ask eds a b; sends eds b=1; ack eds; sends nothing;
             ack cds; sends rds r=2",
        ),
        (
            "as long as patience lasts",
            "config cds a=1, lds l=1; ask cds *; ask lds l; sends cds a=1 / lds l=1;
             ack cds; ack lds; config cds a=2, lds l=2; sends cds a=2; wait 4999; sends nothing; wait 1; sends lds l=2",
        ),
        (
            "endpoints do not wait for clusters: a client may warm a cluster before it answers",
            "config cds a=1, eds a=1; ask cds *; ask eds a; sends cds a=1 / eds a=1;
             ack cds; ack eds; config cds a=2, eds a=2; sends cds a=2 / eds a=2",
        ),
        (
            "but not for ever",
            "config cds a=1, rds a=1; ask cds a; ask rds a; sends cds a=1 / rds a=1;
             ack rds; config cds a=2, rds a=2; wait 4999; sends nothing;
             wait 1; sends rds a=2",
        ),
        (
            "the old cluster stays while the new route is on its way",
            "config cds old=1, rds r=1; ask cds old; ask rds r; sends cds old=1 / rds r=1;
             ack cds; ack rds; config cds new=1, rds r=2; sends rds r=2;
             ack rds; ask cds new old; sends cds new=1 old=1;
             ack cds; ask cds new; wait 60000; sends nothing",
        ),
        (
            "a cluster that is still wanted is removed last",
            "config cds old=1, lds l=1, rds r=1; ask cds *; ask lds l; ask rds r; sends cds old=1 / lds l=1 / rds r=1;
             ack cds; ack lds; ack rds; config cds new=1, rds r=2; sends cds new=1 old=1;
             ack cds; sends rds r=2; wait 2000; sends nothing;
             ack rds; wait 999; sends nothing;
             wait 1; sends lds !l; ack lds; wait 1000; sends cds new=1 !old",
        ),
        (
            "a client that never answers does not keep what is gone for ever",
            "config cds old=1, rds r=1; ask cds old; ask rds r; sends cds old=1 / rds r=1;
             ack cds; config; wait 4999; sends nothing;
             wait 1; sends cds !old",
        ),
    ]);
}

#[test]
fn removals_follow_what_the_client_holds() {
    check(&[
        (
            "back before the removal was due",
            "config lds a=1; ask lds a; sends lds a=1;
             ack lds; config; wait 500; config lds a=1; wait 60000; sends nothing",
        ),
        (
            "deleted while the client was away",
            "config lds a=1, lds b=1; ask lds a b; sends lds a=1 b=1;
             ack lds; config; reopen; ask lds a b; sends nothing;
             wait 1000; sends lds !a !b;
             ack lds; wait 60000; sends nothing",
        ),
        (
            "never existed: nothing to remove",
            "config; ask lds a; sends lds !a; ack lds; wait 60000; sends nothing",
        ),
        (
            "each has its own time",
            "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1;
             ack cds; config cds b=1; wait 600; config; wait 400; sends cds b=1 !a;
             ack cds; wait 1000; sends cds !b",
        ),
    ]);
}

#[test]
fn slow_client_gets_the_latest_state_once() {
    check(&[(
        "hundred revisions while one is unanswered",
        "config eds a=1, eds b=1; ask eds a b; sends eds a=1 b=1;
             config eds a=2, eds b=1; config eds a=3, eds b=1; sends nothing;
             config eds a=4, eds b=2; sends nothing;
             ack eds; sends eds a=4 b=2;
             config eds a=5, eds b=2; config eds a=4, eds b=2; ack eds; sends nothing",
    )]);
}

#[test]
fn nothing_is_sent_before_there_are_resources() {
    check(&[(
        "streams wait",
        "ask cds *; ask eds a; wait 60000; sends nothing;
             config eds a=1; sends cds / eds a=1",
    )]);
    let mut client = Client::new(Protocol::Sotw);
    client.ask(Eds, &["a"]);
    assert_eq!(client.status()[0].state, SyncState::Pending);
}

/// Proves: CS-10.
#[test]
fn node_is_read_once() {
    let mut stream = Stream::new(Instant::now(), Protocol::Sotw, Pacing::default(), Limits::default());
    let with_node = |id: &str| DiscoveryRequest {
        node: Some(Node { id: id.to_owned(), ..Node::default() }),
        type_url: Lds.type_url().to_owned(),
        ..DiscoveryRequest::default()
    };
    stream.on_request(Instant::now(), with_node("first").into(), None).unwrap();
    stream.on_request(Instant::now(), with_node("second").into(), None).unwrap();
    assert_eq!(stream.node().unwrap().id, "first");
    let mut stream = Stream::new(Instant::now(), Protocol::Sotw, Pacing::default(), Limits::default());
    stream.on_request(Instant::now(), DiscoveryRequest::default().into(), None).unwrap();
    stream.on_request(Instant::now(), with_node("second").into(), None).unwrap();
    assert_eq!(stream.node(), None);
}

#[test]
fn unknown_types_are_reported_once_and_bounded() {
    let mut stream = Stream::new(Instant::now(), Protocol::Sotw, Pacing::default(), Limits::default());
    let now = Instant::now();
    let mut ask = |type_url: &str| {
        let request = DiscoveryRequest { type_url: type_url.to_owned(), ..DiscoveryRequest::default() };
        stream.on_request(now, request.into(), None).unwrap()
    };
    assert_eq!(ask("x"), Event::UnknownType("x".to_owned()));
    assert_eq!(ask("x"), Event::Nothing);
    for index in 0..1000 {
        ask(&format!("{index}{}", "y".repeat(1000)));
    }
    assert!(stream.unknown_types().len() <= 16);
    assert!(stream.unknown_types().iter().all(|type_url| type_url.len() <= 256));
    assert!(!stream.has_response(now));
}

#[test]
fn versions_survive_a_restart() {
    let versions: Vec<_> = (0..2)
        .map(|_| {
            let mut client = Client::new(Protocol::Sotw);
            client.configure(&["cds a=1", "cds b=1"]);
            client.ask(Cds, &["a", "b"]);
            client.sends();
            client.of(Cds).last.clone()
        })
        .collect();
    assert_eq!(versions[0], versions[1]);
    let mut client = Client::new(Protocol::Sotw);
    client.configure(&["cds a=1", "cds b=2"]);
    client.ask(Cds, &["a", "b"]);
    client.sends();
    assert_ne!(client.of(Cds).last, versions[0]);
}

#[test]
fn deadlines_are_in_the_future_and_produce_responses() {
    let mut client = Client::new(Protocol::Sotw);
    client.configure(&["cds a=1", "rds a=1"]);
    client.ask(Cds, &["a"]);
    client.ask(Rds, &["a"]);
    client.sends();
    client.ack(Rds);
    client.configure(&["cds a=2"]);
    client.now += Duration::from_secs(60);
    assert_eq!(client.stream.next_deadline(client.now), None, "only an answer helps");
    client.ack(Cds);
    client.sends();
    client.ack(Cds);
    client.configure(&[]);
    while let Some(deadline) = client.stream.next_deadline(client.now) {
        assert!(deadline > client.now);
        client.now = deadline;
        assert_eq!(client.sends(), ["cds !a"]);
    }
    client.ack(Cds);
    assert_eq!(client.stream.next_deadline(client.now), None);
}
