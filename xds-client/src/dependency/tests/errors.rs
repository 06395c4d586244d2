//! Resources in error, and servers that cannot be reached.

use super::*;

/// Proves: RT-05, RT-31.
#[test]
fn errors_of_the_target_and_errors_of_a_cluster() {
    let end = "(control server 127.0.0.1:15010, node n1)";
    let mut test = GraphTest::new();
    test.fail(KeyKind::Listener, "greeter", ProblemKind::DoesNotExist);
    assert_eq!(test.shown(), format!("!xDS listener \"greeter\": trouble {end}"));
    test.put(
        KeyKind::Listener,
        "greeter",
        Arc::new(Listener::Socket(SocketListener { listener: Arc::default() })),
    );
    assert_eq!(
        test.shown(),
        format!("!xDS listener \"greeter\": is for servers: it has no api_listener {end}")
    );
    test.put(KeyKind::Listener, "greeter", rds("routes"));
    test.fail(KeyKind::RouteConfiguration, "routes", ProblemKind::DoesNotExist);
    assert_eq!(test.shown(), format!("!xDS route configuration \"routes\": trouble {end}"));
    test.put(KeyKind::RouteConfiguration, "routes", routes("other", &["a"]));
    let no_host = format!("!xDS listener \"greeter\": no virtual host serves \"greeter:80\" {end}");
    assert_eq!(test.shown(), no_host);
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
    test.put(KeyKind::Cluster, "a", eds("a"));
    test.put(KeyKind::Endpoints, "a", endpoints(1));
    test.fail(KeyKind::Cluster, "b", ProblemKind::Rejected);
    assert_eq!(test.shown(), format!("a=1 b=!xDS cluster \"b\": trouble {end}"));
    test.put(KeyKind::RouteConfiguration, "routes", routes("other", &["a"]));
    assert_eq!(test.shown(), no_host, "what was in use is not used any more");
    assert_eq!(test.watched(), ["greeter", "routes"]);
    test.put(
        KeyKind::Listener,
        "greeter",
        Arc::new(Listener::Socket(SocketListener { listener: Arc::default() })),
    );
    assert!(test.shown().contains("is for servers"));
}

#[test]
fn bad_update_never_removes_a_good_configuration() {
    let end = "(control server 127.0.0.1:15010, node n1)";
    let mut test = GraphTest::serving(&["a"]);
    test.put(KeyKind::Listener, "greeter", rds("new"));
    for problem in [ProblemKind::Rejected, ProblemKind::DoesNotExist] {
        test.fail(KeyKind::RouteConfiguration, "new", problem);
        assert_eq!(test.shown(), "a=1");
        assert_eq!(test.ambient(), format!("xDS route configuration \"new\": trouble {end}"));
    }
    test.put(KeyKind::RouteConfiguration, "new", routes("*", &["a"]));
    assert_eq!(test.ambient(), "");
    let view = test.shelf.views[&Key::new(KeyKind::Listener, &"greeter".into())].clone();
    let ambient = Some(Problem::new(ProblemKind::DoesNotExist, "does not exist"));
    test.set(KeyKind::Listener, "greeter", View { ambient, ..view });
    test.settle();
    assert_eq!(test.shown(), "a=1");
    assert_eq!(test.ambient(), format!("xDS listener \"greeter\": does not exist {end}"));
}

#[test]
fn data_errors_end_the_configuration_where_the_bootstrap_says_so() {
    let mut test = GraphTest::new();
    test.shelf.failing = vec!["greeter"];
    test.put(KeyKind::Listener, "greeter", rds("routes"));
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &[]));
    assert_eq!(test.shown(), "");
    test.fail(KeyKind::RouteConfiguration, "routes", ProblemKind::DoesNotExist);
    assert_eq!(test.shown(), "", "of a server that it does not say so of");
    test.fail(KeyKind::Listener, "greeter", ProblemKind::DoesNotExist);
    assert!(test.shown().starts_with("!xDS listener"));
}

/// Proves: TR-33, OB-23.
#[test]
fn unreachable_server_is_an_error_only_without_configuration() {
    let mut test = GraphTest::new();
    test.outage(Some("connection refused"));
    let text = "connection refused; node n1, control server 127.0.0.1:15010 unreachable for 0 s";
    assert_eq!(test.shown(), format!("!xDS listener \"greeter\": {text}"));
    assert_eq!(test.ambient(), "", "once is enough");
    test.outage(None);
    assert_eq!(test.shown(), "-");

    let mut test = GraphTest::serving(&["a"]);
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "new"]));
    test.outage(Some("connection refused"));
    assert_eq!(test.shown(), "a=1", "the new cluster is waited for");
    assert_eq!(test.ambient(), text);
    test.outage(None);
    assert_eq!(test.ambient(), "");
    test.put(KeyKind::Cluster, "new", eds("new"));
    assert_eq!(test.shown(), "a=1");
    test.put(KeyKind::Endpoints, "new", endpoints(2));
    assert_eq!(test.shown(), "a=1 new=2");
}

/// Transports name the server in their errors, too.
#[test]
fn lost_server_is_named_once_in_errors() {
    let mut test = GraphTest::new();
    test.outage(Some("127.0.0.1:15010: connection refused"));
    let text = "connection refused; node n1, control server 127.0.0.1:15010 unreachable for 0 s";
    assert_eq!(test.shown(), format!("!xDS listener \"greeter\": {text}"));
}

#[test]
fn present_clusters_are_used_when_server_is_lost_before_the_rest() {
    let mut test = GraphTest::new();
    test.put(KeyKind::Listener, "greeter", rds("routes"));
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
    test.put(KeyKind::Cluster, "a", eds("a"));
    test.outage(Some("refused"));
    assert!(test.shown().starts_with("a=?xDS endpoints \"a\": control server unreachable: refused"));
    test.outage(None);
    test.put(KeyKind::Cluster, "b", eds("b"));
    test.put(KeyKind::Endpoints, "a", endpoints(1));
    test.put(KeyKind::Endpoints, "b", endpoints(1));
    assert_eq!(test.shown(), "a=1 b=1");
}
