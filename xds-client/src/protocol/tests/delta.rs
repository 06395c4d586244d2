//! The incremental protocol, one scenario per test.

use super::*;

fn delta() -> Client {
    Client::of_server(ServerSettings { variant: Variant::Delta, ..ServerSettings::new("primary") })
}

fn watching(kind: ResourceKind, names: &[&str]) -> Client {
    let mut client = delta();
    names.iter().for_each(|name| client.watch(kind, name));
    client.open();
    client.sent();
    client
}

/// A response whose resources all have the version `version`, and the names that it removes.
fn changes(kind: ResourceKind, version: &str, nonce: &str, sent: &[Sent<'_>], removed: &[&str]) -> Response {
    let mut response = response(kind, "", nonce, sent);
    for received in response.resources.iter_mut().flatten() {
        received.version = Some(version.into());
    }
    response.removed = removed.iter().map(|name| (*name).into()).collect();
    response
}

impl Client {
    fn change(
        &mut self,
        kind: ResourceKind,
        version: &str,
        nonce: &str,
        sent: &[Sent<'_>],
        removed: &[&str],
    ) {
        self.ads.on_response(ONE, self.now, changes(kind, version, nonce, sent, removed));
    }
}

/// Proves: TR-48, TR-50, TR-51.
#[test]
fn requests_name_only_what_is_different_and_have_a_nonce_only_as_answers() {
    let mut client = delta();
    client.watch(CDS, "b");
    client.watch(EDS, "e");
    client.open();
    assert_eq!(client.sent(), ["+[b] +node", "+[e]"]);
    client.watch(CDS, "a");
    assert_eq!(client.sent(), ["+[a]"]);
    client.change(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    assert_eq!(client.sent(), ["n1"]);
    client.unwatch(CDS, "b");
    client.watch(CDS, "c");
    assert_eq!(client.sent(), ["+[c] -[b]"], "no nonce");
    client.unwatch(CDS, "c");
    client.watch(CDS, "c");
    assert_eq!(client.sent(), none(), "back before the server was told");
    client.watch(CDS, "d");
    client.unwatch(CDS, "d");
    assert_eq!(client.sent(), none(), "gone before the server was told");
    client.unwatch(CDS, "a");
    client.unwatch(CDS, "c");
    assert_eq!(client.sent(), ["-[a,c]"]);
    client.change(CDS, "2", "n2", &[("a", Ok(2))], &[]);
    assert_eq!(client.sent(), ["n2"], "a late response is answered");
}

/// Proves: TR-49.
#[test]
fn new_stream_begins_with_what_is_held() {
    let mut client = watching(CDS, &["a", "b", "c"]);
    client.change(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    client.change(CDS, "2", "n2", &[("b", Ok(2)), ("a", Err("bad"))], &[]);
    client.sent();
    client.close("gone");
    client.open();
    assert_eq!(client.sent(), ["+[a,b,c] {b=2} +node"], "and nothing of what was refused");
    client.watch(CDS, "d");
    assert_eq!(client.sent(), ["+[d]"], "only once");
    client.watch(EDS, "e");
    client.unwatch(EDS, "e");
    assert_eq!(client.sent(), none(), "an empty first request would ask for everything");
}

/// Proves: TR-52, TR-54.
#[test]
fn only_listed_resources_are_removed() {
    let mut client = watching(EDS, &["a", "b", "never"]);
    client.change(EDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))], &["unknown", "never"]);
    assert_eq!(client.told(), ["a", "b", "never"]);
    assert_eq!(client.view(EDS, "never"), "!does not exist", "at once");
    client.change(EDS, "2", "n2", &[("b", Ok(2))], &[]);
    assert_eq!(client.told(), ["b"]);
    assert_eq!(client.view(EDS, "a"), "1", "not listed, not deleted");
    client.change(EDS, "", "n3", &[], &["a"]);
    assert_eq!(client.told(), ["a"]);
    assert_eq!(client.view(EDS, "a"), "1 ~does not exist");
    client.change(EDS, "4", "n4", &[("a", Ok(1))], &[]);
    assert_eq!(client.view(EDS, "a"), "1");
    assert_eq!(client.sent(), ["n1", "n2", "n3", "n4"]);
}

/// Proves: TR-53.
#[test]
fn refused_version_is_not_held() {
    let mut client = watching(CDS, &["a", "b"]);
    client.change(CDS, "1", "n1", &[("a", Ok(1))], &[]);
    client.change(CDS, "2", "n2", &[("a", Err("bad")), ("b", Ok(2))], &[]);
    assert_eq!(client.sent(), ["n1", "n2 !Cluster a: bad"]);
    assert_eq!(client.view(CDS, "a"), "1 ~bad");
    assert_eq!(client.view(CDS, "b"), "2", "the good one of a bad response");
    assert_eq!(client.state("a"), (ResourceState::Nacked, "1".into()));
    client.close("gone");
    client.open();
    assert_eq!(client.sent(), ["+[a,b] {b=2} +node"], "the server may be back at 1, and is to say so");
    client.change(CDS, "1", "n1", &[("a", Ok(1))], &[]);
    assert_eq!(client.view(CDS, "a"), "1");
    assert_eq!(client.state("a").0, ResourceState::Acked);
}

/// Proves: TR-53.
#[test]
fn deleted_version_is_not_held() {
    for data_errors in [DataErrors::Ambient, DataErrors::IgnoreDeletion] {
        let variant = Variant::Delta;
        let server = ServerSettings { variant, data_errors, ..ServerSettings::new("primary") };
        let mut client = Client::of_server(server);
        ["a", "b"].into_iter().for_each(|name| client.watch(CDS, name));
        client.open();
        client.sent();
        client.change(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
        client.change(CDS, "", "n2", &[], &["a"]);
        client.close("gone");
        client.open();
        assert_eq!(client.sent(), ["+[a,b] {b=1} +node"], "{data_errors:?}: it may be there again");
    }
}

/// Proves: TR-55.
#[test]
fn resource_answers_to_its_aliases() {
    let mut client = watching(EDS, &["host"]);
    let mut response = changes(EDS, "1", "n1", &[("routes/host:80", Ok(1))], &[]);
    for received in response.resources.iter_mut().flatten() {
        received.aliases = vec!["other".into(), "host".into()];
    }
    client.ads.on_response(ONE, client.now, response);
    assert_eq!(client.told(), ["host"]);
    assert_eq!(client.view(EDS, "host"), "1");
}

/// Proves: TR-37, TR-55.
#[test]
fn alias_has_many_spellings() {
    let mut client = watching(EDS, &["xdstp://known/x.Endpoints/a?b=2&z=1"]);
    let mut response = changes(EDS, "1", "n1", &[("a", Ok(1))], &[]);
    for received in response.resources.iter_mut().flatten() {
        received.aliases = vec!["xdstp://known/x.Endpoints/a?z=1&b=2".into()];
    }
    client.ads.on_response(ONE, client.now, response);
    assert_eq!(client.view(EDS, "xdstp://known/x.Endpoints/a?b=2&z=1"), "1");
}

#[test]
fn missing_resource_is_absent_after_timeout() {
    let mut client = watching(CDS, &["a"]);
    client.pass(15 * SECOND);
    assert_eq!(client.view(CDS, "a"), "!does not exist");
    client.change(CDS, "1", "n1", &[("a", Ok(1))], &[]);
    assert_eq!(client.view(CDS, "a"), "1");
}

#[test]
fn unwatched_resource_is_requested_again() {
    let mut client = watching(EDS, &["a", "b"]);
    client.change(EDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    client.sent();
    client.unwatch(EDS, "a");
    client.watch(EDS, "a");
    assert_eq!(client.view(EDS, "a"), "1", "the server would not send it again");
    client.unwatch(EDS, "a");
    assert_eq!(client.sent(), ["-[a]"]);
    client.watch(EDS, "a");
    assert_eq!(client.view(EDS, "a"), "-", "may have changed meanwhile");
    assert_eq!(client.sent(), ["+[a]"]);
}

/// An incremental server sends nothing to a client that has everything.
#[test]
fn server_with_nothing_new_counts_as_reached() {
    let mut client = watching(CDS, &["a"]);
    client.change(CDS, "1", "n1", &[("a", Ok(1))], &[]);
    client.close("gone");
    client.refuse_at(ONE);
    assert_eq!(client.view(CDS, "a"), "1 ~refused");
    client.pass(2 * SECOND);
    client.open();
    assert_eq!(client.sent(), ["+[a] {a=1} +node"]);
    client.told();
    client.pass(15 * SECOND);
    assert_eq!(client.told(), ["*"]);
    assert_eq!(client.view(CDS, "a"), "1");
    assert!(client.ads.is_connected(ONE));
    assert_eq!(client.ads.next_deadline(), None);
    client.close("max age");
    assert_eq!(client.view(CDS, "a"), "1", "no outage");
}
