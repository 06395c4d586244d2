//! What a cluster says of its connections, and what happens to them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::network::{Habit, Net, Room};
use super::{cluster_of, set};
use crate::config::{Cluster, ClusterSettings, ConnectionSettings, Endpoint, EndpointSet, TcpKeepalive};
use crate::policy::lb::Connectivity;
use crate::policy::subchannel::ConnectTimeout;
use crate::runtime::balance::{ClusterHandle, MaxQueued, Pool, PoolSettings, Slot};
use crate::runtime::connect::{Connection, Reserve};
use crate::runtime::testing::eventually;

type Handle = Arc<ClusterHandle<Net>>;

fn address() -> SocketAddr {
    ([10, 1, 0, 1], 80).into()
}

fn one_endpoint(change: impl FnOnce(&mut ConnectionSettings)) -> Cluster {
    let mut connection = ConnectionSettings::default();
    change(&mut connection);
    let settings = ClusterSettings { connection, ..ClusterSettings::new("test") };
    Cluster { settings: Arc::new(settings), ..cluster_of(set(vec![Endpoint::new(address())])) }
}

fn slot(cluster: &Handle) -> Arc<Slot<<Net as crate::runtime::connect::Connect>::Connection>> {
    cluster.published().endpoints().next().map(|(_, slot)| slot.clone()).expect("the endpoint")
}

async fn until_ready(cluster: &Handle) {
    eventually("the endpoint is connected", || {
        matches!(cluster.published().state, Connectivity::Ready) && slot(cluster).connection().is_some()
    })
    .await;
}

/// Takes all the room that there is now.
fn fill(cluster: &Handle) -> Vec<Room> {
    let slot = slot(cluster);
    let room = std::iter::from_fn(|| match slot.reserve() {
        Some(Reserve::Place(place)) => Some(place),
        _ => None,
    });
    room.collect()
}

/// Proves: CDS-21.
#[tokio::test(start_paused = true)]
async fn attempt_takes_no_longer_than_the_clusters_connect_timeout() {
    let net = Net::default();
    net.set(address(), Habit::Silence);
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let limit = Duration::from_secs(3);
    let begun = Instant::now();
    let cluster =
        ClusterHandle::start(&one_endpoint(|connection| connection.connect_timeout = Some(limit)), &pool, 1);
    let failure = || match &cluster.published().state {
        Connectivity::TransientFailure(reason) => Some(reason.to_string()),
        _ => None,
    };
    eventually("the attempt is given up", || failure().is_some()).await;
    assert!((limit..limit * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(failure().unwrap().contains("no connection within 3s"), "{:?}", failure());
}

/// Proves: LB-74.
#[tokio::test(start_paused = true)]
async fn attempt_takes_as_long_as_the_mesh_allows_where_the_cluster_has_no_connect_timeout() {
    let net = Net::default();
    net.set(address(), Habit::Silence);
    let mut settings = PoolSettings::default();
    settings.subchannel.connect_timeout = ConnectTimeout(Duration::from_secs(47));
    for (settings, expected) in [(PoolSettings::default(), 20), (settings, 47)] {
        let pool = Pool::new(net.clone(), settings);
        let begun = Instant::now();
        let cluster = ClusterHandle::start(&one_endpoint(|_| {}), &pool, 1);
        while !matches!(cluster.published().state, Connectivity::TransientFailure(_)) {
            cluster.changed(cluster.published().version).await;
        }
        assert_eq!(begun.elapsed().as_secs(), expected);
    }
}

/// Proves: CDS-12, LB-78.
#[tokio::test(start_paused = true)]
async fn further_connections_are_made_when_all_are_full_and_no_more_than_allowed() {
    for (allowed, made) in [(1, 1), (3, 3), (1_000, 10)] {
        let net = Net::default();
        net.limit_room(2);
        let pool = Pool::new(net.clone(), PoolSettings::default());
        let settings =
            one_endpoint(|connection| connection.max_connections = NonZeroU32::new(allowed).unwrap());
        let cluster = ClusterHandle::start(&settings, &pool, 1);
        until_ready(&cluster).await;
        let mut held = fill(&cluster);
        assert_eq!(held.len(), 2, "one connection until it is full");
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            held.extend(fill(&cluster));
        }
        assert_eq!((held.len(), net.all_attempts()), (2 * made, made), "{allowed} allowed");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_further_connection_is_tried_again_after_a_pause_and_fails_no_call() {
    let net = Net::default();
    net.limit_room(1);
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let settings = one_endpoint(|connection| connection.max_connections = NonZeroU32::new(2).unwrap());
    let cluster = ClusterHandle::start(&settings, &pool, 1);
    until_ready(&cluster).await;
    net.set(address(), Habit::Refuse);
    let held = fill(&cluster);
    for _ in 0..1_000 {
        assert!(matches!(slot(&cluster).reserve(), Some(Reserve::Full)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let attempts = net.all_attempts();
    assert!((4..10).contains(&attempts), "{attempts} attempts in 10 s");
    assert!(matches!(cluster.published().state, Connectivity::Ready));
    drop(held);
    assert_eq!(fill(&cluster).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_get_room_in_order_and_move_when_endpoint_leaves() {
    let net = Net::default();
    net.limit_room(1);
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let cluster = ClusterHandle::start(&one_endpoint(|_| {}), &pool, 1);
    until_ready(&cluster).await;
    let held = fill(&cluster);
    let slot = slot(&cluster);
    let first = tokio::spawn(slot.queue(MaxQueued(2)).unwrap());
    let second = tokio::spawn(slot.queue(MaxQueued(2)).unwrap());
    assert!(slot.queue(MaxQueued(2)).is_none(), "the queue is bounded");
    tokio::task::yield_now().await;
    assert_eq!(slot.queued(), 2);
    drop(held);
    let place = first.await.unwrap();
    assert!(place.is_some() && !second.is_finished());
    cluster.update(&cluster_of(EndpointSet::default()));
    assert!(second.await.unwrap().is_none(), "the endpoint has left");
    assert_eq!(slot.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn connector_gets_the_clusters_settings_and_other_settings_are_another_connection() {
    let net = Net::default();
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let with = |local| one_endpoint(move |connection| connection.local_address = local);
    let plain = ClusterHandle::start(&with(None), &pool, 1);
    let same = ClusterHandle::start(&with(None), &pool, 2);
    let bound = ClusterHandle::start(&with(Some(local)), &pool, 3);
    for cluster in [&plain, &same, &bound] {
        until_ready(cluster).await;
    }
    assert_eq!((net.all_attempts(), pool.subchannel_count()), (2, 2), "equal settings share a connection");
    plain.update(&one_endpoint(|connection| {
        connection.tcp_keepalive =
            Some(TcpKeepalive { time: Some(Duration::from_secs(9)), ..TcpKeepalive::default() });
    }));
    eventually("the new settings are used", || {
        let target = net.0.last_target.lock().unwrap().clone().unwrap();
        target.connection.tcp_keepalive.is_some_and(|probes| probes.time == Some(Duration::from_secs(9)))
    })
    .await;
    until_ready(&plain).await;
    assert!(slot(&same).connection().is_some_and(|connection| connection.is_open()));
}

/// A dialer may be a user's code.
#[tokio::test(start_paused = true)]
async fn dialer_that_panics_is_a_failed_attempt() {
    let net = Net::default();
    net.set(address(), Habit::Panic);
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let cluster = ClusterHandle::start(&one_endpoint(|_| {}), &pool, 1);
    eventually("the attempt fails", || {
        matches!(&cluster.published().state, Connectivity::TransientFailure(reason) if reason.contains("panicked"))
    })
    .await;
    net.set(address(), Habit::Accept(Duration::ZERO));
    until_ready(&cluster).await;
}

#[tokio::test(start_paused = true)]
async fn silent_endpoints_do_not_delay_others() {
    let net = Net::default();
    let silent: Vec<SocketAddr> = (0..600).map(|port| ([10, 2, 0, 1], 1_000 + port).into()).collect();
    silent.iter().for_each(|address| net.set(*address, Habit::Silence));
    let all = silent.into_iter().chain([address()]).map(Endpoint::new).collect();
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let begun = Instant::now();
    let cluster = ClusterHandle::start(&cluster_of(set(all)), &pool, 1);
    eventually("a call can be sent", || matches!(cluster.published().state, Connectivity::Ready)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
