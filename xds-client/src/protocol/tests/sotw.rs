//! State of the world, one scenario per test.

use std::time::Duration;

use super::*;

/// Proves: TR-01, TR-02, TR-09.
#[test]
fn first_watch_opens_the_stream_and_the_last_one_ends_it() {
    let mut client = Client::new(DataErrors::Ambient);
    assert!(!client.ads.should_open(ONE));
    client.watch(CDS, "b");
    client.watch(EDS, "e");
    client.open();
    assert_eq!(client.sent(), ["[b] / +node", "[e] /"]);
    client.watch(CDS, "a");
    assert_eq!(client.sent(), ["[a,b] /"], "the whole set, and no node again");
    client.unwatch(CDS, "b");
    assert_eq!(client.sent(), ["[a] /"]);
    client.unwatch(CDS, "a");
    client.unwatch(EDS, "e");
    assert!(!client.ads.stream_wanted(ONE));
    client.ads.on_stream_dropped(ONE);
    assert!(!client.ads.should_open(ONE));
    assert_eq!(client.ads.next_deadline(), None);
    client.watch(CDS, "a");
    client.open();
    assert_eq!(client.sent(), ["[a] / +node"]);
}

/// Proves: TR-04, TR-05, TR-06, TR-07, TR-13.
#[test]
fn responses_are_acked_and_nacked() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    assert_eq!(client.sent(), ["[a,b] 1/n1"]);
    client.respond(CDS, "2", "n2", &[("a", Err("bad")), ("b", Ok(2))]);
    assert_eq!(client.sent(), ["[a,b] 1/n2 !Cluster a: bad"]);
    assert_eq!(client.view(CDS, "a"), "1 ~bad", "the last good one");
    assert_eq!(client.view(CDS, "b"), "2", "the good one of a bad response");
    assert_eq!(client.state("a"), (ResourceState::Nacked, "1".into()));
    assert_eq!(client.state("b"), (ResourceState::Acked, "2".into()));
    client.watch(CDS, "c");
    assert_eq!(client.sent(), ["[a,b,c] 1/n2"]);
    client.respond(CDS, "3", "n3", &[("a", Ok(3)), ("b", Ok(2))]);
    client.respond(CDS, "4", "n4", &[("a", Ok(4)), ("b", Ok(2)), ("c", Ok(4))]);
    assert_eq!(client.sent(), ["[a,b,c] 3/n3", "[a,b,c] 4/n4"], "each is answered");
    client.close("gone");
    client.open();
    assert_eq!(client.sent(), ["[a,b,c] 4/ +node"], "the version survives, the nonce does not");
}

/// Proves: TR-04.
#[test]
fn version_is_not_sent_on_a_stream_with_fewer_resources() {
    let mut client = Client::watching(CDS, &["a"]);
    client.watch(EDS, "e");
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.respond(EDS, "1", "m1", &[("e", Ok(1))]);
    client.unwatch(CDS, "a");
    client.sent();
    client.close("gone");
    client.open();
    assert_eq!(client.sent(), ["[e] 1/ +node"]);
    client.watch(CDS, "b");
    assert_eq!(client.sent(), ["[b] /"], "nothing is held of it");
    client.respond(CDS, "1", "n1", &[("b", Ok(1))]);
    client.respond(CDS, "2", "n2", &[("b", Err("bad"))]);
    client.sent();
    client.pass(SECOND);
    client.close("gone");
    client.pass(SECOND);
    client.open();
    assert_eq!(client.sent(), ["[b] / +node", "[e] 1/"], "version 2 was tried, and 1 may be back");
}

/// A server that compares versions sends nothing to a client with its current one.
#[test]
fn server_with_the_same_version_counts_as_reached() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("gone");
    client.ads.on_opening(ONE, client.now);
    client.ads.on_open_failed(ONE, client.now, "refused", &mut client.rng);
    client.pass(2 * SECOND);
    client.open();
    assert_eq!(client.sent(), ["[a] 1/ +node"]);
    assert_eq!(client.view(CDS, "a"), "1 ~refused");
    client.pass(15 * SECOND);
    assert_eq!(client.view(CDS, "a"), "1");
    assert_eq!(client.ads.next_deadline(), None);
}

/// Proves: TR-08, TR-10.
#[test]
fn no_request_is_sent_for_unwatched_types() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(EDS, "1", "n1", &[("e", Ok(1))]);
    assert_eq!(client.sent(), none(), "never asked for");
    client.watch(EDS, "e");
    client.sent();
    client.unwatch(EDS, "e");
    assert_eq!(client.sent(), ["[] /"], "not any more");
    assert_eq!(client.sent(), none(), "once");
    client.respond(EDS, "1", "n1", &[("e", Ok(1))]);
    assert_eq!(client.sent(), ["[] 1/n1"], "a late response is answered");
    client.close("gone");
    client.open();
    client.pass(SECOND);
    assert_eq!(client.sent(), ["[a] / +node"], "an empty first request would ask for everything");
    client.respond(EDS, "1", "n1", &[("e", Ok(1))]);
    assert_eq!(client.sent(), none());
}

/// Proves: TR-11, TR-32.
#[test]
fn second_watch_sees_what_is_cached_and_sends_nothing() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.respond(CDS, "2", "n2", &[("a", Err("bad"))]);
    client.sent();
    client.told();
    client.watch(CDS, "a");
    assert_eq!(client.view(CDS, "a"), "1 ~bad");
    assert_eq!(client.told(), none());
    assert_eq!(client.sent(), none());
    client.unwatch(CDS, "a");
    assert_eq!(client.sent(), none(), "one is left");
    assert_eq!(client.view(CDS, "a"), "1 ~bad");
}

/// Proves: TR-12.
#[test]
fn resource_without_subscription_is_ignored() {
    let mut client = Client::watching(EDS, &["a"]);
    client.respond(EDS, "1", "n1", &[("z", Ok(1)), ("a", Ok(1))]);
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.sent(), ["[a] 1/n1"]);
    client.watch(EDS, "z");
    assert_eq!(client.view(EDS, "z"), "-", "nor kept");
}

/// Proves: TR-14, TR-15, TR-16.
#[test]
fn nack_names_every_bad_resource() {
    let mut client = Client::watching(CDS, &["a", "b", "c"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1)), ("c", Ok(1))]);
    client.sent();
    client.respond(CDS, "2", "n2", &[("", Err("truncated")), ("b", Err("bad")), ("c", Ok(2)), ("c", Ok(3))]);
    let nack = "[a,b,c] 1/n2 !Cluster (no name): truncated; Cluster b: bad; \
                Cluster c: appears more than once in the response";
    assert_eq!(client.sent(), [nack]);
    assert_eq!(client.view(CDS, "a"), "1", "may be the nameless one: not deleted");
    assert_eq!(client.view(CDS, "b"), "1 ~bad");
    assert_eq!(client.view(CDS, "c"), "1 ~appears more than once in the response");
}

/// Proves: TR-18, TR-19, TR-21.
#[test]
fn absent_resource_is_absent_after_fifteen_seconds_on_a_stream() {
    let mut client = Client::new(DataErrors::Ambient);
    ["a", "bad"].into_iter().for_each(|name| client.watch(CDS, name));
    client.pass(60 * SECOND);
    assert_eq!(client.view(CDS, "a"), "-", "not connected");
    client.open();
    client.pass(60 * SECOND);
    assert_eq!(client.view(CDS, "a"), "-", "not asked for");
    client.sent();
    client.pass(10 * SECOND);
    client.respond(CDS, "1", "n1", &[("bad", Err("bad"))]);
    client.close("gone");
    client.pass(10 * SECOND);
    client.open();
    client.sent();
    client.pass(15 * SECOND - Duration::from_millis(1));
    assert_eq!(client.view(CDS, "a"), "-", "from the start again on the second stream");
    client.told();
    client.pass(Duration::from_millis(1));
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.view(CDS, "a"), "!does not exist");
    assert_eq!(client.view(CDS, "bad"), "!bad", "an invalid one is not absent");
    assert_eq!(client.state("a").0, ResourceState::DoesNotExist);
    client.respond(CDS, "2", "n2", &[("a", Ok(2))]);
    assert_eq!(client.view(CDS, "a"), "2", "the subscription stayed");
    assert_eq!(client.ads.next_deadline(), None);
}

/// Proves: TR-23.
#[test]
fn identical_resource_is_no_update_unless_it_clears_an_error() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    assert_eq!(client.told(), ["a"]);
    client.respond(CDS, "2", "n2", &[("a", Ok(1))]);
    assert_eq!(client.told(), none());
    assert_eq!(client.state("a").1, "2".into());
    client.respond(CDS, "3", "n3", &[("a", Err("bad"))]);
    assert_eq!(client.told(), ["a"]);
    client.respond(CDS, "4", "n4", &[("a", Ok(1))]);
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.view(CDS, "a"), "1");
}

/// Proves: TR-24.
#[test]
fn stream_after_a_response_is_reopened_at_once_without_error() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.told();
    client.close("max age");
    assert_eq!(client.told(), none());
    assert!(client.ads.is_connected(ONE));
    client.open();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("max age");
    assert!(!client.ads.should_open(ONE), "but not in a loop");
    client.pass(SECOND);
    assert!(client.ads.should_open(ONE));
    assert_eq!(client.told(), none());
}

/// Proves: TR-25.
#[test]
fn unreachable_server_is_reported_and_retried_with_backoff() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("gone");
    client.told();
    let mut expected = 1.0;
    for attempt in 0..15 {
        client.ads.on_opening(ONE, client.now);
        match attempt % 2 {
            0 => client.ads.on_open_failed(ONE, client.now, "refused", &mut client.rng),
            _ => {
                client.ads.on_stream_opened(ONE);
                client.close("refused");
            }
        }
        let told: &[&str] = if attempt == 0 { &["b", "*"] } else { &[] };
        assert_eq!(client.told(), told, "attempt {attempt}");
        assert_eq!(client.view(CDS, "a"), "1 ~refused");
        assert_eq!(client.view(CDS, "b"), "!refused");
        assert!(!client.ads.is_connected(ONE));
        let wait = (client.ads.next_deadline().unwrap() - client.now).as_secs_f64();
        assert!((0.8 * expected..=1.2 * expected).contains(&wait), "attempt {attempt}: {wait}");
        expected = (expected * 1.6_f64).min(120.0);
        client.pass(Duration::from_secs_f64(wait));
    }
    client.open();
    assert_eq!(client.told(), none(), "a mere connection is no recovery");
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    assert_eq!(client.told(), ["b", "*"]);
    assert_eq!((&*client.view(CDS, "a"), &*client.view(CDS, "b")), ("1", "-"));
    client.pass(SECOND);
    client.close("gone");
    client.ads.on_opening(ONE, client.now);
    client.ads.on_open_failed(ONE, client.now, "refused", &mut client.rng);
    assert!(client.ads.next_deadline().unwrap() - client.now <= SECOND.mul_f64(1.2), "the backoff was reset");
}

#[test]
fn message_that_cannot_be_taken_leads_to_backoff_even_after_responses() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let end = StreamEnd::Unusable { reason: "too large".to_owned() };
        client.ads.on_stream_ended(ONE, client.now, end, &mut client.rng);
        assert_eq!(client.view(CDS, "a"), "1 ~too large");
        waits.push(client.ads.next_deadline().unwrap() - client.now);
        client.pass(*waits.last().unwrap());
        client.open();
        client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    }
    assert!(waits.windows(3).all(|waits| waits[0] < waits[2]), "longer and longer: {waits:?}");
}

/// Proves: TR-26, TR-28, TR-31.
#[test]
fn deletion_leaves_the_resource_in_use() {
    let mut client = Client::watching(CDS, &["a", "never"]);
    client.watch(EDS, "e");
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.respond(EDS, "1", "m1", &[("e", Ok(1))]);
    client.told();
    client.respond(EDS, "2", "m2", &[]);
    assert_eq!(client.told(), none(), "not deleted: EDS does not say everything");
    client.respond(CDS, "2", "n2", &[]);
    assert_eq!(client.told(), ["a"], "what never came is for the timer");
    assert_eq!(client.view(CDS, "a"), "1 ~does not exist");
    assert_eq!(client.view(CDS, "never"), "-");
    assert_eq!(client.state("a").0, ResourceState::DoesNotExist);
    client.respond(CDS, "3", "n3", &[]);
    assert_eq!(client.told(), none(), "once");
    client.respond(CDS, "4", "n4", &[("a", Ok(1))]);
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.view(CDS, "a"), "1", "an ambient error ends when it is over");
}

/// Proves: TR-29.
#[test]
fn data_errors_drop_what_was_accepted_where_the_bootstrap_says_so() {
    let mut client = Client::watching_with(DataErrors::Fail, CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    client.told();
    client.respond(CDS, "2", "n2", &[("b", Err("bad"))]);
    assert_eq!(client.told(), ["b", "a"]);
    assert_eq!(client.view(CDS, "a"), "!does not exist");
    assert_eq!(client.view(CDS, "b"), "!bad");
    client.respond(CDS, "3", "n3", &[("a", Ok(1)), ("b", Ok(1))]);
    client.close("gone");
    client.ads.on_opening(ONE, client.now);
    client.ads.on_open_failed(ONE, client.now, "refused", &mut client.rng);
    assert_eq!(client.view(CDS, "a"), "1 ~refused", "an outage is no data error");
}

/// Proves: TR-27.
#[test]
fn deletions_are_only_logged_where_the_bootstrap_says_so() {
    let mut client = Client::watching_with(DataErrors::IgnoreDeletion, CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    client.told();
    client.respond(CDS, "2", "n2", &[]);
    assert_eq!(client.told(), ["a: Ignored", "b: Ignored"]);
    assert_eq!(client.view(CDS, "a"), "1");
    client.respond(CDS, "3", "n3", &[("a", Ok(1))]);
    assert_eq!(client.told(), ["a: Reappeared"], "and b is not told again");
    client.unwatch(CDS, "b");
    client.sent();
    assert_eq!(client.told(), ["b: Unwatched"]);
    client.respond(CDS, "4", "n4", &[("a", Err("bad"))]);
    assert_eq!(client.view(CDS, "a"), "1 ~bad", "other data errors are told");
}

/// Proves: TR-39.
#[test]
fn name_of_an_unknown_authority_fails_at_once_and_is_not_sent() {
    let mut client = Client::new(DataErrors::Ambient);
    client.watch(CDS, "xdstp://other/x.Cluster/a");
    let error = "!authority \"other\" is not in the bootstrap";
    assert_eq!(client.view(CDS, "xdstp://other/x.Cluster/a"), error);
    assert!(!client.ads.should_open(ONE));
    client.watch(CDS, "xdstp://known/x.Cluster/a?z=1&b=2");
    client.open();
    assert_eq!(client.sent(), ["[xdstp://known/x.Cluster/a?b=2&z=1] / +node"]);
    client.respond(CDS, "1", "n1", &[("xdstp://known/x.Cluster/a?z=1&b=2", Ok(1))]);
    assert_eq!(client.view(CDS, "xdstp://known/x.Cluster/a?b=2&z=1"), "1");
    assert_eq!(client.view(CDS, "xdstp://other/x.Cluster/a"), error);
}

#[test]
fn unsent_watch_leaves_no_state() {
    let mut client = Client::new(DataErrors::Ambient);
    for _ in 0..100 {
        client.watch(CDS, "a");
        client.unwatch(CDS, "a");
    }
    assert_eq!(client.ads.footprint(), 0);
}

/// Proves: TR-36.
#[test]
fn authority_is_found_in_its_percent_encoded_form() {
    let mut settings = Settings::one_server(ServerSettings::new("primary"));
    settings.authorities.insert("a b".into(), AuthoritySettings::new([ONE]));
    let mut client = Client::with(settings);
    client.watch(CDS, "xdstp://a%20b/x.Cluster/a");
    assert_eq!(client.view(CDS, "xdstp://a%20b/x.Cluster/a"), "-");
    client.open();
    assert_eq!(client.sent(), ["[xdstp://a%20b/x.Cluster/a] / +node"]);
}

#[test]
fn unwatched_resource_is_dropped_after_unsubscription() {
    let mut client = Client::watching(EDS, &["a", "b"]);
    client.respond(EDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    client.sent();
    client.unwatch(EDS, "a");
    client.watch(EDS, "a");
    assert_eq!(client.view(EDS, "a"), "1", "the server would not send it again");
    client.unwatch(EDS, "a");
    assert_eq!(client.sent(), ["[b] 1/n1"]);
    client.watch(EDS, "a");
    assert_eq!(client.view(EDS, "a"), "-", "may have changed meanwhile");
    assert_eq!(client.sent(), ["[a,b] 1/n1"]);
    client.respond(EDS, "2", "n2", &[("b", Ok(2))]);
    assert_eq!(client.sent(), ["[b] 2/n2", "[a,b] 2/n2"], "the response may have crossed our requests");
    client.respond(EDS, "3", "n3", &[("a", Ok(3))]);
    assert_eq!(client.sent(), ["[a,b] 3/n3"]);
    assert_eq!(client.view(EDS, "a"), "3");
}

/// The driver may read what a stream has left behind.
#[test]
fn stream_that_has_ended_takes_no_request_and_gives_no_response() {
    let mut client = Client::watching(CDS, &["a"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.sent();
    client.close("gone");
    client.told();
    client.watch(CDS, "b");
    assert_eq!(client.sent(), none());
    client.respond(CDS, "2", "n2", &[("a", Ok(2)), ("b", Ok(2))]);
    assert_eq!((client.told(), client.state("a").1), (none(), "1".into()));
}
