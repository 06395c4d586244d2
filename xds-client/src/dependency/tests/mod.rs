//! The configuration of a target, for given resources.

mod errors;
mod servers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::config::{
    ClusterSettings, Discovery, DomainPattern, EndpointSet, Forward, MeshConfig, Name, Priority, Route,
    RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::policy::matcher::PathMatcher;

use super::*;
use crate::protocol::{DataErrors, Outage, Problem, ProblemKind, View};
use crate::resource::{
    AnyResource, ApiListener, Cluster, ClusterDiscovery, ClusterLoadAssignment, Listener, RouteConfiguration,
    RouteSource, SocketListener,
};

/// The resources of a test, and the watched ones.
#[derive(Default)]
struct FakeResources {
    views: BTreeMap<Key, View>,
    watched: BTreeMap<Key, usize>,
    outage: Option<Outage>,
    /// Resources whose server removes them on data errors.
    failing: Vec<&'static str>,
    looks: std::cell::Cell<usize>,
}

impl Resources for FakeResources {
    fn watch(&mut self, key: &Key) {
        *self.watched.entry(key.clone()).or_default() += 1;
    }

    fn unwatch(&mut self, key: &Key) {
        assert_eq!(self.watched.remove(key), Some(1), "{key:?}");
    }

    fn view(&self, key: &Key) -> View {
        self.looks.set(self.looks.get() + 1);
        assert!(self.watched.contains_key(key), "{key:?} is not watched");
        let mut view = self.views.get(key).cloned().unwrap_or_default();
        if let Some(outage) = self.outage.as_ref().filter(|_| view.value.is_none()) {
            view.value = Some(Err(Problem::new(ProblemKind::Unreachable, outage.reason.clone())));
        }
        view
    }

    fn outage(&self, _: &Key) -> Option<&Outage> {
        self.outage.as_ref()
    }

    fn server(&self, _: &Key) -> Option<Name> {
        None
    }

    fn data_errors(&self, key: &Key) -> DataErrors {
        if self.failing.contains(&&*key.name) { DataErrors::Fail } else { DataErrors::Ambient }
    }
}

/// One target, `greeter`, with the authority `greeter:80`.
struct GraphTest {
    shelf: FakeResources,
    graph: Graph,
}

impl GraphTest {
    fn new() -> Self {
        let context = ErrorContext { server: "127.0.0.1:15010".into(), node: "n1".into() };
        let graph = Graph::new(&"greeter".into(), "greeter:80", context);
        let mut test = Self { shelf: FakeResources::default(), graph };
        test.settle();
        test
    }

    /// The usual listener and routes to these clusters, each with endpoints of priority count 1.
    fn serving(clusters: &[&str]) -> Self {
        let mut test = Self::new();
        test.put(KeyKind::Listener, "greeter", rds("routes"));
        test.put(KeyKind::RouteConfiguration, "routes", routes("*", clusters));
        for name in clusters {
            test.put(KeyKind::Cluster, name, eds(name));
            test.put(KeyKind::Endpoints, name, endpoints(1));
        }
        assert_eq!(test.shown(), clusters.iter().map(|name| format!("{name}=1 ")).collect::<String>().trim());
        test
    }

    fn set(&mut self, kind: KeyKind, name: &str, view: View) {
        let key = Key::new(kind, &name.into());
        self.shelf.views.insert(key.clone(), view);
        self.graph.on_change(&key, &self.shelf);
    }

    fn put(&mut self, kind: KeyKind, name: &str, value: AnyResource) {
        self.set(kind, name, View { value: Some(Ok(value)), ..View::default() });
        self.settle();
    }

    fn fail(&mut self, kind: KeyKind, name: &str, problem: ProblemKind) {
        let problem = Problem::new(problem, "trouble");
        self.set(kind, name, View { value: Some(Err(problem)), ..View::default() });
        self.settle();
    }

    fn outage(&mut self, reason: Option<&str>) {
        self.shelf.outage = reason.map(|reason| Outage {
            since: Instant::now(),
            reason: reason.into(),
            server: "127.0.0.1:15010".into(),
        });
        for key in self.shelf.watched.keys().cloned().collect::<Vec<_>>() {
            self.graph.on_change(&key, &self.shelf);
        }
        self.graph.on_outage(&self.shelf);
        self.settle();
    }

    fn settle(&mut self) {
        self.graph.settle(&mut self.shelf);
    }

    fn config(&self) -> Arc<MeshConfig> {
        self.graph.state().config.clone().unwrap().unwrap()
    }

    /// The clusters, sorted: `a=2` has endpoints of two priorities, `a=[b,c]` is made of b and c, `a=!..` is in error.
    /// Or `-` for nothing yet, or `!` and the error.
    fn shown(&self) -> String {
        match &self.graph.state().config {
            None => "-".to_owned(),
            Some(Err(error)) => format!("!{error}"),
            Some(Ok(config)) => show(config),
        }
    }

    fn ambient(&self) -> String {
        self.graph.state().ambient.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn watched(&self) -> Vec<String> {
        self.shelf.watched.keys().map(|key| key.name.to_string()).collect()
    }
}

fn show(config: &MeshConfig) -> String {
    let clusters: BTreeMap<_, _> = config.clusters().iter().collect();
    let clusters = clusters.into_iter().map(|(name, cluster)| match cluster {
        Err(error) => format!("{name}=!{error}"),
        Ok(cluster) => match &cluster.discovery {
            Discovery::Endpoints(Ok(endpoints)) => format!("{name}={}", endpoints.priorities.len()),
            Discovery::Endpoints(Err(error)) => format!("{name}=?{error}"),
            Discovery::LogicalDns { host, port } => format!("{name}={host}:{port}"),
            Discovery::Aggregate(leaves) => format!("{name}=[{}]", leaves.join(",")),
            other => panic!("{other:?}"),
        },
    });
    clusters.collect::<Vec<_>>().join(" ")
}

fn rds(name: &str) -> AnyResource {
    let routes = RouteSource::Rds(name.into());
    Arc::new(Listener::Api(ApiListener { routes, max_stream_duration: None, filters: Arc::default() }))
}

fn host(domain: &str, clusters: &[&str]) -> Arc<VirtualHost> {
    let routes = clusters.iter().map(|cluster| {
        let path = PathMatcher::Prefix { prefix: "/".into(), ignore_case: false };
        Arc::new(Route::new(RouteMatch::new(path), RouteAction::Forward(Forward::to(*cluster))))
    });
    Arc::new(VirtualHost::new(domain, vec![DomainPattern::parse(domain).unwrap()], routes.collect()))
}

fn routes(domain: &str, clusters: &[&str]) -> AnyResource {
    Arc::new(RouteConfiguration { virtual_hosts: vec![host(domain, clusters)], ..Default::default() })
}

fn cluster(name: &str, discovery: ClusterDiscovery) -> AnyResource {
    let settings = Arc::new(ClusterSettings::new(name));
    Arc::new(Cluster { settings, discovery })
}

fn eds(name: &str) -> AnyResource {
    cluster(name, ClusterDiscovery::Eds)
}

fn aggregate(name: &str, children: &[&str]) -> AnyResource {
    cluster(name, ClusterDiscovery::Aggregate(children.iter().map(|child| (*child).into()).collect()))
}

fn endpoints(priorities: usize) -> AnyResource {
    let set = EndpointSet::new(vec![Priority::default(); priorities]);
    Arc::new(ClusterLoadAssignment { set: Arc::new(set), collections: Vec::new() })
}

/// Proves: RT-30.
#[test]
fn configuration_is_emitted_when_complete() {
    let mut test = GraphTest::new();
    let dns = ClusterDiscovery::LogicalDns { host: "db.example".into(), port: 5432 };
    let steps: [(KeyKind, &str, AnyResource); 6] = [
        (KeyKind::Listener, "greeter", rds("routes")),
        (KeyKind::RouteConfiguration, "routes", routes("greeter:80", &["a", "b", "dns"])),
        (KeyKind::Cluster, "a", eds("a")),
        (KeyKind::Cluster, "dns", cluster("dns", dns)),
        (KeyKind::Cluster, "b", eds("b")),
        (KeyKind::Endpoints, "a", endpoints(2)),
    ];
    for (kind, name, value) in steps {
        assert_eq!(test.shown(), "-", "before {name}");
        test.put(kind, name, value);
    }
    test.fail(KeyKind::Endpoints, "b", ProblemKind::DoesNotExist);
    let error = "xDS endpoints \"b\": trouble (control server 127.0.0.1:15010, node n1)";
    assert_eq!(test.shown(), format!("a=2 b=?{error} dns=db.example:5432"));
    assert_eq!(test.watched(), ["greeter", "routes", "a", "b", "dns", "a", "b"]);
}

#[test]
fn inline_routes_need_no_route_configuration() {
    let mut test = GraphTest::new();
    let inline = RouteConfiguration { virtual_hosts: vec![host("*", &["a"])], ..Default::default() };
    let routes = RouteSource::Inline(Arc::new(inline));
    let listener =
        ApiListener { routes, max_stream_duration: Some(Duration::from_secs(5)), filters: Arc::default() };
    test.put(KeyKind::Listener, "greeter", Arc::new(Listener::Api(listener)));
    test.put(KeyKind::Cluster, "a", eds("a"));
    test.put(KeyKind::Endpoints, "a", endpoints(1));
    assert_eq!(test.shown(), "a=1");
    assert_eq!(test.config().max_stream_duration(), Some(Duration::from_secs(5)));
}

/// Proves: RT-28.
#[test]
fn old_routes_are_used_until_the_new_ones_are_complete() {
    let mut test = GraphTest::serving(&["a"]);
    let old = test.config();
    test.put(KeyKind::Listener, "greeter", rds("new"));
    assert!(Arc::ptr_eq(&test.config(), &old));
    test.put(KeyKind::RouteConfiguration, "new", routes("*", &["b"]));
    test.put(KeyKind::Cluster, "b", eds("b"));
    assert!(Arc::ptr_eq(&test.config(), &old));
    test.put(KeyKind::Endpoints, "a", endpoints(2));
    assert_eq!(test.shown(), "a=2");
    assert!(Arc::ptr_eq(&test.config().virtual_hosts()[0], &old.virtual_hosts()[0]));
    assert_eq!(test.watched(), ["greeter", "new", "routes", "a", "b", "a", "b"]);
    test.put(KeyKind::Endpoints, "b", endpoints(1));
    assert_eq!(test.shown(), "b=1");
    assert_eq!(test.watched(), ["greeter", "new", "b", "b"]);

    let aggregates = [
        ("top", aggregate("top", &["mid", "b", "gone"])),
        ("mid", aggregate("mid", &["c", "b"])),
        ("c", eds("c")),
    ];
    test.put(KeyKind::RouteConfiguration, "new", routes("*", &["top", "loop", "empty"]));
    for (name, value) in aggregates {
        test.put(KeyKind::Cluster, name, value);
    }
    test.put(KeyKind::Cluster, "loop", aggregate("loop", &["loop"]));
    test.put(KeyKind::Cluster, "empty", aggregate("empty", &["gone"]));
    test.put(KeyKind::Endpoints, "c", endpoints(3));
    assert_eq!(test.shown(), "b=1");
    test.fail(KeyKind::Cluster, "gone", ProblemKind::DoesNotExist);
    let end = "(control server 127.0.0.1:15010, node n1)";
    let shown = format!(
        "b=1 c=3 empty=!xDS cluster \"empty\": none of the clusters that it is made of exists {end} \
         loop=!xDS cluster \"loop\": is made of clusters more than 16 deep, or of itself {end} top=[c,b]"
    );
    assert_eq!(test.shown(), shown);
    test.put(KeyKind::Cluster, "gone", eds("gone"));
    test.put(KeyKind::Endpoints, "gone", endpoints(1));
    assert!(test.shown().ends_with("top=[c,b,gone]"), "{}", test.shown());
}

/// Proves: RT-32.
#[test]
fn used_resources_keep_changing_while_new_ones_are_missing() {
    let mut test = GraphTest::serving(&["a", "b"]);
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "b", "far"]));
    for priorities in [2, 3] {
        test.put(KeyKind::Endpoints, "a", endpoints(priorities));
        assert_eq!(test.shown(), format!("a={priorities} b=1"));
    }
    test.put(KeyKind::Cluster, "b", aggregate("b", &["a"]));
    assert_eq!(test.shown(), "a=3 b=[a]");
    test.fail(KeyKind::Cluster, "a", ProblemKind::DoesNotExist);
    assert_eq!(test.shown(), "a=3 b=[a]", "what the old routes need may be gone already");
    test.put(KeyKind::Cluster, "a", eds("a"));
    test.put(KeyKind::Cluster, "b", aggregate("b", &["a", "late"]));
    assert_eq!(test.shown(), "a=3 b=[a]", "a part that is incomplete is waited for too");
    test.put(KeyKind::Endpoints, "a", endpoints(4));
    assert_eq!(test.shown(), "a=4 b=[a]");
    for name in ["late", "far"] {
        test.put(KeyKind::Cluster, name, eds(name));
        test.put(KeyKind::Endpoints, name, endpoints(1));
    }
    assert_eq!(test.shown(), "a=4 b=[a,late] far=1 late=1");
    test.fail(KeyKind::RouteConfiguration, "routes", ProblemKind::Rejected);
    test.put(KeyKind::Endpoints, "a", endpoints(5));
    assert_eq!(test.shown(), "a=5 b=[a,late] far=1 late=1", "nor does a bad update stop them");
}

#[test]
fn unchanged_parts_are_shared_and_unchanged_configuration_is_not_emitted() {
    let mut test = GraphTest::serving(&["a", "b"]);
    let old = test.config();
    for name in ["a", "b"] {
        test.put(KeyKind::Cluster, name, eds(name));
        test.put(KeyKind::Endpoints, name, endpoints(1));
    }
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
    test.put(KeyKind::Listener, "greeter", rds("routes"));
    assert!(Arc::ptr_eq(&old, &test.config()), "equal, though decoded anew");
    test.put(KeyKind::Endpoints, "b", endpoints(2));
    let new = test.config();
    assert!(Arc::ptr_eq(&old.virtual_hosts()[0], &new.virtual_hosts()[0]));
    let endpoints_of = |config: &MeshConfig, name: &str| {
        let cluster = config.clusters()[name].clone().unwrap();
        let Discovery::Endpoints(endpoints) = cluster.discovery else { panic!("not by EDS") };
        (cluster.settings, endpoints.unwrap())
    };
    assert!(Arc::ptr_eq(&endpoints_of(&old, "a").0, &endpoints_of(&new, "a").0));
    assert!(Arc::ptr_eq(&endpoints_of(&old, "a").1, &endpoints_of(&new, "a").1));
    assert!(Arc::ptr_eq(&endpoints_of(&old, "b").0, &endpoints_of(&new, "b").0));
    assert!(!Arc::ptr_eq(&endpoints_of(&old, "b").1, &endpoints_of(&new, "b").1));
}

#[test]
fn cluster_that_comes_back_a_hundred_times_is_used_each_time() {
    let mut test = GraphTest::serving(&["a"]);
    for round in 1..=100 {
        test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a", "b"]));
        test.put(KeyKind::Cluster, "b", eds("b"));
        test.put(KeyKind::Endpoints, "b", endpoints(round));
        assert_eq!(test.shown(), format!("a=1 b={round}"));
        test.put(KeyKind::RouteConfiguration, "routes", routes("*", &["a"]));
        assert_eq!(test.shown(), "a=1");
        test.shelf.views.retain(|key, _| &*key.name != "b");
    }
    test.graph.stop(&mut test.shelf);
    assert_eq!(test.watched(), Vec::<String>::new());
}

#[test]
fn two_thousand_clusters_cost_a_handful_of_walks() {
    let names: Vec<String> = (0..2_000).map(|index| format!("cluster-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut test = GraphTest::new();
    test.put(KeyKind::Listener, "greeter", rds("routes"));
    test.put(KeyKind::RouteConfiguration, "routes", routes("*", &names));
    names.iter().for_each(|name| test.put(KeyKind::Cluster, name, eds(name)));
    names.iter().for_each(|name| test.put(KeyKind::Endpoints, name, endpoints(1)));
    let clusters: HashMap<Name, _> = test.config().clusters().clone();
    assert_eq!(clusters.len(), names.len());
    let looks = test.shelf.looks.get();
    assert!(looks < 10 * names.len(), "{looks} looks");
}
