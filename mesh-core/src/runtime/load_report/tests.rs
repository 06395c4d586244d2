use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoadStore;
use super::store::MAX_LEFT;
use crate::config::{ClusterSettings, LocalityId, Name};
use crate::policy::load_report::{Ending, LocalitySums};

fn settings(cluster: &str, server: Option<&str>) -> ClusterSettings {
    ClusterSettings { load_reporting: server.map(Name::from), ..ClusterSettings::new(cluster) }
}

/// Proves: TR-47, TR-64.
#[test]
fn server_gets_the_reports_of_the_clusters_that_it_supplied() {
    let (store, now) = (Arc::new(LoadStore::default()), Instant::now());
    assert!(store.start(now, &settings("quiet", None)).is_none());
    let here = store.start(now, &settings("a", Some("one"))).unwrap();
    let also_here = store.start(now, &settings("a", Some("one"))).unwrap();
    let there = store.start(now, &settings("a", Some("two"))).unwrap();
    [&here, &also_here, &there].into_iter().for_each(|it| it.counts().drop_over_limit());
    let drops = |server: &str| {
        let reports = store.take(now, server, |_| true);
        reports.iter().map(|report| (report.cluster.to_string(), report.sums.total_drops)).collect::<Vec<_>>()
    };
    assert_eq!(drops("one"), [("a".to_owned(), 2)], "all configurations count together");
    assert_eq!(drops("two"), [("a".to_owned(), 1)]);
    assert_eq!(drops("three"), []);
}

/// Proves: TR-66.
#[test]
fn interval_is_measured_per_cluster() {
    let (store, start) = (Arc::new(LoadStore::default()), Instant::now());
    let second = Duration::from_secs(1);
    let a = store.start(start, &settings("a", Some("s"))).unwrap();
    let b = store.start(start + second, &settings("b", Some("s"))).unwrap();
    let take = |seconds: u32, wanted: &[&str]| {
        [&a, &b].into_iter().for_each(|it| it.counts().drop_over_limit());
        let reports = store.take(start + second * seconds, "s", |cluster| wanted.contains(&cluster));
        reports
            .into_iter()
            .map(|report| (report.cluster.to_string(), report.interval.as_secs(), report.sums.total_drops))
            .collect::<Vec<_>>()
    };
    let row = |cluster: &str, interval, drops| (cluster.to_owned(), interval, drops);
    assert_eq!(take(3, &["a", "b"]), [row("a", 3, 1), row("b", 2, 1)]);
    assert_eq!(take(4, &["a"]), [row("a", 1, 1)], "only what the server asked for");
    assert_eq!(take(10, &["a", "b"]), [row("a", 6, 1), row("b", 7, 2)], "the rest has been kept");
}

/// Proves: TR-69.
#[test]
fn dropped_cluster_is_reported_until_its_last_call_has_ended() {
    let (store, now) = (Arc::new(LoadStore::default()), Instant::now());
    let servers = store.servers();
    let cluster = store.start(now, &settings("a", Some("s"))).unwrap();
    assert_eq!(*servers.borrow(), [("s".into(), 1)].into());
    let running = cluster.counts().locality(&LocalityId::default());
    running.start();
    // One that was not sent after all.
    running.start();
    running.withdraw();
    drop(cluster);
    assert_eq!(*servers.borrow(), [].into());

    let take = || store.take(now, "s", |_| true).pop().map(|report| report.sums.localities);
    let sums = |localities: Option<BTreeMap<LocalityId, LocalitySums>>| {
        localities.unwrap().remove(&LocalityId::default()).unwrap()
    };
    let first = sums(take());
    assert_eq!((first.issued, first.succeeded, first.in_progress), (1, 0, 1));
    running.end(Ending::Success);
    drop(running);
    let last = sums(take());
    assert_eq!((last.issued, last.succeeded, last.failed, last.in_progress), (0, 1, 0, 0), "it ended once");
    assert!(take().is_none());
    assert!(store.clusters.lock().unwrap().entries.is_empty(), "and is forgotten");
}

#[test]
fn store_is_dropped_with_its_last_user() {
    let store = Arc::new(LoadStore::default());
    let servers = store.servers();
    let cluster = store.start(Instant::now(), &settings("a", Some("s"))).unwrap();
    drop(store);
    assert!(servers.has_changed().is_ok());
    drop(cluster);
    assert!(servers.has_changed().is_err());
}

#[test]
fn dropped_clusters_do_not_accumulate_without_reports() {
    let (store, now) = (Arc::new(LoadStore::default()), Instant::now());
    let kept = store.start(now, &settings("kept", Some("s"))).unwrap();
    for round in 0..2 * MAX_LEFT {
        let cluster = store.start(now, &settings(&format!("c{round}"), Some("s"))).unwrap();
        cluster.counts().drop_over_limit();
        drop(store.start(now, &settings("again", Some("s"))));
    }
    assert_eq!(store.clusters.lock().unwrap().entries.len(), MAX_LEFT + 1);
    kept.counts().drop_over_limit();
    let reports = store.take(now, "s", |_| true);
    let has = |name: &str| reports.iter().any(|report| &*report.cluster == name);
    assert!(has("kept") && has(&format!("c{}", 2 * MAX_LEFT - 1)) && !has("c0"), "the oldest went");
    store.take(now, "s", |_| true);
    assert_eq!(store.clusters.lock().unwrap().footprint(), (1, 0), "what has been asked for is forgotten");
}
