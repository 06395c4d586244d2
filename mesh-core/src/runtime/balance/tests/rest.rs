//! Endpoints whose connections were ended for want of calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::network::{Habit, Net};
use super::{cluster_of, pick};
use crate::config::{Endpoint, EndpointSet, Locality, Priority};
use crate::policy::lb::{Connectivity, EndpointId, Pick};
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};
use crate::runtime::connect::DisconnectReason;
use crate::runtime::testing::eventually;

const HOUR: Duration = Duration::from_secs(3_600);

fn address(host: u8) -> SocketAddr {
    ([10, 1, 0, host], 80).into()
}

struct World {
    net: Net,
    cluster: Arc<ClusterHandle<Net>>,
}

impl World {
    /// A cluster with one endpoint in each priority, or all in one.
    async fn start(endpoints_by_priority: &[&[u8]]) -> Self {
        let net = Net::default();
        let pool = Pool::new(net.clone(), PoolSettings::default());
        let priorities = endpoints_by_priority.iter().map(|hosts| {
            let endpoints = hosts.iter().map(|host| Endpoint::new(address(*host))).collect();
            Priority { localities: vec![Arc::new(Locality::of(endpoints))] }
        });
        let set = EndpointSet { priorities: priorities.collect(), drops: Vec::new() };
        let world = Self { net, cluster: ClusterHandle::start(&cluster_of(set), &pool, 1) };
        let first = endpoints_by_priority[0];
        eventually("the endpoints are connected", || first.iter().all(|host| world.is_connected(*host)))
            .await;
        world
    }

    fn id(&self, host: u8) -> EndpointId {
        let published = self.cluster.published();
        let mut endpoints = published.endpoints();
        let found = endpoints.find(|(_, slot)| slot.addresses.first() == address(host));
        found.expect("the endpoint").0
    }

    fn is_connected(&self, host: u8) -> bool {
        let published = self.cluster.published();
        published.slot(self.id(host)).is_some_and(|slot| slot.connection().is_some())
    }

    /// Ends an endpoint's connection for want of calls.
    async fn rest(&self, host: u8) {
        self.net.end(address(host), DisconnectReason::Idle);
        eventually("the connection is gone", || !self.is_connected(host)).await;
    }

    fn state(&self) -> Connectivity {
        self.cluster.published().state.clone()
    }

    /// How often the endpoints were tried.
    fn attempts(&self) -> usize {
        self.net.all_attempts()
    }

    fn picks(&self) -> Vec<EndpointId> {
        let mut rng = StdRng::seed_from_u64(1);
        let picks = (0..4).map(|_| match pick(&self.cluster.published(), &mut rng) {
            Pick::Endpoint(id) => id,
            other => panic!("{other:?}"),
        });
        picks.collect()
    }
}

/// Proves: CDS-17.
#[tokio::test(start_paused = true)]
async fn resting_endpoint_is_connected_by_first_call_that_picks_it() {
    let world = World::start(&[&[1, 2]]).await;
    world.rest(1).await;
    sleep(HOUR).await;
    assert_eq!(world.attempts(), 2, "no call was made");
    assert!(matches!(world.state(), Connectivity::Ready));
    assert!(world.picks().contains(&world.id(1)), "its share stays");
    world.cluster.on_missing(world.id(1));
    eventually("it is connected", || world.is_connected(1)).await;
    assert_eq!(world.attempts(), 3);
    world.cluster.on_missing(world.id(2));
    sleep(HOUR).await;
    assert_eq!(world.attempts(), 3, "the other one has a connection");
}

#[tokio::test(start_paused = true)]
async fn cluster_is_idle_while_all_its_endpoints_rest() {
    let world = World::start(&[&[1, 2]]).await;
    world.rest(1).await;
    world.rest(2).await;
    eventually("the cluster is idle", || matches!(world.state(), Connectivity::Idle)).await;
    sleep(HOUR).await;
    assert_eq!(world.attempts(), 2);
    world.cluster.wake(None);
    eventually("both are connected", || world.is_connected(1) && world.is_connected(2)).await;
    assert!(matches!(world.state(), Connectivity::Ready));
}

/// A priority without calls has not failed (A56).
#[tokio::test(start_paused = true)]
async fn lower_priority_is_not_connected_while_a_higher_one_rests() {
    let world = World::start(&[&[1], &[2]]).await;
    world.rest(1).await;
    sleep(HOUR).await;
    assert_eq!(world.attempts(), 1);
    world.cluster.on_missing(world.id(1));
    eventually("it is connected", || world.is_connected(1)).await;
    assert_eq!(world.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn resting_endpoint_that_stopped_fails_like_any_other() {
    let world = World::start(&[&[1, 2]]).await;
    world.rest(1).await;
    world.net.set(address(1), Habit::Refuse);
    world.cluster.on_missing(world.id(1));
    let other = [world.id(2); 4];
    eventually("the other one takes all calls", || world.picks() == other).await;
    assert!(world.net.attempts(address(1)).len() > 1);
    world.rest(2).await;
    world.cluster.on_missing(world.id(2));
    eventually("it is connected", || world.is_connected(2)).await;
}

/// A connection that ends otherwise is made again at once (LB-30).
#[tokio::test(start_paused = true)]
async fn connection_that_breaks_is_made_again_without_a_call() {
    let world = World::start(&[&[1, 2]]).await;
    world.net.cut(address(1));
    eventually("it is made again", || world.attempts() == 3).await;
}
