//! Clusters without calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::network::{Habit, Net};
use super::{cluster_of, pick, set};
use crate::config::{Endpoint, MaxRequests, RoutingPriority};
use crate::policy::lb::{Connectivity, Pick};
use crate::runtime::accounting::Counts;
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};
use crate::runtime::testing::eventually;

const MINUTE: Duration = Duration::from_secs(60);

fn address(host: u8) -> SocketAddr {
    ([10, 1, 0, host], 80).into()
}

/// A cluster of two endpoints that are connected.
async fn start(net: &Net, idle_timeout: Option<Duration>) -> Arc<ClusterHandle<Net>> {
    let settings = PoolSettings { idle_timeout, ..PoolSettings::default() };
    let pool = Pool::with_counts(net.clone(), (settings, None), Counts::default());
    let cluster = cluster_of(set([1, 2].map(|host| Endpoint::new(address(host))).into()));
    let handle = ClusterHandle::start(&cluster, &pool, 1);
    eventually("both are connected", || net.held() == 2).await;
    handle
}

/// A call: picks, and has its endpoint connected again if need be.
fn call(handle: &ClusterHandle<Net>) {
    handle.mark_used();
    match pick(&handle.published(), &mut StdRng::seed_from_u64(1)) {
        Pick::Endpoint(id) => handle.on_missing(id),
        other => panic!("{other:?}"),
    }
}

/// Proves: LB-75.
#[tokio::test(start_paused = true)]
async fn cluster_without_calls_closes_its_connections_until_the_next_call() {
    let net = Net::default();
    let handle = start(&net, PoolSettings::default().idle_timeout).await;
    for _ in 0..6 {
        sleep(20 * MINUTE).await;
        assert_eq!(net.held(), 2, "there was a call 20 minutes ago");
        handle.mark_used();
    }
    sleep(29 * MINUTE).await;
    assert_eq!(net.held(), 2);
    sleep(12 * MINUTE).await;
    assert_eq!((net.held(), net.all_attempts()), (0, 2));
    assert!(matches!(handle.published().state, Connectivity::Idle));
    sleep(600 * MINUTE).await;
    assert_eq!(net.all_attempts(), 2, "nothing connects without a call");
    call(&handle);
    eventually("both are connected again", || net.held() == 2).await;
    assert!(matches!(handle.published().state, Connectivity::Ready));
    sleep(42 * MINUTE).await;
    assert_eq!(net.held(), 0, "and closed again");
}

/// Proves: LB-75.
#[tokio::test(start_paused = true)]
async fn cluster_with_a_running_call_keeps_its_connections() {
    let net = Net::default();
    let handle = start(&net, Some(MINUTE)).await;
    for priority in [RoutingPriority::Default, RoutingPriority::High] {
        let accounting = handle.published().accounting.clone();
        assert!(accounting.load.of(priority).in_flight.enter(MaxRequests(1)));
        sleep(10 * MINUTE).await;
        assert_eq!(net.held(), 2);
        accounting.load.of(priority).in_flight.leave();
    }
    sleep(2 * MINUTE).await;
    assert_eq!(net.held(), 0);
    let kept = Net::default();
    let _handle = start(&kept, None).await;
    sleep(600 * MINUTE).await;
    assert_eq!(kept.held(), 2, "without a timeout");
}

/// Proves: LB-75.
#[tokio::test(start_paused = true)]
async fn endpoint_that_failed_before_is_connected_again_with_the_others() {
    let net = Net::default();
    net.set(address(2), Habit::Refuse);
    let settings = PoolSettings { idle_timeout: Some(MINUTE), ..PoolSettings::default() };
    let pool = Pool::with_counts(net.clone(), (settings, None), Counts::default());
    let cluster = cluster_of(set([1, 2].map(|host| Endpoint::new(address(host))).into()));
    let handle = ClusterHandle::start(&cluster, &pool, 1);
    eventually("one is connected", || net.held() == 1).await;
    sleep(2 * MINUTE).await;
    let attempts = net.attempts(address(2)).len();
    assert!(attempts > 0 && net.held() == 0);
    sleep(60 * MINUTE).await;
    assert_eq!(net.attempts(address(2)).len(), attempts, "it is not tried without calls");
    net.set(address(2), Habit::Accept(Duration::ZERO));
    call(&handle);
    eventually("both are connected", || net.held() == 2).await;
}
