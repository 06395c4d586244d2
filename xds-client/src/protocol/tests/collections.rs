//! Collections: names that stand for all resources with another last segment.

use super::*;

const ALL: &str = "xdstp://known/x.Endpoints/c/*";

fn watching() -> Client {
    let server = ServerSettings { variant: Variant::Delta, ..ServerSettings::new("primary") };
    let mut client = Client::of_server(server);
    client.watch(EDS, ALL);
    client.open();
    client.sent();
    client
}

fn member(name: &str) -> String {
    ALL.replace('*', name)
}

impl Client {
    fn members(&mut self, nonce: &str, sent: &[Sent<'_>], removed: &[&str]) {
        let sent: Vec<_> = sent.iter().map(|(name, value)| (member(name), *value)).collect();
        let sent: Vec<Sent<'_>> = sent.iter().map(|(name, value)| (&**name, *value)).collect();
        let mut response = response(EDS, "", nonce, &sent);
        response.resources.iter_mut().flatten().for_each(|one| one.version = Some(nonce.into()));
        response.removed = removed.iter().map(|name| member(name).into()).collect();
        self.ads.on_response(ONE, self.now, response);
    }

    fn held(&self) -> String {
        let all = ALL.into();
        let members = self.ads.members(EDS.type_url, &all);
        let shown = members.map(|(name, value)| {
            format!("{}={}", name.rsplit('/').next().unwrap(), value.downcast_ref::<u64>().unwrap())
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

fn told(names: &[&str]) -> Vec<String> {
    let names: Vec<_> = names.iter().map(|name| member(name)).collect();
    vec![format!("{ALL}: {}", names.join(","))]
}

/// Proves: TR-56.
#[test]
fn members_are_added_changed_and_removed_individually() {
    let mut client = watching();
    assert_eq!(client.view(EDS, ALL), "-");
    client.members("n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    assert_eq!(client.told(), [vec![ALL.to_owned()], told(&["a", "b"])].concat());
    assert!(matches!(client.ads.view(EDS.type_url, &ALL.into()).value, Some(Ok(_))));
    client.members("n2", &[("b", Ok(2))], &["x"]);
    assert_eq!(client.told(), told(&["b"]));
    client.members("n3", &[("b", Ok(2))], &["a"]);
    assert_eq!(client.told(), told(&["a"]), "b is the same");
    assert_eq!(client.held(), "b=2");
    assert_eq!(client.sent(), ["n1", "n2", "n3"]);
    client.close("gone");
    client.open();
    let held = format!("+[{ALL}] {{{}=n3}} +node", member("b"));
    assert_eq!(client.sent(), [held]);
}

#[test]
fn empty_collection_is_an_answer() {
    let mut client = watching();
    client.members("n1", &[], &["*"]);
    assert_eq!(client.told(), [ALL]);
    assert!(matches!(client.ads.view(EDS.type_url, &ALL.into()).value, Some(Ok(_))));
    client.pass(60 * SECOND);
    assert_eq!(client.told(), none(), "the timer was stopped");
    client.members("n2", &[("a", Ok(1))], &[]);
    client.told();
    client.members("n3", &[], &["*"]);
    assert_eq!(client.told(), told(&["a"]));
    assert_eq!(client.held(), "");
}

#[test]
fn bad_member_leaves_the_others_and_its_own_last_good_one() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    client.sent();
    client.members("n2", &[("a", Err("bad")), ("b", Ok(2))], &[]);
    assert_eq!(client.held(), "a=1 b=2");
    assert_eq!(client.sent(), [format!("n2 !Endpoints {}: bad", member("a"))]);
    let ambient =
        |client: &Client| client.ads.view(EDS.type_url, &ALL.into()).ambient.map(|one| one.to_string());
    assert_eq!(ambient(&client), Some(format!("member {}: bad", member("a"))));
    client.members("n3", &[("b", Ok(3))], &[]);
    assert!(ambient(&client).is_some(), "still bad");
    client.members("n4", &[("a", Ok(4))], &[]);
    assert_eq!(ambient(&client), None);
}

#[test]
fn member_is_found_by_its_name_in_its_collection() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1)), ("b", Ok(2))], &[]);
    let found = |collection: &str, name: &str| {
        let member = client.ads.member(EDS.type_url, &collection.into(), &name.into());
        member.map(|value| *value.downcast_ref::<u64>().unwrap())
    };
    assert_eq!(found(ALL, &member("b")), Some(2));
    assert_eq!(found(ALL, &member("c")), None);
    assert_eq!(found(&ALL.replace("/c/", "/d/"), &member("b")), None);
}

/// TR-29: a server may want its refused resources to be dropped.
#[test]
fn bad_member_is_removed_where_data_errors_drop_resources() {
    for (data_errors, held) in
        [(DataErrors::Fail, "b=1"), (DataErrors::Ambient, "a=1 b=1"), (DataErrors::IgnoreDeletion, "a=1 b=1")]
    {
        let server =
            ServerSettings { variant: Variant::Delta, data_errors, ..ServerSettings::new("primary") };
        let mut client = Client::of_server(server);
        client.watch(EDS, ALL);
        client.open();
        client.sent();
        client.members("n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
        client.told();
        client.members("n2", &[("a", Err("bad"))], &[]);
        assert_eq!(client.held(), held, "{data_errors:?}");
        let is_removal_reported = client.told().contains(&told(&["a"])[0]);
        assert_eq!(is_removal_reported, data_errors == DataErrors::Fail, "{data_errors:?}");
        assert_eq!(client.state(ALL).0, ResourceState::Nacked);
    }
}

#[test]
fn bad_member_is_not_held() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1)), ("b", Ok(1))], &[]);
    client.members("n2", &[("a", Err("bad"))], &[]);
    client.sent();
    client.close("gone");
    client.open();
    assert_eq!(client.sent(), [format!("+[{ALL}] {{{}=n1}} +node", member("b"))]);
}

/// Proves: TR-30.
#[test]
fn arriving_members_clear_the_collection_error() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1))], &[]);
    let error = ServerError { name: ALL.into(), code: 14, message: "not now".to_owned() };
    let response = Response { errors: vec![error], ..response(EDS, "", "n2", &[]) };
    client.ads.on_response(ONE, client.now, response);
    assert_eq!(client.state(ALL).0, ResourceState::ReceivedError);
    client.told();
    client.members("n3", &[("b", Ok(1))], &[]);
    assert_eq!(client.told(), [vec![ALL.to_owned()], told(&["b"])].concat());
    assert_eq!(client.state(ALL).0, ResourceState::Acked);
    assert!(client.ads.view(EDS.type_url, &ALL.into()).ambient.is_none());
}

#[test]
fn unanswered_collection_is_absent_after_timeout() {
    let mut client = watching();
    client.pass(15 * SECOND);
    assert_eq!(client.view(EDS, ALL), "!does not exist");
}

/// A resource refers to a collection of the same server.
#[test]
fn collection_without_an_authority_belongs_to_the_default_servers() {
    let mut client = watching();
    client.watch(EDS, "xdstp:///x.Endpoints/d/*");
    assert_eq!(client.sent(), ["+[xdstp:///x.Endpoints/d/*]"]);
    client.watch(EDS, "xdstp:///x.Endpoints/d/a");
    assert_eq!(client.view(EDS, "xdstp:///x.Endpoints/d/a"), "!authority \"\" is not in the bootstrap");
}

#[test]
fn members_of_an_earlier_run_do_not_come_back_once_the_server_has_sent_the_collection() {
    let mut client = watching();
    let names = [member("a"), member("b"), "xdstp://known/x.Endpoints/other/a".to_owned()];
    let sent: Vec<Sent<'_>> = names.iter().map(|name| (&**name, Ok(1))).collect();
    let preloaded = response(EDS, "", "", &sent).resources.into_iter().flatten();
    let preloaded: Vec<_> = preloaded.map(|one| (EDS.type_url.to_owned(), one)).collect();
    client.ads.preload(client.now, Duration::ZERO, preloaded);
    client.members("n1", &[("a", Ok(2))], &[]);
    client.unwatch(EDS, ALL);
    client.sent();
    client.close("killed");
    client.watch(EDS, ALL);
    client.refuse_at(ONE);
    assert_eq!((client.view(EDS, ALL), client.held()), ("!refused".to_owned(), String::new()));
    let other = "xdstp://known/x.Endpoints/other/*";
    client.watch(EDS, other);
    assert_eq!(client.ads.members(EDS.type_url, &other.into()).count(), 1, "no response mentions that one");
}

#[test]
fn collection_that_is_not_watched_any_more_tells_nothing() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1))], &[]);
    client.told();
    client.unwatch(EDS, ALL);
    client.members("n2", &[("a", Ok(2)), ("b", Ok(1))], &[]);
    assert_eq!(client.told(), none());
}

#[test]
fn collection_is_shown_without_bytes() {
    let mut client = watching();
    client.members("n1", &[("a", Ok(1))], &[]);
    let status = client.ads.resources().remove(0);
    assert_eq!((&*status.name, status.state, status.bytes), (ALL, ResourceState::Acked, None));
}

/// TR-35, of a member.
#[test]
fn heartbeat_renews_a_member() {
    let mut client = watching();
    let mut response = response(EDS, "", "n1", &[(&member("a"), Ok(1)), (&member("b"), Ok(1))]);
    for one in response.resources.iter_mut().flatten() {
        (one.version, one.ttl) = (Some("1".into()), Some(10 * SECOND));
    }
    client.ads.on_response(ONE, client.now, response);
    client.pass(8 * SECOND);
    let heartbeat = Heartbeat { name: member("a").into(), version: "1".into(), ttl: Some(10 * SECOND) };
    let beats = Response {
        type_url: EDS.type_url.to_owned(),
        nonce: "n2".to_owned(),
        heartbeats: vec![heartbeat],
        ..Response::default()
    };
    client.ads.on_response(ONE, client.now, beats);
    client.pass(5 * SECOND);
    assert_eq!(client.held(), "a=1", "b has outlived its time");
    client.pass(6 * SECOND);
    assert_eq!(client.held(), "");
}

/// Its members have values, versions and bytes; the collection itself has none, from a server or from a snapshot.
#[test]
fn collection_of_an_earlier_run_has_no_value_of_a_member() {
    let mut client = watching();
    client.unwatch(EDS, ALL);
    client.sent();
    client.close("killed");
    let name = member("a");
    let preloaded = response(EDS, "", "", &[(&name, Ok(7))]).resources.into_iter().flatten();
    let preloaded: Vec<_> = preloaded
        .map(|one| (EDS.type_url.to_owned(), Received { version: Some("5".into()), ..one }))
        .collect();
    client.ads.preload(client.now, Duration::ZERO, preloaded);
    client.watch(EDS, ALL);
    client.refuse_at(ONE);
    assert_eq!(client.held(), "a=7");
    let value = client.ads.view(EDS.type_url, &ALL.into()).value.unwrap().unwrap();
    assert!(value.downcast_ref::<u64>().is_none());
    let shown = client.ads.resources().remove(0);
    assert_eq!((&*shown.name, &*shown.version, shown.bytes, shown.stale), (ALL, "", None, true));
}
