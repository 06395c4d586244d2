//! Clusters on real endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{cluster_of, pick, set};
use crate::config::Endpoint;
use crate::policy::backoff::BackoffSettings;
use crate::policy::lb::Pick;
use crate::policy::subchannel::Settings;
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};
use crate::runtime::connect::{Connection, Http2Connection, Http2Connector, SendErrorKind, SendFailure};
use crate::runtime::testing::{ChannelBody, Counts, Server, body, call, eventually};

/// One call, sent again as long as it has not left the process.
pub(super) async fn send_one(
    cluster: &ClusterHandle<Http2Connector>,
    rng: &mut StdRng,
) -> Result<(), String> {
    let mut request = call("/echo", body("hello"));
    loop {
        let (version, connection) = {
            let published = cluster.published();
            let connection: Option<Http2Connection> = match pick(&published, rng) {
                Pick::Endpoint(id) => published.slot(id).and_then(|slot| slot.connection()),
                Pick::Wait(_) => None,
                other => break Err(format!("{other:?}")),
            };
            (published.version, connection)
        };
        match connection.filter(Connection::is_open) {
            None => cluster.changed(version).await,
            Some(connection) => match connection.send(request).await {
                Ok(response) => {
                    let collected = response.into_body().collect().await;
                    break collected.map(drop).map_err(|error| format!("{error:?}"));
                }
                Err(SendFailure { error, unread: Some(back) }) if error.kind() == SendErrorKind::NotSent => {
                    request = call("/echo", back.body.rest.unwrap());
                }
                Err(failure) => break Err(format!("{failure:?}")),
            },
        }
    }
}

/// Sends calls one after the other until told to stop; the failures.
async fn load(
    cluster: Arc<ClusterHandle<Http2Connector>>,
    mut stop: watch::Receiver<bool>,
    sent: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut rng = StdRng::seed_from_u64(1);
    while !*stop.borrow_and_update() {
        let outcome = send_one(&cluster, &mut rng).await;
        sent.fetch_add(1, Ordering::SeqCst);
        failures.extend(outcome.err());
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_go_away_under_load_fail_no_call() {
    for endpoints in [1, 3] {
        let mut servers = Vec::new();
        for _ in 0..endpoints {
            servers.push(Server::start().await);
        }
        // Connections that break at once are normal here.
        let backoff = BackoffSettings { initial: Duration::from_millis(10), ..BackoffSettings::default() };
        let subchannel = Settings { backoff, ..Settings::default() };
        let settings = PoolSettings { subchannel, ..PoolSettings::default() };
        let pool = Pool::new(Http2Connector::default(), settings);
        let all = servers.iter().map(|server| Endpoint::new(server.address)).collect();
        let cluster = ClusterHandle::start(&cluster_of(set(all)), &pool, 1);
        let (stop, stopped) = watch::channel(false);
        let sent = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> =
            (0..8).map(|_| tokio::spawn(load(cluster.clone(), stopped.clone(), sent.clone()))).collect();
        for round in 0..10 {
            for server in &servers {
                let before = Counts::of(&sent);
                eventually("calls go on", || Counts::of(&sent) > before + 100).await;
                server.drain();
            }
            let accepted = servers.iter().map(Server::accepted).sum::<usize>();
            assert!(accepted <= endpoints * (round + 2), "one connection at a time");
        }
        stop.send_replace(true);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Vec::<String>::new());
        }
        drop(cluster);
        for server in &servers {
            eventually("no connection is left", || server.open() == 0).await;
        }
    }
}

#[tokio::test]
async fn removed_endpoint_finishes_its_calls() {
    let servers = [Server::start().await, Server::start().await];
    let pool = Pool::new(Http2Connector::default(), PoolSettings::default());
    let only = |server: &Server| cluster_of(set(vec![Endpoint::new(server.address)]));
    let cluster = ClusterHandle::start(&only(&servers[0]), &pool, 1);
    let connection: Http2Connection = loop {
        let version = cluster.published().version;
        match cluster.published().endpoints().find_map(|(_, slot)| slot.connection()) {
            Some(connection) => break connection,
            None => cluster.changed(version).await,
        }
    };
    let (feed, chunks) = tokio::sync::mpsc::unbounded_channel();
    let upload = ChannelBody { chunks, taken: Arc::default() };
    let response = connection.send(call("/echo", upload.boxed_unsync())).await.unwrap();
    drop(connection);
    cluster.update(&only(&servers[1]));
    eventually("the other endpoint is connected", || servers[1].open() == 1).await;
    eventually("the removed one is dropped", || pool.subchannel_count() == 1).await;
    feed.send(Bytes::from_static(b"late")).unwrap();
    drop(feed);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "late");
    eventually("its connection ends with the call", || servers[0].open() == 0).await;
    assert_eq!(servers[0].accepted(), 1);
}

#[tokio::test]
async fn dropping_all_handles_leaves_no_task_and_no_connection() {
    let servers = [Server::start().await, Server::start().await];
    let idle = Handle::current().metrics().num_alive_tasks();
    let pool = Pool::new(Http2Connector::default(), PoolSettings::default());
    let both = cluster_of(set(servers.iter().map(|server| Endpoint::new(server.address)).collect()));
    let clusters: Vec<_> = (0..200).map(|seed| ClusterHandle::start(&both, &pool, seed)).collect();
    for server in &servers {
        eventually("the endpoint is connected", || server.open() == 1).await;
    }
    drop(clusters);
    for server in &servers {
        eventually("no connection is left", || server.open() == 0).await;
        assert_eq!(server.accepted(), 1, "all clusters share it");
    }
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() == idle).await;
    assert_eq!(pool.subchannel_count(), 0);
}
