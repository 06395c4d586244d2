//! Resources that an earlier run had accepted.

use super::*;

const GRACE: Duration = Duration::from_millis(300);

fn preloaded() -> Client {
    preloaded_with(DataErrors::Ambient)
}

fn preloaded_with(data_errors: DataErrors) -> Client {
    let mut client = Client::new(data_errors);
    let received = response(CDS, "7", "", &[("a", Ok(7)), ("b", Ok(7))]).resources.into_iter().flatten();
    let received =
        received.map(|one| (CDS.type_url.to_owned(), Received { version: Some("7".into()), ..one }));
    client.ads.preload(client.now, GRACE, received);
    client.watch(CDS, "a");
    client
}

const STALE: &str = "read from the last-good snapshot of an earlier run";

#[test]
fn snapshot_is_used_at_once_when_server_is_unreachable() {
    let mut client = preloaded();
    assert_eq!(client.view(CDS, "a"), "-", "the server comes first");
    client.refuse_at(ONE);
    assert_eq!(client.view(CDS, "a"), "7 ~refused");
    assert!(client.told().contains(&"a".to_owned()));
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "7 ~refused");
    client.watch(CDS, "c");
    assert_eq!(client.view(CDS, "c"), "!refused");
    let stale: Vec<_> = client.ads.resources().iter().map(|one| (one.stale, one.state)).collect();
    let requested = ResourceState::Requested;
    assert_eq!(stale, [(true, requested), (true, requested), (false, requested)]);
}

#[test]
fn snapshot_is_used_after_grace_when_server_is_silent() {
    let mut client = preloaded();
    client.open();
    assert_eq!(client.sent(), ["[a] / +node"], "nothing of its version");
    client.pass(GRACE - Duration::from_millis(1));
    assert_eq!(client.view(CDS, "a"), "-");
    client.pass(Duration::from_millis(1));
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.view(CDS, "a"), format!("7 ~{STALE}"));
    client.pass(15 * SECOND);
    assert_eq!(client.view(CDS, "a"), "7 ~does not exist", "still in use");
}

#[test]
fn response_replaces_snapshot() {
    let mut client = preloaded();
    client.refuse_at(ONE);
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.told();
    client.respond(CDS, "7", "n1", &[("a", Ok(7))]);
    assert!(client.told().contains(&"a".to_owned()), "no longer stale, though the same");
    assert_eq!(client.view(CDS, "a"), "7");
    assert_eq!(client.state("a"), (ResourceState::Acked, "7".into()));
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "-", "the server is there to ask");
}

/// Proves: TR-47.
#[test]
fn equal_message_of_server_replaces_snapshot() {
    let mut client = preloaded();
    client.refuse_at(ONE);
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    let mut sent = response(CDS, "7", "n1", &[("a", Ok(7))]);
    for received in sent.resources.iter_mut().flatten() {
        // Decoded for this server: its name, and whether it is trusted, are part of the value.
        received.resource = Arc::new(70_u64);
    }
    client.ads.on_response(ONE, client.now, sent);
    assert_eq!(client.view(CDS, "a"), "70");
}

#[test]
fn snapshot_is_unused_when_server_answers_in_time() {
    let mut client = preloaded();
    client.open();
    client.sent();
    client.respond(CDS, "8", "n1", &[("a", Ok(8))]);
    client.pass(SECOND);
    assert_eq!(client.view(CDS, "a"), "8");
    client.watch(CDS, "b");
    assert_eq!(client.view(CDS, "b"), "-");
}

#[test]
fn snapshot_is_kept_until_replaced_or_deleted_by_server() {
    let mut client = preloaded();
    let leftover = |client: &Client, name: &str| client.ads.leftover(CDS.type_url, &name.into());
    assert_eq!(leftover(&client, "a"), Leftover::Awaited);
    assert_eq!(leftover(&client, "b"), Leftover::Unwatched);
    client.watch(CDS, "b");
    client.open();
    client.sent();
    client.pass(16 * SECOND);
    assert_eq!(client.view(CDS, "a"), "7 ~does not exist");
    assert_eq!(leftover(&client, "a"), Leftover::Awaited, "the server has said nothing at all");
    client.respond(CDS, "8", "n1", &[("b", Err("bad"))]);
    assert_eq!(leftover(&client, "a"), Leftover::Settled, "it has not");
    assert_eq!(leftover(&client, "b"), Leftover::Awaited, "in use, as long as there is nothing better");
    client.respond(CDS, "9", "n2", &[("b", Ok(9))]);
    assert_eq!(leftover(&client, "b"), Leftover::Settled);
}

/// The server answers for `a`.
fn said_of_a(client: &mut Client, word: &str) {
    match word {
        "sent" => client.respond(CDS, "8", "n1", &[("a", Ok(8))]),
        "deleted" => {
            client.respond(CDS, "8", "n1", &[("a", Ok(8))]);
            client.respond(CDS, "9", "n2", &[]);
        }
        "absent" => {
            client.watch(CDS, "b");
            client.respond(CDS, "8", "n1", &[("b", Ok(8))]);
            client.pass(16 * SECOND);
        }
        "refused after it was sent" => {
            client.respond(CDS, "8", "n1", &[("a", Ok(8))]);
            client.respond(CDS, "9", "n2", &[("a", Err("bad"))]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn replaced_or_deleted_resource_never_returns_from_snapshot() {
    for data_errors in [DataErrors::Ambient, DataErrors::Fail] {
        for word in ["sent", "deleted", "absent", "refused after it was sent"] {
            let mut client = preloaded_with(data_errors);
            client.open();
            client.sent();
            said_of_a(&mut client, word);
            client.unwatch(CDS, "a");
            client.sent();
            client.close("killed");
            client.watch(CDS, "a");
            assert_eq!(client.view(CDS, "a"), "-", "{word}, {data_errors:?}");
            client.refuse_at(ONE);
            assert_eq!(client.view(CDS, "a"), "!refused", "{word}, {data_errors:?}");
            client.unwatch(CDS, "a");
            let leftover = client.ads.leftover(CDS.type_url, &"a".into());
            assert_eq!(leftover, Leftover::Settled, "{word}, {data_errors:?}");
        }
    }
}

#[test]
fn snapshot_resource_returns_with_each_watch_until_a_server_answers() {
    let mut client = preloaded();
    client.refuse_at(ONE);
    for _ in 0..3 {
        assert_eq!(client.view(CDS, "a"), "7 ~refused");
        client.unwatch(CDS, "a");
        assert_eq!(client.ads.leftover(CDS.type_url, &"a".into()), Leftover::Unwatched);
        client.watch(CDS, "a");
    }
}
