//! Times to live, errors and silence of servers.

use super::*;

fn with_errors(kind: ResourceKind, nonce: &str, errors: &[(&str, i32)]) -> Response {
    let errors = errors.iter().map(|(name, code)| ServerError {
        name: (*name).into(),
        code: *code,
        message: "no".to_owned(),
    });
    Response { errors: errors.collect(), ..response(kind, "1", nonce, &[]) }
}

const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;

/// Proves: TR-20, BS-22.
#[test]
fn slow_server_is_a_transient_error_where_the_bootstrap_says_so() {
    let server = ServerSettings {
        resource_timeout: 30 * SECOND,
        on_timeout: OnTimeout::Transient,
        data_errors: DataErrors::Fail,
        ..ServerSettings::new("primary")
    };
    let mut client = Client::of_server(server);
    client.watch(CDS, "a");
    client.open();
    client.sent();
    client.pass(30 * SECOND - Duration::from_millis(1));
    assert_eq!(client.view(CDS, "a"), "-");
    client.pass(Duration::from_millis(1));
    assert_eq!(client.view(CDS, "a"), "!did not come within 30 s");
    assert_eq!(client.state("a").0, ResourceState::Timeout);
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    assert_eq!(client.view(CDS, "a"), "1");
}

/// Proves: TR-30.
#[test]
fn server_says_why_it_does_not_send_a_resource() {
    let mut client = Client::watching(EDS, &["a", "b", "c", "d"]);
    client.respond(EDS, "1", "n1", &[("a", Ok(1))]);
    client.told();
    let errors = [("a", NOT_FOUND), ("b", PERMISSION_DENIED), ("c", UNAVAILABLE), ("unknown", NOT_FOUND)];
    client.ads.on_response(ONE, client.now, with_errors(EDS, "n2", &errors));
    assert_eq!(client.told(), ["a", "b", "c"]);
    assert_eq!(client.view(EDS, "a"), "1 ~the control server answers with code 5: no", "TR-28");
    assert_eq!(client.view(EDS, "b"), "!the control server answers with code 7: no");
    assert_eq!(client.view(EDS, "c"), "!the control server answers with code 14: no");
    assert_eq!(client.state("b").0, ResourceState::ReceivedError);
    client.pass(15 * SECOND);
    assert_eq!(client.told(), ["d"], "the timers of the others were stopped");
    client.respond(EDS, "3", "n3", &[("b", Ok(3))]);
    assert_eq!(client.view(EDS, "b"), "3");
}

#[test]
fn only_data_errors_of_the_server_drop_what_was_accepted() {
    let mut client = Client::watching_with(DataErrors::Fail, EDS, &["a", "b"]);
    client.respond(EDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1))]);
    let errors = [("a", NOT_FOUND), ("b", UNAVAILABLE)];
    client.ads.on_response(ONE, client.now, with_errors(EDS, "n2", &errors));
    assert_eq!(client.view(EDS, "a"), "!the control server answers with code 5: no");
    assert_eq!(client.view(EDS, "b"), "1 ~the control server answers with code 14: no");
}

/// Proves: TR-35.
#[test]
fn resource_with_a_time_to_live_needs_heartbeats() {
    let mut client = Client::watching(CDS, &["a", "b", "for ever"]);
    let mut sent = response(CDS, "1", "n1", &[("a", Ok(1)), ("b", Ok(1)), ("for ever", Ok(1))]);
    for received in sent.resources.iter_mut().flatten().take(2) {
        received.ttl = Some(10 * SECOND);
    }
    client.ads.on_response(ONE, client.now, sent);
    client.sent();
    client.told();
    let beat = |name: &str, version: &str| Heartbeat {
        name: name.into(),
        version: version.into(),
        ttl: Some(10 * SECOND),
    };
    client.pass(9 * SECOND);
    let heartbeats = vec![beat("a", "1"), beat("b", "another"), beat("unknown", "1")];
    let response = Response { heartbeats, ..response(CDS, "1", "n2", &[]) };
    client.ads.on_response(ONE, client.now, response);
    assert_eq!(client.told(), none(), "a response of heartbeats deletes nothing");
    assert_eq!(client.sent(), ["[a,b,for ever] 1/n2"]);
    client.pass(SECOND);
    assert_eq!(client.told(), ["b"], "the heartbeat was of another version");
    assert_eq!(client.view(CDS, "b"), "!its time to live has passed");
    client.pass(9 * SECOND);
    assert_eq!(client.told(), ["a"]);
    client.pass(3600 * SECOND);
    assert_eq!(client.view(CDS, "for ever"), "1");
    client.respond(CDS, "2", "n3", &[("a", Ok(2)), ("b", Ok(2)), ("for ever", Ok(1))]);
    client.pass(3600 * SECOND);
    assert_eq!(client.view(CDS, "a"), "2", "without one it stays");
}

#[test]
fn server_that_is_connected_but_never_answers_counts_as_lost() {
    let mut client = Client::watching(CDS, &["a"]);
    client.pass(60 * SECOND - Duration::from_millis(1));
    assert!(!client.ads.should_close(ONE));
    client.pass(Duration::from_millis(1));
    assert!(client.ads.should_close(ONE), "the driver has to drop the stream");
    assert_eq!(
        client.ads.server_outage(ONE).unwrap().reason.as_ref(),
        "connected, but without any response for 60 s"
    );
    assert!(!client.ads.is_connected(ONE));
    client.ads.on_stream_dropped(ONE);
    assert!(!client.ads.should_open(ONE), "with backoff");
    client.pass(2 * SECOND);
    client.open();
    client.sent();
    client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
    client.pass(3600 * SECOND);
    assert!(!client.ads.should_close(ONE), "one that has answered may be silent");
}

/// Proves: BS-19, BS-21.
#[test]
fn features_of_a_server_decide_over_deletions() {
    for (data_errors, expected) in [
        (DataErrors::Ambient, "1 ~does not exist"),
        (DataErrors::IgnoreDeletion, "1"),
        (DataErrors::Fail, "!does not exist"),
    ] {
        for variant in [Variant::Sotw, Variant::Delta] {
            let mut client =
                Client::of_server(ServerSettings { data_errors, variant, ..ServerSettings::new("primary") });
            client.watch(CDS, "a");
            client.open();
            client.sent();
            client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
            let deletion = Response { removed: vec!["a".into()], ..response(CDS, "2", "n2", &[]) };
            let deletion = match variant {
                Variant::Sotw => response(CDS, "2", "n2", &[]),
                Variant::Delta => deletion,
            };
            client.ads.on_response(ONE, client.now, deletion);
            assert_eq!(client.view(CDS, "a"), expected, "{data_errors:?} {variant:?}");
        }
    }
}

/// Proves: OB-09.
#[test]
fn updates_are_counted_also_unchanged_ones() {
    let mut client = Client::watching(CDS, &["a", "b"]);
    client.respond(CDS, "1", "n1", &[("a", Ok(1)), ("b", Err("bad"))]);
    client.respond(CDS, "2", "n2", &[("a", Ok(1)), ("b", Err("bad"))]);
    let counts: Vec<_> = client.ads.updates(ONE).collect();
    assert_eq!(counts, [(CDS.type_url, UpdateCounts { valid: 2, invalid: 2 })]);
    assert_eq!(client.ads.failures(ONE), 0);
    client.close("gone");
    client.refuse_at(ONE);
    assert_eq!(client.ads.failures(ONE), 1);
}

#[test]
fn each_name_has_the_policy_of_the_server_that_it_is_asked_of() {
    let server = |name: &str, data_errors| ServerSettings { data_errors, ..ServerSettings::new(name) };
    let mut client = Client::with(Settings {
        servers: vec![server("first", DataErrors::Ambient), server("other", DataErrors::Fail)],
        default_authority: AuthoritySettings::new([ONE, TWO]),
        authorities: [("other".into(), AuthoritySettings::new([TWO]))].into(),
    });
    let policies = |client: &Client| {
        ["a", "xdstp://other/x.Cluster/a", "xdstp://unknown/x.Cluster/a"]
            .map(|name| client.ads.data_errors(&name.into()))
    };
    assert_eq!(policies(&client), [DataErrors::Ambient, DataErrors::Fail, DataErrors::Ambient]);
    client.watch(CDS, "a");
    client.refuse_at(ONE);
    assert_eq!(policies(&client)[0], DataErrors::Fail, "it has fallen back");
}
