//! How every single resource stands, as tables.

use super::{Client, Protocol, Row, check};
use crate::discovery::status::SyncState;
use crate::resources::ResourceKind;

/// The same under both variants.
fn check_both(rows: &[Row]) {
    check(Protocol::Sotw, rows);
    check(Protocol::Delta, rows);
}

#[test]
fn resource_status_follows_ack_and_nack() {
    check_both(&[
        (
            "accepted, then changed",
            "config cds a=1; ask cds a; shows cds a NOT_SENT;
             sends cds a=1; shows cds a=1 STALE;
             ack cds; shows cds a=1 SYNCED acked=1;
             config cds a=2; shows cds a=1 SYNCED acked=1;
             sends cds a=2; shows cds a=2 STALE acked=1;
             ack cds; shows cds a=2 SYNCED acked=2",
        ),
        (
            "refused after something good, then mended",
            "config cds a=1; ask cds a; sends cds a=1; ack cds;
             config cds a=2; sends cds a=2; nack cds; shows cds a=2 ERROR acked=1;
             config cds a=3; sends cds a=3; shows cds a=3 STALE acked=1;
             nack cds; shows cds a=3 ERROR acked=1;
             config cds a=4; sends cds a=4; ack cds; shows cds a=4 SYNCED acked=4",
        ),
        ("a wildcard's names", "config cds a=1, cds b=1; ask cds *; shows cds a NOT_SENT / cds b NOT_SENT"),
    ]);
}

#[test]
fn only_what_is_new_in_a_refused_response_is_in_error() {
    check(
        Protocol::Sotw,
        &[
            (
                "the full state repeats what was accepted",
                "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1; ack cds;
                 config cds a=1, cds b=2; sends cds a=1 b=2; shows cds a=1 SYNCED acked=1 / cds b=2 STALE acked=1;
                 nack cds; shows cds a=1 SYNCED acked=1 / cds b=2 ERROR acked=1",
            ),
            (
                "and what was refused, which the client may accept then",
                "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1; nack cds;
                 shows cds a=1 ERROR / cds b=1 ERROR;
                 config cds a=2, cds b=1; sends cds a=2 b=1; shows cds a=2 STALE / cds b=1 ERROR;
                 ack cds; shows cds a=2 SYNCED acked=2 / cds b=1 SYNCED acked=1",
            ),
        ],
    );
    check(
        Protocol::Delta,
        &[(
            "what was refused stays so until it changes",
            "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1; nack cds;
             config cds a=2, cds b=1; sends cds a=2; ack cds;
             shows cds a=2 SYNCED acked=2 / cds b=1 ERROR",
        )],
    );
}

/// It is not sent again, so its refusal must be kept here.
#[test]
fn refusal_is_shown_until_refused_resource_is_gone() {
    let mut client = Client::new(Protocol::Delta);
    let stands = |client: &Client| {
        let status = client.status().remove(0);
        let entries = client.stream.entries(client.set.as_deref());
        let reasons = entries.iter().filter_map(|entry| entry.reason.as_deref()).collect::<Vec<_>>();
        assert!(reasons.iter().all(|reason| *reason == "no"), "{reasons:?}");
        (status.state, status.reason, reasons.len())
    };
    let refused = (SyncState::Nacked, "no".to_owned(), 1);
    client.configure(&["eds a=1", "eds b=1"]);
    client.ask(ResourceKind::Endpoints, &["a", "b"]);
    client.sends();
    client.ack(ResourceKind::Endpoints);
    client.configure(&["eds a=2", "eds b=1"]);
    client.sends();
    client.nack(ResourceKind::Endpoints);
    assert_eq!(stands(&client), refused);
    client.configure(&["eds a=2", "eds b=2"]);
    client.sends();
    client.ack(ResourceKind::Endpoints);
    assert_eq!(stands(&client), refused, "another one was accepted");
    client.configure(&["eds a=3", "eds b=2"]);
    client.sends();
    client.ack(ResourceKind::Endpoints);
    assert_eq!(stands(&client), (SyncState::Synced, String::new(), 0));
}

#[test]
fn missing_names_are_distinguished_from_deleted_ones() {
    check(
        Protocol::Sotw,
        &[(
            "a listener that goes",
            "config lds a=1; ask lds a b; sends lds a=1 !b; ack lds;
             shows lds a=1 SYNCED acked=1 / lds b NOT_SENT missing;
             config ; shows lds a=1 SYNCED acked=1 missing deleted / lds b NOT_SENT missing;
             wait 1000; sends lds !a; ack lds;
             shows lds a NOT_SENT missing deleted / lds b NOT_SENT missing;
             config lds a=1; sends lds a=1; ack lds; shows lds a=1 SYNCED acked=1 / lds b NOT_SENT missing",
        )],
    );
    check(
        Protocol::Delta,
        &[(
            "a resource without subscription is not shown",
            "config lds a=1; ask lds a; sends lds a=1; ack lds; config ; wait 1000; sends lds !a; ack lds;
             shows lds a NOT_SENT missing deleted; ask lds -a; shows ",
        )],
    );
}

#[test]
fn resources_of_an_earlier_stream_are_known_by_version() {
    check(
        Protocol::Delta,
        &[(
            "presented again",
            "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1; ack cds; config cds a=2, cds b=1;
             reopen; ask cds a b; shows cds a NOT_SENT acked=1 / cds b SYNCED acked=1",
        )],
    );
}
