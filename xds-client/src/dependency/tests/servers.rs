//! The configuration of a server, for given resources.

use mesh_core::config::{ServerChain, ServerHttp, ServerListener, ServerRouteSource, ServerRoutes};

use super::*;
use crate::dependency::ServerGraph;

/// The server whose listener is `server`.
struct ServerTest {
    shelf: FakeResources,
    graph: ServerGraph,
}

impl ServerTest {
    fn new() -> Self {
        let context = ErrorContext { server: "127.0.0.1:15010".into(), node: "n1".into() };
        let mut test =
            Self { shelf: FakeResources::default(), graph: ServerGraph::new(&"server".into(), context) };
        test.graph.settle(&mut test.shelf);
        test
    }

    fn set(&mut self, kind: KeyKind, name: &str, view: View) {
        let key = Key::new(kind, &name.into());
        self.shelf.views.insert(key.clone(), view);
        self.graph.on_change(&key);
        self.graph.settle(&mut self.shelf);
    }

    fn put(&mut self, kind: KeyKind, name: &str, value: AnyResource) {
        self.set(kind, name, View { value: Some(Ok(value)), ..View::default() });
    }

    fn fail(&mut self, kind: KeyKind, name: &str, kind_of: ProblemKind) {
        let problem = Problem::new(kind_of, "trouble");
        self.set(kind, name, View { value: Some(Err(problem)), ..View::default() });
    }

    fn outage(&mut self, reason: Option<&str>) {
        let server = "127.0.0.1:15010".into();
        let outage = |reason: &str| Outage { since: Instant::now(), reason: reason.into(), server };
        self.shelf.outage = reason.map(outage);
        self.graph.on_outage();
        self.graph.settle(&mut self.shelf);
    }

    /// `-` for nothing yet, `!` and the error, or the port of the listener and its routes by name: how many virtual hosts.
    fn shown(&self) -> String {
        match &self.graph.state().config {
            None => "-".to_owned(),
            Some(Err(error)) => format!("!{error}"),
            Some(Ok(config)) => {
                let mut routes: Vec<_> = config
                    .routes()
                    .iter()
                    .map(|(name, routes)| match routes {
                        Ok(routes) => format!(" {name}={}", routes.virtual_hosts.len()),
                        Err(error) => format!(" {name}=!{error}"),
                    })
                    .collect();
                routes.sort();
                let port = config.listener().address.unwrap().port();
                format!("{port}{}", routes.concat())
            }
        }
    }
}

/// A listener for this port, with a chain for each name of routes.
fn at(port: u16, names: &[&str]) -> AnyResource {
    let chains = names.iter().enumerate().map(|(index, name)| {
        let mut chain = ServerChain::new(ServerRoutes::default());
        chain.matches.source_ports = vec![index as u32];
        chain.http = ServerHttp::new(ServerRouteSource::Named((*name).into()), []);
        chain
    });
    let mut listener = ServerListener::new(chains);
    listener.address = Some(([127, 0, 0, 1], port).into());
    Arc::new(Listener::Socket(SocketListener { listener: Arc::new(listener) }))
}

fn hosts(count: usize) -> AnyResource {
    let host = |index| Arc::new(VirtualHost::new(format!("h{index}"), Vec::new(), Vec::new()));
    Arc::new(RouteConfiguration { virtual_hosts: (0..count).map(host).collect(), ..Default::default() })
}

const RDS: KeyKind = KeyKind::RouteConfiguration;
const LDS: KeyKind = KeyKind::Listener;

/// L1: one of two route configurations is late, then does not exist; then another listener names a late one.
///
/// Proves: SV-09.
#[test]
fn listener_takes_effect_when_all_its_routes_have_an_answer() {
    let mut test = ServerTest::new();
    assert_eq!(test.shown(), "-");
    test.put(LDS, "server", at(1, &["a", "b"]));
    test.put(RDS, "a", hosts(1));
    assert_eq!(test.shown(), "-");
    test.fail(RDS, "b", ProblemKind::DoesNotExist);
    let b = "b=!xDS route configuration \"b\": trouble (control server 127.0.0.1:15010, node n1)";
    assert_eq!(test.shown(), format!("1 a=1 {b}"));
    // the old one serves until the new one is complete, and its routes stay up to date
    test.put(LDS, "server", at(2, &["a", "c"]));
    assert_eq!(test.shown(), format!("1 a=1 {b}"));
    test.put(RDS, "a", hosts(2));
    assert_eq!(test.shown(), format!("1 a=2 {b}"));
    test.put(RDS, "c", hosts(3));
    assert_eq!(test.shown(), "2 a=2 c=3");
    assert!(!test.shelf.watched.contains_key(&Key::new(RDS, &"b".into())), "it is not needed any more");
}

#[test]
fn equal_listener_with_other_routes_is_the_same_listener() {
    let mut test = ServerTest::new();
    test.put(LDS, "server", at(1, &["a"]));
    test.put(RDS, "a", hosts(1));
    let first = test.graph.state().config.clone().unwrap().unwrap();
    test.put(LDS, "server", at(1, &["a"]));
    let same = test.graph.state().config.clone().unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &same), "nothing is different");
    test.put(RDS, "a", hosts(2));
    let second = test.graph.state().config.clone().unwrap().unwrap();
    assert_eq!(first.listener(), second.listener());
    assert_ne!(first.routes(), second.routes());
}

/// Proves: SV-06.
#[test]
fn trouble_with_the_control_plane_leaves_a_server_serving() {
    let mut test = ServerTest::new();
    test.outage(Some("connection refused"));
    assert!(test.shown().starts_with("!xDS listener \"server\": connection refused"), "{}", test.shown());
    test.outage(None);
    test.put(LDS, "server", at(1, &["a"]));
    test.put(RDS, "a", hosts(1));
    test.outage(Some("connection refused"));
    assert_eq!(test.shown(), "1 a=1");
    let ambient = test.graph.state().ambient.clone().unwrap().to_string();
    assert!(ambient.contains("unreachable"), "{ambient}");
    test.outage(None);
    let refused = Problem::new(ProblemKind::Rejected, "filter_chains: no");
    test.set(LDS, "server", View { value: Some(Ok(at(1, &["a"]))), ambient: Some(refused) });
    assert_eq!(test.shown(), "1 a=1");
    let ambient = test.graph.state().ambient.clone().unwrap().to_string();
    assert!(ambient.contains("filter_chains: no"), "{ambient}");
}

/// L2, and a listener that is none for servers.
#[test]
fn removed_listener_and_one_for_clients_are_not_served() {
    let mut test = ServerTest::new();
    test.put(LDS, "server", at(1, &["a"]));
    test.put(RDS, "a", hosts(1));
    test.fail(LDS, "server", ProblemKind::DoesNotExist);
    assert_eq!(test.shown(), "1 a=1", "the bootstrap keeps what the server has removed");
    test.shelf.failing.push("server");
    test.fail(LDS, "server", ProblemKind::DoesNotExist);
    assert!(test.shown().starts_with("!xDS listener \"server\": trouble"), "{}", test.shown());
    assert_eq!(test.shelf.watched.len(), 1, "only the listener");
    test.put(LDS, "server", at(1, &["a"]));
    assert_eq!(test.shown(), "1 a=1");
    test.put(LDS, "server", rds("a"));
    assert!(test.shown().contains("is for clients"), "{}", test.shown());
    test.graph.stop(&mut test.shelf);
    assert!(test.shelf.watched.is_empty());
}
