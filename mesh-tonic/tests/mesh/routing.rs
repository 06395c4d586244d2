//! Which cluster takes a call.

use std::collections::HashMap;
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::{
    ClusterChoice, DomainPattern, Forward, ResourceError, RetryBackoff, RetryPolicy, RouteAction, RouteMatch,
    WeightedCluster,
};
use mesh_core::policy::matcher::PathMatcher;
use mesh_core::runtime::FixedSource;
use mesh_core::testing::reserved_address;
use tonic::Code;

use crate::config::{Config, retrying};
use crate::endpoint::Endpoint;
use crate::{asking, call, client, eventually};

fn only(path: &str) -> RouteMatch {
    let path = PathMatcher::Exact { path: path.to_owned(), ignore_case: false };
    RouteMatch::new(path)
}

#[tokio::test]
async fn calls_are_split_by_weight() {
    let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
    let weight = |name: &str, weight| WeightedCluster::new(name, weight);
    let clusters = ClusterChoice::weighted([weight("a", 20), weight("b", 80)]).unwrap();
    let config =
        Config::default().cluster("a", &[a.address]).cluster("b", &[b.address]).to(Forward::new(clusters));
    let mesh = Mesh::builder(FixedSource::any(config.build())).seed(20).build();
    let mut client = client(&mesh);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..1000 {
        *counts.entry(call(&mut client).await.unwrap()).or_default() += 1;
    }
    assert!(counts["a"].abs_diff(200) <= 30, "{counts:?}");
}

/// Proves: RT-22, RT-27.
#[tokio::test]
async fn weighted_choice_ignores_connectivity() {
    let live = Endpoint::start("live").await;
    let weight = |name: &str, weight| WeightedCluster::new(name, weight);
    let clusters = ClusterChoice::weighted([weight("live", 1), weight("dead", 1)]).unwrap();
    let config = Config::default()
        .cluster("live", &[live.address])
        .cluster("dead", &[reserved_address()])
        .to(Forward::new(clusters).with_retry(retrying(3)));
    let mesh = Mesh::builder(FixedSource::any(config.build())).seed(22).build();
    let mut client = client(&mesh);
    let mut failed = 0;
    for _ in 0..200 {
        // retries stay in the cluster of the call, so that they cannot help
        failed += usize::from(call(&mut client).await.is_err());
    }
    assert!(failed.abs_diff(100) <= 35, "{failed}");
}

/// Proves: RT-05, RT-20, RT-21, RT-26.
#[tokio::test]
async fn calls_without_a_usable_route_or_cluster_are_unavailable() {
    let nowhere = || Config::default().cluster("a", &[]);
    let missing = ResourceError::new("cluster gone was deleted (node n-1)");
    let elsewhere = DomainPattern::parse("elsewhere").unwrap();
    let rows = [
        ("no virtual host", Config { domain: Some(elsewhere), ..nowhere().to(Forward::to("a")) }),
        ("no route matches", nowhere().route(only("/other"), Forward::to("a"))),
        (
            "not one for clients: redirect",
            nowhere().action(RouteMatch::any(), RouteAction::Unsupported("redirect")),
        ),
        ("gone was deleted", nowhere().entry("gone", Err(missing)).to(Forward::to("gone"))),
    ];
    for (text, config) in rows {
        let mesh = Mesh::fixed(config.build());
        let mut client = client(&mesh);
        let mut request = tonic::Request::new(crate::hello("you"));
        // even a call that waits for ready: there is nothing to wait for
        request.extensions_mut().insert(mesh_tonic::WaitForReady(true));
        let status = client.say_hello(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{text}");
        assert!(status.message().contains(text), "{text:?} is not in {:?}", status.message());
    }
}

/// The routes change while a call waits for its retry: neither its cluster nor its policy does.
///
/// Proves: RT-23, RT-24.
#[tokio::test]
async fn call_is_routed_once_and_keeps_its_cluster_until_it_is_committed() {
    let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
    let source = FixedSource::new();
    let backoff = RetryBackoff { initial: Duration::from_millis(500), max: Duration::from_secs(1) };
    let patient = RetryPolicy::clone(&retrying(2)).with_backoff(backoff);
    let to_a = Forward::to("a").with_retry(patient);
    source.set("greeter", Config::default().cluster("a", &[a.address]).to(to_a).build());
    let mesh = Mesh::new(source.clone());
    let client = client(&mesh);
    let mut caller = client.clone();
    let call =
        tokio::spawn(
            async move { caller.say_hello(asking("error-code-14,succeed-on-retry-attempt-1")).await },
        );
    eventually("the first attempt has come", || a.calls() == 1).await;
    source.set("greeter", Config::default().cluster("b", &[b.address]).to(Forward::to("b")).build());
    let mut other = client;
    eventually("the new routes are used", || b.connections() == 1).await;
    assert_eq!(crate::call(&mut other).await.unwrap(), "b");
    assert_eq!(a.connections(), 1);
    assert_eq!(call.await.unwrap().unwrap().into_inner().endpoint, "a");
    eventually("the removed cluster is disconnected", || a.connections() == 0).await;
}

/// Proves: RT-25.
#[tokio::test]
async fn cluster_leaves_and_returns_under_load_without_failed_call() {
    let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
    let source = FixedSource::new();
    let to_a = || Config::default().cluster("a", &[a.address]).to(Forward::to("a")).build();
    let to_b = || Config::default().cluster("b", &[b.address]).to(Forward::to("b")).build();
    source.set("greeter", to_a());
    let mesh = Mesh::new(source.clone());
    let client = client(&mesh);
    let load: Vec<_> = (0..4)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for _ in 0..1500 {
                    call(&mut client).await?;
                }
                Ok::<_, tonic::Status>(())
            })
        })
        .collect();
    for round in 0..100 {
        source.set("greeter", if round % 2 == 0 { to_b() } else { to_a() });
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for task in load {
        task.await.unwrap().unwrap();
    }
    let (mut client, expected) = (client, "a");
    assert_eq!(call(&mut client).await.unwrap(), expected);
    eventually("the cluster that has left has no connection", || b.connections() == 0).await;
}

/// The only thread that may be blocked is busy until the gate opens, so that whatever is compiled there waits, and whatever
/// is compiled elsewhere does not.
#[test]
fn large_configurations_are_compiled_off_the_workers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let endpoint = Endpoint::start("a").await;
        let routes = |count: usize| {
            let config = Config::default().cluster("a", &[endpoint.address]);
            let path = |config: Config, n: usize| config.route(only(&format!("/{n}")), Forward::to("a"));
            (1..count).fold(config, path).to(Forward::to("a")).build()
        };
        let (open, gate) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || gate.recv());
        let mut small = client(&Mesh::fixed(routes(10)));
        assert_eq!(call(&mut small).await.unwrap(), "a");
        let large = Mesh::fixed(routes(2000));
        let mut client = client(&large);
        let mut waiting = std::pin::pin!(call(&mut client));
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("{answer:?}"),
            // the runtime's only worker goes on meanwhile
            answer = call(&mut small) => assert_eq!(answer.unwrap(), "a"),
        }
        open.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), "a");
    });
}
