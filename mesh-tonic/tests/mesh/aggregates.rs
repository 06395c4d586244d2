//! Aggregate clusters: which leaf takes a call, and where it counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DropCategory, Forward, MaxRequests, ResourceError, RouteMatch,
};
use mesh_core::policy::load_report::ClusterReport;
use mesh_core::policy::matcher::{Fraction, PathMatcher};
use mesh_core::runtime::FixedSource;
use mesh_core::testing::reserved_address;
use mesh_tonic::WaitForReady;
use tonic::{Code, Request};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::load_reports::{Source, cluster, counts, settings, zone};
use crate::{asking, call, client, eventually, hello};

fn aggregate(leaves: &[&str]) -> Cluster {
    let leaves = leaves.iter().map(|leaf| (*leaf).into()).collect();
    Cluster::new(ClusterSettings::new("all"), Discovery::Aggregate(leaves))
}

/// Every call to an aggregate of `leaves`.
fn to_all(leaves: &[&str]) -> Config {
    Config::default().entry("all", Ok(aggregate(leaves))).to(Forward::to("all"))
}

/// Proves: LB-07.
#[tokio::test]
async fn first_leaf_that_works_takes_all_calls_and_the_next_is_not_connected() {
    let (first, second) = (Endpoint::start("first").await, Endpoint::start("second").await);
    let config = |leaves: &[&str]| {
        to_all(leaves).cluster("first", &[first.address]).cluster("second", &[second.address])
    };
    let mesh = Mesh::fixed(config(&["second", "first"]).build());
    let mut to_second = client(&mesh);
    for _ in 0..100 {
        assert_eq!(call(&mut to_second).await.unwrap(), "second");
    }
    assert_eq!(first.connections(), 0);
    let dead = config(&["dead", "first", "second"]).cluster("dead", &[reserved_address()]);
    let mesh = Mesh::fixed(dead.build());
    assert_eq!(call(&mut client(&mesh)).await.unwrap(), "first");
    assert_eq!(second.connections(), 1, "the first mesh's");
}

#[tokio::test]
async fn calls_go_to_the_next_leaf_while_the_first_is_away_and_none_fails() {
    let (first, second) = (Endpoint::start("first").await, Endpoint::start("second").await);
    let address = first.address;
    let config = to_all(&["a", "b"]).cluster("a", &[address]).cluster("b", &[second.address]);
    let mesh = Mesh::fixed(config.build());
    let mut client = client(&mesh);
    assert_eq!(call(&mut client).await.unwrap(), "first");
    first.stop().await;
    for _ in 0..100 {
        assert_eq!(call(&mut client).await.unwrap(), "second");
    }
    let first = Endpoint::start_at("first again", address).await;
    eventually("the first leaf is connected", || first.connections() == 1).await;
    let mut answered = String::new();
    for _ in 0..1000 {
        answered = call(&mut client).await.unwrap();
        if answered == "first again" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(answered, "first again");
}

/// What is reported, by cluster: issued requests, drops of the category `x`, all drops.
fn reported(reports: &[ClusterReport]) -> BTreeMap<&str, (u64, u64, u64)> {
    let of = |report: &ClusterReport| {
        let issued = report.sums.localities.values().map(|sums| sums.issued).sum();
        (issued, report.sums.drops.get("x").copied().unwrap_or_default(), report.sums.total_drops)
    };
    reports.iter().map(|report| (&*report.cluster, of(report))).collect()
}

/// Proves: LB-03.
#[tokio::test]
async fn drops_limits_and_load_are_those_of_the_leaf() {
    let (first, second) = (Endpoint::start("first").await, Endpoint::start("second").await);
    let drop_all = || vec![DropCategory { category: "x".into(), fraction: Fraction::ALL }];
    let none = MaxRequests(0);
    let dead = reserved_address();
    let leaf = |name: &str, address: SocketAddr, limit, drops| {
        let settings = settings(name).with_max_requests(limit);
        cluster(settings, &[(name, address)], drops)
    };
    let free = MaxRequests::default();
    let rows = [
        ("first drops", leaf("a", first.address, free, drop_all()), free, "", &[("a", (0, 3, 3))][..]),
        ("first is full", leaf("a", first.address, none, vec![]), free, "", &[("a", (0, 0, 3))]),
        ("first is away", leaf("a", dead, none, drop_all()), free, "second", &[("b", (3, 0, 0))]),
        ("second is full", leaf("a", dead, free, vec![]), none, "", &[("b", (0, 0, 3))]),
        ("second is not asked", leaf("a", first.address, free, vec![]), none, "first", &[("a", (3, 0, 0))]),
    ];
    for (name, a, limit, answered, expected) in rows {
        let b = leaf("b", second.address, limit, vec![]);
        let config = to_all(&["a", "b"]).entry("a", Ok(a)).entry("b", Ok(b));
        let source = Source::any(config.build());
        let mut client = client(&Mesh::new(source.clone()));
        for _ in 0..3 {
            let outcome = call(&mut client).await;
            assert_eq!(outcome.as_deref().unwrap_or_default(), answered, "{name}: {outcome:?}");
        }
        let reports = source.take();
        assert_eq!(reported(&reports), expected.iter().copied().collect(), "{name}");
        for report in reports.iter().filter(|report| !report.sums.localities.is_empty()) {
            assert_eq!(counts(&report.sums.localities[&zone(&report.cluster)]), [3, 3, 0, 0], "{name}");
        }
    }
}

/// Proves: LB-23.
#[tokio::test]
async fn leaf_that_is_also_a_cluster_of_its_own_has_one_connection_and_one_limit() {
    let endpoint = Endpoint::start("a").await;
    let alone =
        PathMatcher::Exact { path: "/mesh.examples.v1.Greeter/SayHellos".to_owned(), ignore_case: false };
    let config = Config::default()
        .limited("a", &[endpoint.address], MaxRequests(1))
        .entry("all", Ok(aggregate(&["a"])))
        .route(RouteMatch::new(alone), Forward::to("a"))
        .to(Forward::to("all"));
    let mesh = Mesh::fixed(config.build());
    let mut client = client(&mesh);
    call(&mut client).await.unwrap();
    let mut held = client.clone();
    let held = tokio::spawn(async move { held.say_hello(asking("keep-open")).await });
    eventually("the call has arrived", || endpoint.calls() == 2).await;
    let status = client.say_hellos(hello("you")).await.unwrap_err();
    assert!(status.message().contains("1 calls are in flight"), "{status}");
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    drop(client.say_hellos(hello("you")).await.unwrap());
    assert_eq!(endpoint.connections(), 1);
}

/// Proves: RT-26, RT-32.
#[tokio::test]
async fn leaves_that_are_missing_are_skipped_and_an_aggregate_of_none_is_an_error() {
    let endpoint = Endpoint::start("a").await;
    let missing = |name: &str| Err(ResourceError::new(format!("cluster {name} does not exist")));
    let source = FixedSource::new();
    let one = to_all(&["x", "a"]).entry("x", missing("x")).cluster("a", &[endpoint.address]);
    source.set("greeter", one.build());
    let mesh = Mesh::new(source.clone());
    let client = client(&mesh);
    assert_eq!(call(&mut client.clone()).await.unwrap(), "a");

    let dead = to_all(&["x", "a"]).entry("x", missing("x")).cluster("a", &[reserved_address()]);
    source.set("greeter", dead.build());
    let mut impatient = client.clone();
    let mut message = String::new();
    for _ in 0..1000 {
        match call(&mut impatient).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(status) => {
                message = status.message().to_owned();
                break;
            }
        }
    }
    assert!(message.contains("refused") && message.contains("cluster x does not exist"), "{message}");

    let patient = |mut client: crate::Client| async move {
        let mut request = Request::new(hello("you"));
        request.extensions_mut().insert(WaitForReady(true));
        client.say_hello(request).await
    };
    let waiting = tokio::spawn(patient(client.clone()));
    tokio::task::yield_now().await;
    let none = to_all(&["x", "a"]).entry("x", missing("x")).entry("a", missing("a"));
    source.set("greeter", none.build());
    for call in [waiting, tokio::spawn(patient(client.clone()))] {
        let ended = tokio::time::timeout(Duration::from_secs(60), call).await;
        let status = ended.expect("there is nothing to wait for").unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("cluster x does not exist; cluster a does not exist"), "{status}");
    }
    eventually("the connections are closed", || endpoint.connections() == 0).await;
}
