//! Aggregate clusters: one balancer over all leaves, on the test's clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use super::network::{Habit, Net};
use super::{pick, set};
use crate::config::{
    Cluster, ClusterSettings, ConsecutiveEjection, Discovery, DropCategory, Endpoint, EndpointSet, LbPolicy,
    MaxRequests, OutlierDetection, ResourceError,
};
use crate::policy::lb::Pick;
use crate::policy::matcher::Fraction;
use crate::policy::outlier::{CallResult, FailureKind};
use crate::runtime::balance::{ClusterHandle, Leaves, Pool, PoolSettings, Slot};

/// An aggregate on a network of its own.
struct Service {
    net: Net,
    pool: Arc<Pool<Net>>,
    handle: Arc<ClusterHandle<Net>>,
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, number], 80))
}

fn leaf(name: &str, numbers: &[u8]) -> Cluster {
    let endpoints = numbers.iter().map(|number| Endpoint::new(address(*number))).collect();
    Cluster {
        settings: Arc::new(ClusterSettings::new(name)),
        discovery: Discovery::Endpoints(Ok(Arc::new(set(endpoints)))),
    }
}

fn named(name: &str, host: &str) -> Cluster {
    Cluster { discovery: Discovery::LogicalDns { host: host.into(), port: 80 }, ..leaf(name, &[]) }
}

/// The same with other settings.
fn with(cluster: &Cluster, change: impl FnOnce(&mut ClusterSettings)) -> Cluster {
    let mut settings = (*cluster.settings).clone();
    change(&mut settings);
    Cluster { settings: Arc::new(settings), ..cluster.clone() }
}

fn aggregate(leaves: &[Cluster]) -> Leaves {
    Leaves::new(leaves.to_vec(), None).unwrap()
}

/// Lets everything happen that needs no time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

impl Service {
    /// A few of its addresses answer in other ways than most.
    async fn start(leaves: &[Cluster], habits: &[(u8, Habit)]) -> Self {
        let net = Net::default();
        habits.iter().for_each(|(number, habit)| net.set(address(*number), *habit));
        let pool = Pool::new(net.clone(), PoolSettings::default());
        let handle = ClusterHandle::start(aggregate(leaves), &pool, 1);
        settle().await;
        Self { net, pool, handle }
    }

    async fn update(&self, leaves: &[Cluster]) {
        self.handle.update(aggregate(leaves));
        settle().await;
    }

    /// Where a call goes, and the leaf whose calls it is among.
    fn picked(&self) -> Result<(SocketAddr, String), String> {
        let published = self.handle.published();
        match pick(&published, &mut StdRng::seed_from_u64(1)) {
            Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => {
                let slot = published.slot(id).unwrap();
                let connection = slot.connection().ok_or("no connection")?;
                Ok((connection.address, slot.accounting.cluster().to_string()))
            }
            Pick::Wait(_) => Err("wait".to_owned()),
            Pick::Fail(reason) => Err(reason.to_string()),
            Pick::Drop(category) => Err(format!("{} drops: {category}", published.accounting.cluster())),
        }
    }

    #[track_caller]
    fn assert_picked(&self, number: u8, leaf: &str) {
        assert_eq!(self.picked(), Ok((address(number), leaf.to_owned())));
    }

    fn attempts(&self, number: u8) -> usize {
        self.net.attempts(address(number)).len()
    }

    /// The slot of an endpoint in a leaf.
    fn slot(&self, number: u8, leaf: &str) -> Arc<Slot<super::network::Line>> {
        let published = self.handle.published();
        let mut slots = published.endpoints().map(|(_, slot)| slot);
        let slot = slots
            .find(|slot| slot.addresses.first() == address(number) && **slot.accounting.cluster() == *leaf);
        slot.unwrap().clone()
    }
}

/// Proves: LB-03, LB-07, LB-08.
#[tokio::test(start_paused = true)]
async fn second_leaf_is_unused_until_first_has_failed_for_ten_seconds() {
    let begun = Instant::now();
    let service = Service::start(&[leaf("a", &[1]), leaf("b", &[2])], &[(1, Habit::Silence)]).await;
    sleep(Duration::from_millis(9_990)).await;
    assert_eq!((service.picked(), service.attempts(2)), (Err("wait".to_owned()), 0));
    sleep(Duration::from_millis(20)).await;
    service.assert_picked(2, "b");
    assert_eq!((service.net.attempts(address(2))[0] - begun).as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn fallback_of_a_leaf_that_works_is_never_connected() {
    let service = Service::start(&[leaf("a", &[1]), leaf("b", &[2]), named("c", "10.1.0.3")], &[]).await;
    sleep(Duration::from_secs(3_600)).await;
    service.assert_picked(1, "a");
    assert_eq!((service.net.all_attempts(), service.net.held()), (1, 1));
    // lost: calls wait for the same leaf
    service.net.set(address(1), Habit::Accept(Duration::from_secs(5)));
    service.net.cut(address(1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(service.picked(), Err("wait".to_owned()));
    sleep(Duration::from_secs(5)).await;
    service.assert_picked(1, "a");
    assert_eq!((service.attempts(1), service.net.all_attempts()), (2, 2));
}

/// Proves: LB-10.
#[tokio::test(start_paused = true)]
async fn calls_return_to_the_first_leaf_and_the_second_is_dropped_a_quarter_of_an_hour_later() {
    let service = Service::start(&[leaf("a", &[1]), leaf("b", &[2])], &[(1, Habit::Refuse)]).await;
    service.assert_picked(2, "b");
    service.net.set(address(1), Habit::Accept(Duration::ZERO));
    sleep(Duration::from_secs(3)).await;
    service.assert_picked(1, "a");
    sleep(Duration::from_secs(14 * 60)).await;
    assert_eq!(service.net.held(), 2);
    sleep(Duration::from_secs(2 * 60)).await;
    assert_eq!(service.net.held(), 1);
    // and connected again when it is needed
    service.net.set(address(1), Habit::Refuse);
    service.net.cut(address(1));
    sleep(Duration::from_secs(3)).await;
    service.assert_picked(2, "b");
}

#[tokio::test(start_paused = true)]
async fn endpoint_of_two_leaves_has_one_connection_and_a_slot_for_each() {
    let leaves = [leaf("a", &[1, 2]), leaf("b", &[2])];
    let service = Service::start(&leaves, &[(1, Habit::Refuse)]).await;
    service.assert_picked(2, "a");
    let direct = ClusterHandle::start(&leaves[1], &service.pool, 2);
    settle().await;
    let published = direct.published();
    let (_, slot) = published.endpoints().next().unwrap();
    assert!(slot.connection().is_some());
    assert_eq!((service.attempts(2), service.net.held()), (1, 1), "all use one");
    // the first leaf loses the endpoint, the second has it
    service.update(&[leaf("a", &[1]), leaves[1].clone()]).await;
    service.assert_picked(2, "b");
    assert_eq!(service.attempts(2), 1);
}

#[tokio::test(start_paused = true)]
async fn leaves_that_stay_keep_their_endpoints_when_others_come_go_and_move() {
    let a = leaf("a", &[1]);
    let b = leaf("b", &[2]);
    let service = Service::start(&[a.clone(), b.clone()], &[(1, Habit::Refuse), (3, Habit::Refuse)]).await;
    let slot = service.slot(2, "b");
    let c = leaf("c", &[3, 2]);
    let missing = Cluster {
        discovery: Discovery::Endpoints(Err(ResourceError::new("endpoints of c are missing"))),
        ..c.clone()
    };
    let refusing = leaf("c", &[3]);
    let steps = [
        vec![refusing.clone(), a.clone(), b.clone()],
        vec![b.clone(), a.clone(), refusing],
        vec![missing, b.clone()],
        vec![leaf("a", &[1, 3]), b.clone()],
        vec![b.clone()],
        vec![b.clone(), c],
    ];
    for leaves in steps {
        service.update(&leaves).await;
        service.assert_picked(2, "b");
        assert!(Arc::ptr_eq(&service.slot(2, "b"), &slot));
        assert_eq!(service.attempts(2), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn another_policy_in_one_leaf_fails_and_delays_no_call() {
    let leaves = [leaf("a", &[1, 2, 3]), leaf("b", &[4])];
    let service = Service::start(&leaves, &[]).await;
    assert_eq!(service.net.held(), 3);
    let pick_first = with(&leaves[0], |settings| settings.lb_policy = LbPolicy::PickFirst { shuffle: false });
    let version = service.handle.published().version;
    service.handle.update(aggregate(&[pick_first, leaves[1].clone()]));
    service.handle.changed(version).await;
    service.assert_picked(1, "a");
    settle().await;
    assert_eq!((service.net.held(), service.net.all_attempts()), (1, 3), "the others are dropped");
}

#[tokio::test(start_paused = true)]
async fn drops_are_those_of_the_leaf_that_takes_calls() {
    let all = DropCategory { category: "lb".into(), fraction: Fraction::per_million(1_000_000) };
    let dropping = |name, numbers: &[u8]| {
        let endpoints = numbers.iter().map(|number| Endpoint::new(address(*number))).collect();
        let set = EndpointSet { drops: vec![all.clone()], ..set(endpoints) };
        Cluster { discovery: Discovery::Endpoints(Ok(Arc::new(set))), ..leaf(name, &[]) }
    };
    let silent = Habit::Accept(Duration::from_secs(1));
    let service = Service::start(&[dropping("a", &[1]), leaf("b", &[2])], &[(1, silent)]).await;
    assert_eq!(service.picked(), Err("wait".to_owned()), "not before it is ready");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(service.picked(), Err("a drops: lb".to_owned()));
    service.net.set(address(1), Habit::Refuse);
    service.net.cut(address(1));
    sleep(Duration::from_secs(3)).await;
    service.assert_picked(2, "b");
    service.update(&[leaf("a", &[1]), dropping("b", &[2])]).await;
    assert_eq!(service.picked(), Err("b drops: lb".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_leaf_change_without_touching_another() {
    let leaves = [leaf("a", &[1]), leaf("b", &[2])];
    let service = Service::start(&leaves, &[]).await;
    let other = service.slot(2, "b");
    let limited = with(&leaves[0], |settings| settings.limits.max_requests = MaxRequests(7));
    service.update(&[limited, leaves[1].clone()]).await;
    assert_eq!(service.slot(1, "a").accounting.limits.max_requests, MaxRequests(7));
    assert_eq!(service.handle.published().accounting.limits.max_requests, MaxRequests(7));
    assert!(Arc::ptr_eq(&service.slot(2, "b"), &other));
    assert_eq!(service.net.all_attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn connection_settings_are_those_of_the_leaf() {
    let leaves = [leaf("a", &[1]), leaf("b", &[2])];
    let service = Service::start(&leaves, &[(1, Habit::Refuse)]).await;
    let patient =
        |leaf| with(leaf, |settings| settings.connection.connect_timeout = Some(Duration::from_secs(60)));
    let before = service.attempts(1);
    service.update(&[patient(&leaves[0]), leaves[1].clone()]).await;
    service.assert_picked(2, "b");
    assert_eq!((service.attempts(1), service.attempts(2)), (before + 1, 1));
    service.update(&[patient(&leaves[0]), patient(&leaves[1])]).await;
    service.assert_picked(2, "b");
    assert_eq!((service.attempts(1), service.attempts(2), service.net.held()), (before + 1, 2, 1));
}

/// LB-02: ejections are a leaf's own; one of which all endpoints are ejected has failed.
#[tokio::test(start_paused = true)]
async fn leaf_whose_endpoints_are_all_ejected_is_passed_over() {
    let mut detection = OutlierDetection::off();
    detection.max_ejection_percent = 100;
    detection.consecutive_5xx = Some(ConsecutiveEjection { threshold: 3, enforcing_percent: 100 });
    let a = with(&leaf("a", &[1]), |settings| settings.outlier_detection = Some(detection));
    let service = Service::start(&[a, leaf("b", &[1, 2])], &[(2, Habit::Refuse)]).await;
    let slot = service.slot(1, "a");
    (0..3).for_each(|_| slot.record(CallResult::Failure(FailureKind::Server)));
    settle().await;
    service.assert_picked(1, "b");
    assert_eq!(service.attempts(1), 1, "the endpoint is another one there, on the same connection");
    sleep(Duration::from_secs(60)).await;
    service.assert_picked(1, "a");
}

#[tokio::test(start_paused = true)]
async fn names_of_lower_leaves_are_not_looked_up_until_they_are_needed() {
    let leaves = [leaf("a", &[1]), named("b", "10.1.0.2"), named("c", "10.1.0.3")];
    let service = Service::start(&leaves, &[]).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(service.handle.published().endpoints().count(), 1, "no address of the others is known");
    service.net.set(address(1), Habit::Refuse);
    service.net.cut(address(1));
    sleep(Duration::from_secs(1)).await;
    service.assert_picked(2, "b");
    assert_eq!(service.handle.published().endpoints().count(), 2, "nor the third one's now");
}

#[tokio::test(start_paused = true)]
async fn failure_names_the_error_of_every_leaf() {
    let missing = |name: &str| Cluster {
        discovery: Discovery::Endpoints(Err(ResourceError::new(format!("endpoints of {name} are missing")))),
        ..leaf(name, &[])
    };
    let absent = Some("there is no cluster d".into());
    let leaves = Leaves::new([missing("a"), leaf("b", &[2]), missing("c")], absent).unwrap();
    let service = Service::start(&[leaf("b", &[2])], &[(2, Habit::Refuse)]).await;
    service.handle.update(leaves);
    settle().await;
    let reason = service.picked().unwrap_err();
    for part in ["connect to 10.1.0.2:80: refused", "of a are missing", "of c are missing", "no cluster d"] {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    service.update(&[missing("a"), missing("c")]).await;
    let reason = service.picked().unwrap_err();
    assert_eq!(reason, "there are no endpoints: endpoints of a are missing; endpoints of c are missing");
}

/// Proves: RT-26.
#[tokio::test(start_paused = true)]
async fn ended_aggregate_wakes_its_calls_and_disconnects_all_leaves() {
    let service = Service::start(&[leaf("a", &[1]), leaf("b", &[2])], &[(1, Habit::Silence)]).await;
    sleep(Duration::from_secs(11)).await;
    assert_eq!(service.net.held(), 1);
    let changed = service.handle.changed(service.handle.published().version);
    service.handle.end(ResourceError::new("all is deleted"));
    changed.await;
    assert_eq!(service.handle.removed().map(ToString::to_string).as_deref(), Some("all is deleted"));
    assert_eq!(service.picked(), Err("there are no endpoints: all is deleted".to_owned()));
    settle().await;
    assert_eq!((service.net.held(), service.pool.subchannel_count()), (0, 0));
}
