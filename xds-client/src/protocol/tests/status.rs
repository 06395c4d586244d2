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
