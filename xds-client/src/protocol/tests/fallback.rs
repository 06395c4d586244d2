//! Several servers: authorities of a federation, and fallback servers.

use super::*;

const THREE: ServerId = ServerId(2);

/// A client with two servers for everything, and a third for the authority `other`.
pub(super) fn client() -> Client {
    client_with(Fallback::WhenMissing)
}

fn client_with(fallback: Fallback) -> Client {
    let server = |name: &str| ServerSettings::new(name);
    Client::with(Settings {
        servers: vec![server("primary"), server("secondary"), server("other")],
        default_authority: AuthoritySettings { fallback, ..AuthoritySettings::new([ONE, TWO]) },
        authorities: [("other".into(), AuthoritySettings::new([THREE]))].into(),
    })
}

/// With the primary serving `a` as 1.
pub(super) fn serving() -> Client {
    let mut client = client();
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.sent();
    client.told();
    client
}

/// With the primary gone and the secondary serving `a` as 10 and `b` as 10.
pub(super) fn fallen_back() -> Client {
    let mut client = serving();
    client.watch(CDS, "b");
    client.close("gone");
    client.refuse_at(ONE);
    client.open_at(TWO);
    client.sent_at(TWO);
    client.respond_at(TWO, CDS, "s1", "m1", &[("a", Ok(10)), ("b", Ok(10))]);
    client.sent_at(TWO);
    client.told();
    client
}

#[test]
fn each_authority_has_its_own_servers() {
    let mut client = client();
    client.watch(CDS, "a");
    client.watch(CDS, "xdstp://other/x.Cluster/a");
    assert!(!client.ads.should_open(TWO), "it is not needed yet");
    client.open();
    client.open_at(THREE);
    assert_eq!(client.sent(), ["[a] / +node"]);
    assert_eq!(client.sent_at(THREE), ["[xdstp://other/x.Cluster/a] / +node"]);
    client.respond_at(THREE, CDS, "1", "n1", &[("xdstp://other/x.Cluster/a", Ok(3)), ("a", Ok(3))]);
    assert_eq!(client.view(CDS, "a"), "-", "not that server's to say");
    assert_eq!(client.view(CDS, "xdstp://other/x.Cluster/a"), "3");
    client.close("gone");
    client.refuse_at(ONE);
    client.refuse_at(TWO);
    assert_eq!(client.view(CDS, "a"), "!refused");
    assert_eq!(client.view(CDS, "xdstp://other/x.Cluster/a"), "3", "no trouble there");
    client.unwatch(CDS, "xdstp://other/x.Cluster/a");
    assert_eq!(client.close_unwanted(), [2], "the only one that is not needed any more and has a stream");
}

/// Proves: TR-42.
#[test]
fn another_server_is_asked_only_when_something_is_missing() {
    let mut client = serving();
    client.close("gone");
    client.refuse_at(ONE);
    assert_eq!(client.view(CDS, "a"), "1 ~refused");
    assert!(!client.ads.stream_wanted(TWO), "everything is cached");
    client.watch(CDS, "b");
    assert!(client.ads.stream_wanted(TWO), "now something is not");
    assert_eq!(client.view(CDS, "a"), "1", "no trouble as long as there is another server");
    assert_eq!(client.view(CDS, "b"), "-");
    client.open_at(TWO);
    assert_eq!(client.sent_at(TWO), ["[a,b] / +node"], "everything is asked for");
}

/// Proves: BS-45.
#[test]
fn fallback_server_is_used_with_bootstrap_feature() {
    let mut client = client_with(Fallback::OnUnreachability);
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("gone");
    client.refuse_at(ONE);
    assert!(client.ads.stream_wanted(TWO));
}

#[test]
fn next_server_is_asked_for_changes_after_a_long_outage() {
    let mut client = client_with(Fallback::AfterOutage(60 * SECOND));
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(50 * SECOND);
    assert!(!client.ads.stream_wanted(TWO), "everything is cached, and the server may be back soon");
    client.pass(11 * SECOND);
    assert!(client.ads.stream_wanted(TWO));
    client.open_at(TWO);
    assert_eq!(client.sent_at(TWO), ["[a] / +node"]);
    client.respond_at(TWO, CDS, "1", "m1", &[("a", Ok(2))]);
    assert_eq!(client.view(CDS, "a"), "2", "a change that the first one cannot tell");
    client.pass(300 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "2", "n2", &[("a", Ok(3))]);
    assert_eq!((client.view(CDS, "a").as_str(), client.close_unwanted()), ("3", vec![1]), "as with TR-44");
    client.pass(300 * SECOND);
    assert!(!client.ads.stream_wanted(TWO), "no outage any more");
}

#[test]
fn short_outage_does_not_turn_to_the_next_server() {
    let mut client = client_with(Fallback::AfterOutage(60 * SECOND));
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.close("gone");
    client.refuse_at(ONE);
    client.pass(30 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "1", "n2", &[("a", Ok(1))]);
    client.pass(50 * SECOND);
    assert!(!client.ads.stream_wanted(TWO));
}

/// Proves: TR-43.
#[test]
fn watchers_get_an_outage_only_without_any_server() {
    let mut client = client();
    client.watch(CDS, "a");
    client.refuse_at(ONE);
    assert_eq!(client.view(CDS, "a"), "-");
    client.refuse_at(TWO);
    assert_eq!(client.view(CDS, "a"), "!refused");
    assert_eq!(&*client.ads.outage(&"a".into()).unwrap().server, "secondary");
    client.refuse_at(ONE);
    client.open_at(TWO);
    client.sent_at(TWO);
    client.respond_at(TWO, CDS, "1", "m1", &[("a", Ok(2))]);
    assert_eq!(client.view(CDS, "a"), "2");
    client.refuse_at(ONE);
    assert_eq!(
        client.view(CDS, "a"),
        "2",
        "the preferred one is tried again, and its error concerns no watch"
    );
}

/// Proves: TR-44.
#[test]
fn first_resource_of_a_preferred_server_closes_the_others() {
    let mut client = fallen_back();
    client.pass(300 * SECOND);
    client.open();
    assert_eq!(
        client.sent(),
        ["[a,b] / +node"],
        "of the version nothing is said, so that it sends everything"
    );
    assert_eq!(client.close_unwanted(), [2_usize; 0], "a connection is not enough");
    client.respond(CDS, "2", "n1", &[]);
    assert_eq!(client.close_unwanted(), [2_usize; 0], "nor is an empty response");
    assert_eq!(client.view(CDS, "a"), "10");
    client.respond(CDS, "3", "n2", &[("a", Ok(3))]);
    assert_eq!(client.close_unwanted(), [1]);
    assert_eq!(client.view(CDS, "a"), "3");
    assert_eq!(client.view(CDS, "b"), "10", "TR-46: in use until the preferred one says something else");
}

/// Proves: TR-45.
#[test]
fn response_of_closed_server_is_dropped() {
    let mut client = fallen_back();
    client.pass(300 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "2", "n1", &[("a", Ok(2)), ("b", Ok(2))]);
    client.respond_at(TWO, CDS, "s2", "m2", &[("a", Ok(11)), ("b", Ok(11))]);
    assert_eq!((&*client.view(CDS, "a"), &*client.view(CDS, "b")), ("2", "2"));
}

/// Proves: TR-46.
#[test]
fn each_server_has_its_own_versions_and_what_is_cached_stays_in_use() {
    let mut client = serving();
    client.watch(CDS, "b");
    client.close("gone");
    client.refuse_at(ONE);
    client.told();
    assert_eq!(client.view(CDS, "a"), "1", "in use meanwhile");
    client.open_at(TWO);
    assert_eq!(client.sent_at(TWO), ["[a,b] / +node"], "not the version of the other");
    client.respond_at(TWO, CDS, "s1", "m1", &[("b", Ok(10))]);
    assert_eq!(client.view(CDS, "a"), "1", "not this server's to delete");
    assert_eq!(client.sent_at(TWO), ["[a,b] s1/m1"]);
    client.pass(15 * SECOND);
    assert_eq!(client.view(CDS, "a"), "1 ~does not exist", "until it has had its time");
}

/// Proves: TR-47.
#[test]
fn equal_resource_of_another_server_is_an_update() {
    let mut client = serving();
    client.watch(CDS, "b");
    client.close("gone");
    client.refuse_at(ONE);
    client.told();
    client.open_at(TWO);
    client.respond_at(TWO, CDS, "s1", "m1", &[("a", Ok(1)), ("b", Ok(1))]);
    assert_eq!(client.told(), ["a", "b"]);
    let known = client
        .ads
        .resources()
        .into_iter()
        .find(|known| known.type_url == CDS.type_url && &*known.name == "a");
    assert_eq!(known.unwrap().server, Some(TWO));
}

#[test]
fn primary_that_dies_between_requests_is_replaced() {
    let mut client = client();
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.close("reset");
    assert!(client.ads.stream_wanted(TWO), "ended before any response");
    client.open_at(TWO);
    client.sent_at(TWO);
    client.respond_at(TWO, CDS, "s1", "m1", &[("a", Ok(10))]);
    assert_eq!(client.view(CDS, "a"), "10");
}

#[test]
fn primary_that_stays_silent_is_replaced() {
    let mut client = client();
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.pass(60 * SECOND);
    assert!(!client.ads.stream_wanted(TWO), "absent is an answer");
    client.watch(CDS, "b");
    assert!(client.ads.stream_wanted(TWO), "but nothing has been said of this one");
}

/// Proves: TR-44, TR-55.
#[test]
fn resource_known_by_an_alias_makes_a_preferred_server_count() {
    let mut client = fallen_back();
    client.pass(300 * SECOND);
    client.open();
    client.sent();
    let mut response = response(CDS, "2", "n1", &[("clusters/a", Ok(2))]);
    response.resources.iter_mut().flatten().for_each(|received| received.aliases = vec!["a".into()]);
    client.ads.on_response(ONE, client.now, response);
    assert_eq!(client.close_unwanted(), [1]);
    assert_eq!(client.view(CDS, "a"), "2");
}
