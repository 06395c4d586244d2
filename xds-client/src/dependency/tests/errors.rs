//! Resources in error, and servers that cannot be reached.

use super::*;

/// Proves: RT-05, RT-31.
#[test]
fn errors_of_the_target_and_errors_of_a_cluster() {
    let end = "(control server 127.0.0.1:15010, node n1)";
    let mut bench = Bench::new();
    bench.fail(Kind::Listener, "greeter", ProblemKind::DoesNotExist);
    assert_eq!(bench.shown(), format!("!xDS listener \"greeter\": trouble {end}"));
    bench.put(
        Kind::Listener,
        "greeter",
        Arc::new(Listener::Socket(SocketListener { filter_chains: Vec::new() })),
    );
    assert_eq!(
        bench.shown(),
        format!("!xDS listener \"greeter\": is for servers: it has no api_listener {end}")
    );
    bench.put(Kind::Listener, "greeter", rds("routes"));
    bench.fail(Kind::RouteConfiguration, "routes", ProblemKind::DoesNotExist);
    assert_eq!(bench.shown(), format!("!xDS route configuration \"routes\": trouble {end}"));
    bench.put(Kind::RouteConfiguration, "routes", routes("other", &["a"]));
    let no_host = format!("!xDS listener \"greeter\": no virtual host serves \"greeter:80\" {end}");
    assert_eq!(bench.shown(), no_host);
    bench.put(Kind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
    bench.put(Kind::Cluster, "a", eds("a"));
    bench.put(Kind::Endpoints, "a", endpoints(1));
    bench.fail(Kind::Cluster, "b", ProblemKind::Rejected);
    assert_eq!(bench.shown(), format!("a=1 b=!xDS cluster \"b\": trouble {end}"));
    bench.put(Kind::RouteConfiguration, "routes", routes("other", &["a"]));
    assert_eq!(bench.shown(), no_host, "what was in use is not used any more");
    assert_eq!(bench.watched(), ["greeter", "routes"]);
    bench.put(
        Kind::Listener,
        "greeter",
        Arc::new(Listener::Socket(SocketListener { filter_chains: Vec::new() })),
    );
    assert!(bench.shown().contains("is for servers"));
}

#[test]
fn bad_update_never_removes_a_good_configuration() {
    let end = "(control server 127.0.0.1:15010, node n1)";
    let mut bench = Bench::serving(&["a"]);
    bench.put(Kind::Listener, "greeter", rds("new"));
    for problem in [ProblemKind::Rejected, ProblemKind::DoesNotExist] {
        bench.fail(Kind::RouteConfiguration, "new", problem);
        assert_eq!(bench.shown(), "a=1");
        assert_eq!(bench.ambient(), format!("xDS route configuration \"new\": trouble {end}"));
    }
    bench.put(Kind::RouteConfiguration, "new", routes("*", &["a"]));
    assert_eq!(bench.ambient(), "");
    let view = bench.shelf.views[&Key::new(Kind::Listener, &"greeter".into())].clone();
    let ambient = Some(Problem::new(ProblemKind::DoesNotExist, "does not exist"));
    bench.set(Kind::Listener, "greeter", View { ambient, ..view });
    bench.settle();
    assert_eq!(bench.shown(), "a=1");
    assert_eq!(bench.ambient(), format!("xDS listener \"greeter\": does not exist {end}"));
}

#[test]
fn data_errors_end_the_configuration_where_the_bootstrap_says_so() {
    let mut bench = Bench::new();
    bench.shelf.failing = vec!["greeter"];
    bench.put(Kind::Listener, "greeter", rds("routes"));
    bench.put(Kind::RouteConfiguration, "routes", routes("*", &[]));
    assert_eq!(bench.shown(), "");
    bench.fail(Kind::RouteConfiguration, "routes", ProblemKind::DoesNotExist);
    assert_eq!(bench.shown(), "", "of a server that it does not say so of");
    bench.fail(Kind::Listener, "greeter", ProblemKind::DoesNotExist);
    assert!(bench.shown().starts_with("!xDS listener"));
}

/// Proves: TR-33, OB-23.
#[test]
fn unreachable_server_is_an_error_only_without_configuration() {
    let mut bench = Bench::new();
    bench.outage(Some("connection refused"));
    let text = "connection refused; node n1, control server 127.0.0.1:15010 unreachable for 0 s";
    assert_eq!(bench.shown(), format!("!xDS listener \"greeter\": {text}"));
    assert_eq!(bench.ambient(), "", "once is enough");
    bench.outage(None);
    assert_eq!(bench.shown(), "-");

    let mut bench = Bench::serving(&["a"]);
    bench.put(Kind::RouteConfiguration, "routes", routes("*", &["a", "new"]));
    bench.outage(Some("connection refused"));
    assert_eq!(bench.shown(), "a=1", "the new cluster is waited for");
    assert_eq!(bench.ambient(), text);
    bench.outage(None);
    assert_eq!(bench.ambient(), "");
    bench.put(Kind::Cluster, "new", eds("new"));
    assert_eq!(bench.shown(), "a=1");
    bench.put(Kind::Endpoints, "new", endpoints(2));
    assert_eq!(bench.shown(), "a=1 new=2");
}

/// Transports name the server in their errors, too.
#[test]
fn lost_server_is_named_once_in_errors() {
    let mut bench = Bench::new();
    bench.outage(Some("127.0.0.1:15010: connection refused"));
    let text = "connection refused; node n1, control server 127.0.0.1:15010 unreachable for 0 s";
    assert_eq!(bench.shown(), format!("!xDS listener \"greeter\": {text}"));
}

#[test]
fn present_clusters_are_used_when_server_is_lost_before_the_rest() {
    let mut bench = Bench::new();
    bench.put(Kind::Listener, "greeter", rds("routes"));
    bench.put(Kind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
    bench.put(Kind::Cluster, "a", eds("a"));
    bench.outage(Some("refused"));
    assert!(bench.shown().starts_with("a=?xDS endpoints \"a\": control server unreachable: refused"));
    bench.outage(None);
    bench.put(Kind::Cluster, "b", eds("b"));
    bench.put(Kind::Endpoints, "a", endpoints(1));
    bench.put(Kind::Endpoints, "b", endpoints(1));
    assert_eq!(bench.shown(), "a=1 b=1");
}
