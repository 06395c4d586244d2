//! What tools and watchers see of resources that are watched, and of those that are not any more.

use super::*;

fn status(client: &Client, name: &str) -> ResourceStatus {
    client.ads.resources().into_iter().find(|status| &*status.name == name).unwrap()
}

/// TR-59, TR-63.
#[test]
fn refused_version_is_shown_until_another_is_accepted() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    let bytes = |value: u64| Some(value.to_be_bytes().to_vec().into());
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    let accepted = status(&client, "a");
    assert_eq!((accepted.state, accepted.cached, &*accepted.version), (ResourceState::Acked, true, "1"));
    assert_eq!((accepted.rejected, accepted.bytes, accepted.server), (None, bytes(1), Some(ONE)));

    client.pass(SECOND);
    client.respond(CDS, "2", "n2", &[("a", Err("bad")), ("b", Ok(1))]);
    let refused = status(&client, "a");
    assert_eq!((refused.state, refused.cached, &*refused.version), (ResourceState::Nacked, true, "1"));
    assert_eq!((refused.rejected, refused.bytes), (Some(("2".into(), client.now)), bytes(1)));

    client.respond(CDS, "3", "n3", &[("a", Ok(3)), ("b", Ok(1))]);
    let accepted = status(&client, "a");
    assert_eq!((accepted.state, &*accepted.version), (ResourceState::Acked, "3"));
    assert_eq!((accepted.rejected, accepted.bytes), (None, bytes(3)));
}

/// The server may still send it, until it has read the next request.
#[test]
fn resource_that_is_not_watched_any_more_is_neither_shown_nor_told() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    client.told();
    client.unwatch(CDS, "b");
    client.respond(CDS, "2", "n2", &[("a", Ok(2)), ("b", Ok(2))]);
    assert_eq!(client.told(), ["a"]);
    let shown: Vec<_> = client.ads.resources().into_iter().map(|status| status.name).collect();
    assert_eq!(shown, ["a".into()]);
}

#[test]
fn refusal_names_64_resources_and_counts_the_others() {
    for (count, ending) in
        [(64, "Cluster c63: bad"), (65, "Cluster c63: bad; and 1 more"), (67, "Cluster c63: bad; and 3 more")]
    {
        let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
        let sent: Vec<Sent<'_>> = names.iter().map(|name| (&**name, Err("bad"))).collect();
        let mut client = Client::watching(CDS, &["c0"]);
        client.respond(CDS, "1", "n1", &sent);
        let refusal = client.sent().remove(0);
        assert!(refusal.ends_with(ending), "{count}: {refusal}");
        assert_eq!(refusal.matches("bad").count(), 64);
    }
}

#[test]
fn request_is_due_only_on_an_open_stream_and_until_it_is_sent() {
    let mut client = Client::new(DataErrors::Ambient);
    assert!(!client.ads.has_request(ONE), "nothing is watched");
    client.watch(CDS, "a");
    assert!(!client.ads.has_request(ONE), "no stream");
    client.open();
    assert!(client.ads.has_request(ONE));
    client.sent();
    assert!(!client.ads.has_request(ONE));
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    assert!(client.ads.has_request(ONE), "the ACK");
    client.close("gone");
    assert!(!client.ads.has_request(ONE));
}

/// TR-18: a driver that sleeps until the next deadline is not woken by timers that were stopped.
#[test]
fn stopped_timers_are_no_deadlines() {
    let mut client = Client::watching(CDS, &["a"]);
    let first = client.now + 15 * SECOND;
    client.pass(SECOND);
    client.watch(EDS, "e");
    client.sent();
    assert_eq!(client.ads.next_deadline(), Some(first));
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    assert_eq!(client.ads.next_deadline(), Some(first + SECOND), "of the other type");
    client.respond(EDS, "1", "n2", &[("e", Ok(1))]);
    assert_eq!(client.ads.next_deadline(), None);

    client.watch(CDS, "b");
    client.sent();
    client.watch(EDS, "f");
    client.sent();
    let other = client.now + 15 * SECOND;
    client.unwatch(CDS, "b");
    client.sent();
    client.unwatch(CDS, "a");
    assert_eq!(client.ads.next_deadline(), Some(other), "of the name that is still watched");
}

/// TR-53: it stays known until the request that omits it, but is not shown.
#[test]
fn view_of_resource_that_is_not_watched_is_empty() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(2))]);
    client.sent();
    assert_eq!((client.view(CDS, "a"), client.view(CDS, "b")), ("1".to_owned(), "2".to_owned()));
    client.unwatch(CDS, "b");
    assert_eq!((client.view(CDS, "a"), client.view(CDS, "b")), ("1".to_owned(), "-".to_owned()));
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "2", "the server believes that the client has it");
    client.unwatch(CDS, "b");
    client.sent();
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "-", "the server knows that it was dropped");
}

#[test]
fn resource_is_forgotten_with_its_last_watch_and_not_before() {
    let mut client = Client::watching(CDS, &["a"]);
    client.watch(CDS, "a");
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.sent();
    client.unwatch(CDS, "a");
    client.sent();
    assert_eq!(client.view(CDS, "a"), "1", "one watch is left");
    client.unwatch(CDS, "a");
    client.sent();
    client.close("gone");
    client.told();
    assert_eq!(client.ads.footprint(), 0);
}

/// TR-59.
#[test]
fn refused_version_is_not_shown_after_another_answer() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    client.respond(CDS, "2", "n2", &[("a", Err("bad")), ("b", Ok(1))]);
    assert!(status(&client, "a").rejected.is_some());
    client.respond(CDS, "3", "n3", &[("b", Ok(1))]);
    let absent = status(&client, "a");
    assert_eq!((absent.state, absent.rejected), (ResourceState::DoesNotExist, None));
}
