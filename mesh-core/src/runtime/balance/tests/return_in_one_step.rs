use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::network::Net;
use super::{cluster_of, pick, set};
use crate::config::{Endpoint, EndpointSet};
use crate::policy::lb::{self, Pick};
use crate::runtime::balance::task::Task;
use crate::runtime::balance::{Leaves, Pool, PoolSettings, clock};

/// The balancer forgets the endpoint with the first update and knows nothing of its connection with the second.
#[tokio::test(start_paused = true)]
async fn endpoint_removed_and_added_before_a_publication_is_used_again() {
    let there = cluster_of(set(vec![Endpoint::new(SocketAddr::from(([10, 1, 0, 1], 80)))]));
    let gone = cluster_of(EndpointSet::default());
    let pool = Pool::<Net>::new(Net::default(), PoolSettings::default());
    let mut task = Task::new(lb::balancer(), Leaves::from(&there), pool, 1);
    let shared = task.shared().clone();
    let is_picked = || {
        let published = shared.published.load();
        matches!(pick(&published, &mut StdRng::seed_from_u64(1)),
            Pick::Endpoint(id) if published.slot(id).is_some_and(|slot| slot.connection().is_some()))
    };
    for round in 0..3 {
        for _ in 0..100 {
            task.step();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(is_picked(), "round {round}");
        task.update(clock::now(), [gone.clone()], None);
        task.update(clock::now(), [there.clone()], None);
    }
}
