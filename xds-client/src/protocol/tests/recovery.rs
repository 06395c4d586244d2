//! The state after an outage: no part of it affects the next outage.

use super::fallback::{client, fallen_back, serving};
use super::*;

const THREE: ServerId = ServerId(2);

fn of_servers(list: impl IntoIterator<Item = ServerId>) -> Client {
    Client::with(Settings {
        servers: ["primary", "secondary", "third"].map(ServerSettings::new).into(),
        default_authority: AuthoritySettings::new(list),
        authorities: Default::default(),
    })
}

#[test]
fn server_that_is_listed_twice_is_one() {
    for list in [vec![ONE, ONE], vec![ONE, TWO, ONE]] {
        let mut client = of_servers(list.clone());
        client.watch(CDS, "a");
        for server in &list[..list.len() - 1] {
            client.refuse_at(*server);
        }
        client.pass(300 * SECOND);
        client.open();
        client.sent();
        client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
        assert_eq!(client.close_unwanted(), [0_usize; 0], "{list:?}");
        client.sent();
        client.watch(CDS, "b");
        assert_eq!(client.sent(), ["[a,b] 1/n1"], "{list:?}");
    }
}

#[test]
fn outage_of_unneeded_server_ends_with_its_backoff() {
    let mut client = client();
    client.watch(CDS, "a");
    client.refuse_at(ONE);
    client.refuse_at(TWO);
    client.unwatch(CDS, "a");
    client.watch(CDS, "a");
    assert_eq!(client.view(CDS, "a"), "!refused", "a moment later it is as it was");
    assert!(!client.ads.should_open(ONE), "with backoff");
    client.unwatch(CDS, "a");
    client.pass(3 * 3600 * SECOND);
    assert_eq!(client.ads.next_deadline(), None);
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "-", "nothing has been tried");
    assert!(client.ads.should_open(ONE) && !client.ads.stream_wanted(TWO), "the preferred one comes first");
    assert_eq!(client.ads.outage(&"b".into()), None);
    client.refuse_at(ONE);
    assert_eq!(client.ads.server_outage(ONE).unwrap().since, client.now, "of this time, not of the last");
    assert!(client.ads.stream_wanted(TWO));
}

#[test]
fn outage_ends_with_an_unneeded_stream() {
    let mut client = serving();
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(300 * SECOND);
    client.open();
    client.unwatch(CDS, "a");
    assert_eq!(client.close_unwanted(), [0]);
    assert!(!client.ads.is_connected(ONE), "OB-09: not before a response");
    client.watch(CDS, "b");
    assert!(client.ads.should_open(ONE) && !client.ads.stream_wanted(TWO));
    assert_eq!(client.view(CDS, "b"), "-");
}

#[test]
fn server_that_failed_in_an_earlier_outage_is_tried_in_the_next() {
    for attempts in [1, 4] {
        let mut client = of_servers([ONE, TWO, THREE]);
        client.watch(CDS, "a");
        client.refuse_at(ONE);
        client.refuse_at(TWO);
        client.pass(2 * SECOND);
        (1..attempts).for_each(|_| client.refuse_at(TWO));
        client.open_at(THREE);
        client.sent_at(THREE);
        client.open();
        client.sent();
        client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
        assert_eq!(client.close_unwanted(), [2]);
        client.pass(300 * SECOND);
        client.watch(CDS, "b");
        client.close("gone");
        client.refuse_at(ONE);
        assert!(client.ads.stream_wanted(TWO) && !client.ads.stream_wanted(THREE), "{attempts} attempts");
    }
}

/// Proves: TR-44.
#[test]
fn recovered_preferred_server_takes_over_after_timeout_without_resources() {
    let mut client = serving();
    client.respond(CDS, "2", "n2", &[]);
    assert_eq!(client.view(CDS, "a"), "1 ~does not exist");
    client.sent();
    client.watch(CDS, "b");
    client.sent();
    client.pass(15 * SECOND);
    client.close("gone");
    client.watch(CDS, "c");
    client.refuse_at(ONE);
    client.open_at(TWO);
    client.sent_at(TWO);
    client.unwatch(CDS, "c");
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "2", "n1", &[]);
    client.pass(15 * SECOND);
    assert_eq!(client.close_unwanted(), [1], "it had said before that there is nothing");
    client.respond_at(TWO, CDS, "s1", "m1", &[("a", Ok(10))]);
    assert_eq!(client.view(CDS, "a"), "1 ~does not exist");
}

/// Proves: TR-26.
#[test]
fn resource_past_timeout_is_deleted_by_response_without_it() {
    let mut client = serving();
    client.watch(CDS, "b");
    client.close("gone");
    client.refuse_at(ONE);
    client.open_at(TWO);
    client.sent_at(TWO);
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.pass(15 * SECOND);
    client.respond_at(TWO, CDS, "s1", "m1", &[("b", Err("bad"))]);
    assert_eq!(client.view(CDS, "b"), "!bad");
    client.respond(CDS, "2", "n1", &[("a", Ok(2))]);
    assert_eq!(client.close_unwanted(), [1]);
    assert_eq!(client.view(CDS, "b"), "!does not exist", "no timer is left to say so");
}

/// Proves: TR-19.
#[test]
fn resource_missing_from_recovered_server_is_removed() {
    let mut client = serving();
    client.watch(CDS, "b");
    client.watch(EDS, "e");
    client.sent();
    client.respond(CDS, "2", "n2", &[("a", Ok(1)), ("b", Err("bad"))]);
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "3", "n1", &[]);
    client.respond(EDS, "1", "m1", &[("e", Ok(1))]);
    assert!(!client.ads.stream_wanted(TWO), "it counts again");
    assert_eq!((&*client.view(CDS, "a"), &*client.view(CDS, "b")), ("1", "!bad"));
    client.pass(15 * SECOND);
    assert_eq!((&*client.view(CDS, "a"), &*client.view(CDS, "b")), ("1 ~does not exist", "!does not exist"));
}

/// Proves: TR-04.
#[test]
fn version_of_ignored_response_is_not_sent() {
    let mut client = serving();
    client.watch(EDS, "e");
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "3", "n1", &[]);
    client.respond(EDS, "1", "m1", &[("e", Ok(1))]);
    assert_eq!(client.sent(), ["[a] 3/n1", "[e] 1/m1"]);
    client.close("max age");
    client.open();
    assert_eq!(client.sent(), ["[a] / +node", "[e] 1/"], "that a is gone came before the server counted");
}

/// A stream that ends before a response is followed by one that requests as much.
#[test]
fn preferred_delta_server_gets_no_versions_until_it_takes_over() {
    let server = |name| ServerSettings { variant: Variant::Delta, ..ServerSettings::new(name) };
    let mut client = Client::with(Settings {
        servers: vec![server("primary"), server("secondary")],
        default_authority: AuthoritySettings::new([ONE, TWO]),
        authorities: Default::default(),
    });
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.watch(CDS, "b");
    client.close("gone");
    for _ in 0..2 {
        client.refuse_at(ONE);
        client.pass(5 * SECOND);
        client.open();
        assert_eq!(client.sent(), ["+[a,b] +node"]);
        client.close("gone");
    }
}

/// Proves: TR-46.
#[test]
fn version_is_sent_only_for_resources_used_from_the_server() {
    let mut client = fallen_back();
    client.pass(300 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "2", "n1", &[("a", Ok(2)), ("b", Ok(2))]);
    assert_eq!(client.close_unwanted(), [1]);
    client.watch(CDS, "c");
    client.close("gone");
    client.refuse_at(ONE);
    client.open_at(TWO);
    assert_eq!(client.sent_at(TWO), ["[a,b,c] / +node"], "s1 would be a reason to say nothing");
}

/// A server that did not answer gets a request for everything on its next stream.
#[test]
fn silent_preferred_server_is_subscribed_again() {
    let mut client = serving();
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(2 * SECOND);
    client.open();
    assert_eq!(client.sent(), ["[a] 1/ +node"], "there may be nothing to say to that");
    client.watch(CDS, "b");
    assert!(client.ads.stream_wanted(TWO));
    assert_eq!(client.close_unwanted(), [0], "so that it sends everything, whatever the other one sends");
    client.open();
    assert_eq!(client.sent(), ["[a,b] / +node"]);
    assert_eq!(client.close_unwanted(), [0_usize; 0], "once");
    client.open_at(TWO);
    client.sent_at(TWO);
    client.respond_at(TWO, CDS, "s1", "m1", &[("a", Ok(10)), ("b", Ok(10))]);
    client.respond(CDS, "5", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    assert_eq!(client.close_unwanted(), [1]);
    assert_eq!((&*client.view(CDS, "a"), &*client.view(CDS, "b")), ("1", "1"));
}
