use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::lazy::Lazy;
use super::network::{Habit, Line, Net};
use super::{cluster_of, pick, set};
use crate::config::{
    Cluster, ClusterSettings, Discovery, DropCategory, Endpoint, EndpointAddresses, EndpointSet,
    HealthStatus, LbPolicy, ResourceError,
};
use crate::policy::lb::{Connectivity, EndpointId, EndpointLoad, LbEndpoint, Pick};
use crate::policy::matcher::Fraction;
use crate::runtime::balance::endpoints::Entry;
use crate::runtime::balance::slot::EndpointState;
use crate::runtime::balance::subchannel::Subchannel;
use crate::runtime::balance::{ClusterHandle, MaxConnecting, Pool, PoolSettings, Published, Slot};
use crate::runtime::testing::eventually;
use crate::sharded::Refs;

type FakeCluster = ClusterHandle<Net>;

fn address(number: usize) -> SocketAddr {
    let [.., high, low] = (number as u32).to_be_bytes();
    SocketAddr::from(([10, 1, high, low], 80))
}

fn cluster(numbers: impl IntoIterator<Item = usize>) -> Cluster {
    cluster_of(set(numbers.into_iter().map(|number| Endpoint::new(address(number))).collect()))
}

fn pool() -> (Net, Arc<Pool<Net>>) {
    let net = Net::default();
    (net.clone(), Pool::new(net, PoolSettings::default()))
}

/// The address that a call goes to now.
fn picked(cluster: &FakeCluster) -> Result<SocketAddr, String> {
    let published = cluster.published();
    match pick(&published, &mut StdRng::seed_from_u64(1)) {
        Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => {
            Ok(published.slot(id).unwrap().connection().ok_or("no connection")?.address)
        }
        Pick::Wait(_) => Err("wait".to_owned()),
        Pick::Fail(reason) => Err(reason.to_string()),
        Pick::Drop(category) => Err(format!("dropped: {category}")),
    }
}

async fn until(cluster: &FakeCluster, mut condition: impl FnMut(&Published<Line>) -> bool) {
    let waiting = async {
        loop {
            let (version, holds) = {
                let published = cluster.published();
                (published.version, condition(&published))
            };
            if holds {
                return;
            }
            cluster.changed(version).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), waiting).await.expect("the cluster gets there");
}

fn connected<T: Clone>(published: &Published<T>) -> usize {
    published.endpoints().filter(|(_, slot)| slot.connection().is_some()).count()
}

async fn until_connected(cluster: &FakeCluster, count: usize) {
    until(cluster, |published| connected(published) == count).await;
}

#[tokio::test(start_paused = true)]
async fn calls_wait_with_first_publication() {
    let (_net, pool) = pool();
    let cluster = FakeCluster::start(&cluster([1]), &pool, 1);
    assert_eq!(cluster.published().version, 1);
    assert_eq!(picked(&cluster), Err("wait".to_owned()));
    until_connected(&cluster, 1).await;
    assert_eq!(picked(&cluster), Ok(address(1)));
    assert!(matches!(cluster.published().state, Connectivity::Ready));
}

#[tokio::test(start_paused = true)]
async fn dead_endpoint_takes_no_call_and_one_attempt_per_backoff_step() {
    let (net, pool) = pool();
    net.set(address(1), Habit::Refuse);
    let cluster = FakeCluster::start(&cluster([1, 2]), &pool, 1);
    until_connected(&cluster, 1).await;
    for _ in 0..10_000 {
        assert_eq!(picked(&cluster), Ok(address(2)));
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    let attempts = net.attempts(address(1));
    let mut least = 0.8;
    for gap in attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()) {
        assert!(gap >= least, "{gap} s after a step of at least {least} s");
        least = (least * 1.6).min(96.0);
    }
    assert!((10..=20).contains(&attempts.len()), "{} attempts", attempts.len());
    assert_eq!(net.attempts(address(2)).len(), 1);
    net.set(address(1), Habit::Accept(Duration::ZERO));
    until_connected(&cluster, 2).await;
}

#[tokio::test(start_paused = true)]
async fn failure_to_connect_becomes_the_reason_of_failing_calls() {
    let (net, pool) = pool();
    net.set(address(1), Habit::Refuse);
    let handle = FakeCluster::start(&cluster([1]), &pool, 1);
    until(&handle, |published| matches!(published.state, Connectivity::TransientFailure(_))).await;
    let reason = picked(&handle).unwrap_err();
    assert!(reason.contains("connect to 10.1.0.1:80: refused"), "{reason}");

    let missing = Discovery::Endpoints(Err(ResourceError::new("endpoints \"x\" do not exist")));
    handle.update(&Cluster { discovery: missing, ..cluster([]) });
    until(&handle, |published| published.endpoints().next().is_none()).await;
    let reason = picked(&handle).unwrap_err();
    assert!(reason.contains("endpoints \"x\" do not exist"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn change_of_one_endpoint_keeps_all_others() {
    let (net, pool) = pool();
    let cluster_handle = FakeCluster::start(&cluster(0..1_000), &pool, 1);
    until_connected(&cluster_handle, 1_000).await;
    let before: Vec<_> =
        cluster_handle.published().endpoints().map(|(id, slot)| (id, slot.clone())).collect();
    cluster_handle.update(&cluster((0..1_001).filter(|number| *number != 500)));
    until(&cluster_handle, |published| {
        published.endpoints().any(|(_, slot)| slot.addresses.first() == address(1_000))
    })
    .await;
    until_connected(&cluster_handle, 1_000).await;
    let published = cluster_handle.published();
    for (id, slot) in before.iter().filter(|(_, slot)| slot.addresses.first() != address(500)) {
        assert!(Arc::ptr_eq(published.slot(*id).unwrap().value(), slot), "{id:?} is the same");
    }
    assert_eq!(net.all_attempts(), 1_001);
    let gone = before.iter().find(|(_, slot)| slot.addresses.first() == address(500)).unwrap();
    assert!(gone.1.connection().is_none(), "even those who still hold its slot send nothing there");
    assert_eq!(net.held(), 1_000);

    // The place is used again.
    drop(published);
    cluster_handle.update(&cluster(0..1_001));
    until_connected(&cluster_handle, 1_001).await;
    let published = cluster_handle.published();
    assert_eq!(published.endpoints().map(|(id, _)| id).max(), Some(EndpointId(1_000)));
}

#[tokio::test(start_paused = true)]
async fn removed_endpoint_gets_no_more_attempts() {
    let (net, pool) = pool();
    net.set(address(1), Habit::Refuse);
    net.set(address(2), Habit::Silence);
    let handle = FakeCluster::start(&cluster([1, 2, 3]), &pool, 1);
    until_connected(&handle, 1).await;
    handle.update(&cluster([3]));
    until(&handle, |published| published.endpoints().count() == 1).await;
    let before = net.all_attempts();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(net.all_attempts(), before);
    assert_eq!(net.0.running.load(Ordering::SeqCst), 0, "attempts under way are given up");
    assert_eq!(pool.subchannel_count(), 1);
    assert_eq!(picked(&handle), Ok(address(3)));
}

#[tokio::test(start_paused = true)]
async fn lost_connection_is_made_again() {
    let (net, pool) = pool();
    let handle = FakeCluster::start(&cluster([1, 2]), &pool, 1);
    until_connected(&handle, 2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    net.set(address(1), Habit::Accept(Duration::from_secs(1)));
    net.cut(address(1));
    until_connected(&handle, 1).await;
    assert_eq!(picked(&handle), Ok(address(2)));
    until_connected(&handle, 2).await;
    assert_eq!(net.attempts(address(1)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn clusters_share_connections_until_the_last_handle_is_dropped() {
    let (net, pool) = pool();
    let idle = Handle::current().metrics().num_alive_tasks();
    let first = FakeCluster::start(&cluster([1, 2]), &pool, 1);
    let second = FakeCluster::start(&cluster([2, 3]), &pool, 2);
    until_connected(&first, 2).await;
    until_connected(&second, 2).await;
    assert_eq!(net.all_attempts(), 3);
    // One that comes later has the connection with its first publications.
    let third = FakeCluster::start(&cluster([2]), &pool, 3);
    assert_eq!(picked(&third), Ok(address(2)));
    drop((first, third));
    eventually("the endpoint of the first alone is gone", || net.held() == 2).await;
    assert_eq!(connected(&second.published()), 2);
    drop(second);
    eventually("no connection is left", || net.held() == 0).await;
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() == idle).await;
    assert_eq!(pool.subchannel_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn simultaneous_attempts_are_capped_over_all_clusters() {
    let net = Net::default();
    for number in 0..1_000 {
        net.set(address(number), Habit::Accept(Duration::from_millis(10)));
    }
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let first = FakeCluster::start(&cluster(0..500), &pool, 1);
    let second = FakeCluster::start(&cluster(500..1_000), &pool, 2);
    until_connected(&first, 500).await;
    until_connected(&second, 500).await;
    assert_eq!(net.0.most_running.load(Ordering::SeqCst), 64);

    let narrow = Net::default();
    let settings = PoolSettings { max_connecting: MaxConnecting(0), ..PoolSettings::default() };
    let third = FakeCluster::start(&cluster(0..10), &Pool::new(narrow.clone(), settings), 3);
    until_connected(&third, 10).await;
    assert_eq!(narrow.0.most_running.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn black_holes_do_not_delay_other_endpoints() {
    let (net, pool) = pool();
    (0..200).for_each(|number| net.set(address(number), Habit::Silence));
    let _dark = FakeCluster::start(&cluster(0..200), &pool, 1);
    let begun = Instant::now();
    let bright = FakeCluster::start(&cluster([200]), &pool, 2);
    until_connected(&bright, 1).await;
    assert!(begun.elapsed() <= Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn second_address_wins_when_the_first_is_a_black_hole() {
    let (net, pool) = pool();
    net.set(address(1), Habit::Silence);
    let addresses = EndpointAddresses::new(address(1), [address(2)]);
    let endpoint = Endpoint { addresses, ..Endpoint::new(address(1)) };
    let begun = Instant::now();
    let handle = FakeCluster::start(&cluster_of(set(vec![endpoint])), &pool, 1);
    until_connected(&handle, 1).await;
    assert_eq!(begun.elapsed().as_millis(), 250);
    assert_eq!(picked(&handle), Ok(address(2)));
    assert_eq!(net.0.running.load(Ordering::SeqCst), 0, "the loser is given up");
}

#[tokio::test(start_paused = true)]
async fn another_order_of_addresses_is_the_same_endpoint() {
    let (net, pool) = pool();
    let with = |first, second| {
        let addresses = EndpointAddresses::new(address(first), [address(second)]);
        cluster_of(set(vec![Endpoint { addresses, ..Endpoint::new(address(0)) }]))
    };
    let handle = FakeCluster::start(&with(1, 2), &pool, 1);
    let other = FakeCluster::start(&with(2, 1), &pool, 1);
    until_connected(&handle, 1).await;
    until_connected(&other, 1).await;
    let before = handle.published().version;
    handle.update(&with(2, 1));
    handle.changed(before).await;
    assert_eq!((picked(&handle), net.all_attempts()), (Ok(address(1)), 1), "the connection stays");
    tokio::time::sleep(Duration::from_secs(60)).await;
    net.cut(address(1));
    until(&handle, |_| picked(&handle) == Ok(address(2))).await;
    drop((handle, other));
    eventually("no subchannel is left", || pool.subchannel_count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn burst_of_changes_is_one_publication() {
    let (_net, pool) = pool();
    let handle = FakeCluster::start(&cluster([0]), &pool, 1);
    until_connected(&handle, 1).await;
    let before = handle.published().version;
    (0..100).for_each(|last| handle.update(&cluster(0..=last)));
    handle.changed(before).await;
    let published = handle.published();
    assert_eq!((published.version, published.endpoints().count()), (before + 1, 100));
    let version = published.version;
    drop(published);
    until_connected(&handle, 100).await;
    let connecting = handle.published().version - version;
    assert!(connecting <= 20, "{connecting} publications for 99 connections");

    // The same configuration again costs nothing.
    let same = cluster(0..100);
    handle.update(&same);
    handle.changed(handle.published().version).await;
    let before = handle.published().version;
    handle.update(&same);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(handle.published().version, before);
}

#[tokio::test(start_paused = true)]
async fn wait_ends_with_a_publication_or_with_the_cluster() {
    let (_net, pool) = pool();
    let handle = FakeCluster::start(&cluster([1]), &pool, 1);
    handle.changed(0).await;
    until_connected(&handle, 1).await;
    let waiting = handle.changed(handle.published().version);
    drop(handle);
    tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_policy_takes_over_the_connections() {
    let (net, pool) = pool();
    let handle = FakeCluster::start(&cluster(0..10), &pool, 1);
    until_connected(&handle, 10).await;
    let settings = ClusterSettings {
        lb_policy: LbPolicy::LeastRequest { choice_count: 2 },
        ..ClusterSettings::new("test")
    };
    let before = handle.published().version;
    handle.update(&Cluster { settings: Arc::new(settings), ..cluster(0..10) });
    handle.changed(before).await;
    assert!(matches!(handle.published().state, Connectivity::Ready), "no call waits meanwhile");
    assert_eq!((connected(&handle.published()), net.all_attempts(), net.held()), (10, 10, 10));
}

#[tokio::test(start_paused = true)]
async fn draining_endpoints_take_no_calls() {
    let (net, pool) = pool();
    let draining = Endpoint { health: HealthStatus::Draining, ..Endpoint::new(address(1)) };
    let handle = FakeCluster::start(&cluster_of(set(vec![draining, Endpoint::new(address(2))])), &pool, 1);
    until_connected(&handle, 1).await;
    assert_eq!(picked(&handle), Ok(address(2)));
    assert_eq!(net.attempts(address(1)).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn drops_come_and_go_without_a_new_balancer() {
    let (_net, pool) = pool();
    let drops = vec![DropCategory { category: "lb".into(), fraction: Fraction::per_million(1_000_000) }];
    let endpoints = set(vec![Endpoint::new(address(1))]);
    let handle = FakeCluster::start(&cluster_of(EndpointSet { drops, ..endpoints.clone() }), &pool, 1);
    until_connected(&handle, 1).await;
    assert_eq!(picked(&handle), Err("dropped: lb".to_owned()));
    let before = handle.published().version;
    handle.update(&cluster_of(endpoints));
    handle.changed(before).await;
    assert_eq!(picked(&handle), Ok(address(1)));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_clusters_live_on_one_thread() {
    let (net, pool) = pool();
    let clusters: Vec<_> = (0..2_000)
        .map(|number| FakeCluster::start(&cluster(number..number + 5), &pool, number as u64))
        .collect();
    for cluster in &clusters {
        until_connected(cluster, 5).await;
    }
    assert_eq!(net.all_attempts(), 2_004);
    drop(clusters);
    eventually("no connection is left", || net.held() == 0).await;
}

#[tokio::test]
async fn dns_name_is_resolved_or_fails_with_the_reason() {
    let (_net, pool) = pool();
    let named = |host: &str| Cluster {
        discovery: Discovery::LogicalDns { host: host.into(), port: 7 },
        ..cluster([])
    };
    let handle = FakeCluster::start(&named("localhost"), &pool, 1);
    assert_eq!(picked(&handle), Err("wait".to_owned()), "calls wait for the first answer");
    until_connected(&handle, 1).await;
    assert!(picked(&handle).unwrap().ip().is_loopback());

    // No resolver can be asked for this.
    handle.update(&named("not\0a name"));
    until(&handle, |published| matches!(published.state, Connectivity::TransientFailure(_))).await;
    assert!(picked(&handle).unwrap_err().contains("resolve not\0a name: "));
}

#[tokio::test(start_paused = true)]
async fn idle_endpoint_is_connected_by_call_and_closed_when_unwanted() {
    let (net, pool) = pool();
    let handle = FakeCluster::start_with(Lazy::boxed, &cluster(0..3), &pool, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(net.all_attempts(), 0, "no cluster wants a connection");

    (0..100).for_each(|_| handle.wake(None));
    until(&handle, |published| matches!(published.state, Connectivity::Ready)).await;
    assert_eq!(picked(&handle), Ok(address(0)));
    assert_eq!(net.all_attempts(), 1);

    (0..100).for_each(|_| handle.wake(Some(EndpointId(2))));
    handle.wake(Some(EndpointId(99)));
    until(&handle, |published| published.slot(EndpointId(2)).unwrap().connection().is_some()).await;
    assert_eq!(picked(&handle), Ok(address(2)));
    eventually("the other connection is closed", || net.held() == 1).await;
    assert_eq!(connected(&handle.published()), 1);

    // A cluster that was dropped can be used again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    handle.wake(Some(EndpointId(0)));
    until(&handle, |published| published.slot(EndpointId(0)).unwrap().connection().is_some()).await;
    assert_eq!((picked(&handle), net.all_attempts()), (Ok(address(0)), 3));
}

#[test]
fn endpoint_costs_little_before_it_is_connected() {
    // Everything that a cluster of its own adds for one endpoint with one address, with generous maps.
    let config = size_of::<Endpoint>() + size_of::<SocketAddr>() + 2 * POINTER;
    let slot = size_of::<Refs<Slot<Line>>>()
        + size_of::<Slot<Line>>()
        + size_of::<EndpointState<Line>>()
        + size_of::<EndpointLoad>()
        + 8 * POINTER;
    let entry = size_of::<Option<Entry<Net>>>() + size_of::<LbEndpoint>() + 4 * POINTER;
    let maps = 4 * (size_of::<EndpointAddresses>() + size_of::<EndpointId>() + POINTER);
    let subchannel = size_of::<Subchannel<Net>>() + 3 * POINTER;
    let total = config + slot + entry + maps + subchannel;
    assert!(total <= 1024, "{total} = {config} + {slot} + {entry} + {maps} + {subchannel} bytes");
}

const POINTER: usize = size_of::<usize>();
