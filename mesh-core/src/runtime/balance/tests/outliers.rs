//! Outlier detection between connections and balancers, on the test's clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::network::{Habit, Net};
use super::{pick, set};
use crate::config::{
    Cluster, ClusterSettings, ConsecutiveEjection, Discovery, Endpoint, EndpointSet,
    FailurePercentageEjection, LbPolicy, Locality, MaxRequests, OutlierDetection, Priority, RoutingPriority,
};
use crate::policy::lb::{EndpointId, Pick};
use crate::policy::outlier::{CallResult, DetectionMethod, FailureKind};
use crate::runtime::attempt::Attempt;
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};

/// A cluster of endpoints of which some fail every call.
struct Service {
    net: Net,
    pool: Arc<Pool<Net>>,
    handle: Arc<ClusterHandle<Net>>,
    cluster: Cluster,
    rng: StdRng,
    failing: Vec<usize>,
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, number as u8], 80))
}

fn number(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
    ip.octets()[3].into()
}

fn endpoints(numbers: impl IntoIterator<Item = usize>) -> Discovery {
    let endpoints = numbers.into_iter().map(|number| Endpoint::new(address(number)));
    Discovery::Endpoints(Ok(Arc::new(set(endpoints.collect()))))
}

/// By failure percentage, as many as there are: 10 s between sweeps, 30 s for the first ejection.
fn detection() -> OutlierDetection {
    let mut detection = OutlierDetection::off();
    detection.max_ejection_percent = 100;
    detection.failure_percentage = Some(FailurePercentageEjection { minimum_hosts: 1, ..Default::default() });
    detection
}

/// By this many server errors in a row.
fn in_a_row(threshold: u32) -> OutlierDetection {
    let mut detection = OutlierDetection::off();
    detection.max_ejection_percent = 100;
    detection.consecutive_5xx = Some(ConsecutiveEjection { threshold, enforcing_percent: 100 });
    detection
}

impl Service {
    async fn start(count: usize, detection: OutlierDetection) -> Self {
        let net = Net::default();
        let pool = Pool::new(net.clone(), PoolSettings::default());
        let settings = ClusterSettings { outlier_detection: Some(detection), ..ClusterSettings::new("test") };
        let cluster = Cluster { settings: Arc::new(settings), discovery: endpoints(1..=count) };
        let handle = ClusterHandle::start(&cluster, &pool, 1);
        let rng = StdRng::seed_from_u64(1);
        let service = Self { net, pool, handle, cluster, rng, failing: Vec::new() };
        pass(1).await;
        service
    }

    /// Other settings or endpoints.
    async fn change(&mut self, change: impl FnOnce(&mut ClusterSettings, &mut Discovery)) {
        let mut settings = (*self.cluster.settings).clone();
        change(&mut settings, &mut self.cluster.discovery);
        self.cluster.settings = Arc::new(settings);
        self.handle.update(&self.cluster);
        settle().await;
    }

    async fn detect(&mut self, detection: Option<OutlierDetection>) {
        self.change(|settings, _| settings.outlier_detection = detection).await;
    }

    /// Makes a call; the endpoint's number, or why there is none.
    fn call(&mut self) -> Result<usize, String> {
        let published = self.handle.published();
        match pick(&published, &mut self.rng) {
            Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => {
                let slot = published.slot(id).ok_or("no endpoint")?;
                let number = number(slot.addresses.first());
                let is_failing = self.failing.contains(&number);
                slot.record(if is_failing {
                    CallResult::Failure(FailureKind::Gateway)
                } else {
                    CallResult::Success
                });
                Ok(number)
            }
            Pick::Wait(_) => Err("wait".to_owned()),
            Pick::Fail(reason) => Err(reason.to_string()),
            Pick::Drop(category) => Err(format!("dropped: {category}")),
        }
    }

    /// 1,000 calls at once: how many reach each endpoint.
    async fn calls(&mut self) -> BTreeMap<usize, usize> {
        let mut reached = BTreeMap::new();
        for _ in 0..1_000 {
            if let Ok(number) = self.call() {
                *reached.entry(number).or_default() += 1;
            }
        }
        settle().await;
        reached
    }

    /// Which endpoints take calls.
    async fn serving(&mut self) -> Vec<usize> {
        self.calls().await.into_keys().collect()
    }

    /// Makes an endpoint fail, and lets a sweep see it; it does well from then on.
    async fn eject(&mut self, number: usize) {
        self.failing = vec![number];
        self.calls().await;
        self.failing.clear();
        pass(10).await;
        assert!(self.shown().contains(&address(number)));
    }

    /// What is shown as ejected.
    fn shown(&self) -> Vec<SocketAddr> {
        let store = &self.pool.counts.ejections;
        let shown: Vec<_> = store.ejected().iter().map(|ejected| ejected.addresses.first()).collect();
        assert_eq!(store.counts().active(), shown.len() as u64);
        shown
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    settle().await;
}

/// Lets the tasks do what there is to do.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// LB-54, LB-58, C10 a.
#[tokio::test(start_paused = true)]
async fn endpoint_that_fails_every_call_gets_none_until_its_time_is_over() {
    let mut service = Service::start(5, detection()).await;
    service.failing = vec![3];
    assert_eq!(service.serving().await, [1, 2, 3, 4, 5]);
    pass(9).await;
    let ejected = Instant::now();
    assert_eq!(service.calls().await, BTreeMap::from([(1, 250), (2, 250), (4, 250), (5, 250)]));
    assert_eq!(service.shown(), [address(3)]);
    let ejection = service.pool.counts.ejections.ejected().remove(0);
    assert_eq!((&*ejection.cluster, ejection.multiplier), ("test", 1));
    assert_eq!(ejection.reason.method, DetectionMethod::FailurePercentage);
    // Another weight does not make it another endpoint.
    service.failing.clear();
    service
        .change(|_, discovery| {
            let weight = NonZeroU32::new(2).unwrap();
            let weighted = (1..=5).map(|number| Endpoint { weight, ..Endpoint::new(address(number)) });
            *discovery = Discovery::Endpoints(Ok(Arc::new(set(weighted.collect()))));
        })
        .await;
    while service.serving().await == [1, 2, 4, 5] {
        pass(1).await;
    }
    let seconds = ejected.elapsed().as_secs();
    assert!((30..=41).contains(&seconds), "{seconds} s");
    assert_eq!((service.serving().await, service.shown()), (vec![1, 2, 3, 4, 5], vec![]));
    assert_eq!(service.net.all_attempts(), 5, "connections stay");
}

/// The endpoints that are connected are ejected, and there are no others.
#[tokio::test(start_paused = true)]
async fn calls_fail_with_the_reason_when_every_endpoint_is_ejected() {
    let mut service = Service::start(3, detection()).await;
    service.failing = vec![1, 2, 3];
    service.calls().await;
    pass(10).await;
    let reason = service.call().unwrap_err();
    let expected = "ejected by outlier detection: 100.0 % of its calls failed, allowed are 85 %";
    assert!(reason.contains(expected), "{reason}");
    assert_eq!(service.shown().len(), 3);
    pass(50).await;
    assert_eq!(service.serving().await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_eject_without_waiting_for_the_interval() {
    let mut service = Service::start(3, in_a_row(5)).await;
    service.failing = vec![2];
    let before = Instant::now();
    let reached = service.calls().await;
    assert!(reached[&2] >= 5, "the task hears of it after the burst: {reached:?}");
    assert_eq!(service.serving().await, [1, 3]);
    assert_eq!(before.elapsed(), Duration::ZERO);
    service.failing.clear();
    pass(50).await;
    assert_eq!(service.serving().await, [1, 2, 3]);
}

/// LB-59: an ejection outlives other settings and another policy; it ends with detection.
#[tokio::test(start_paused = true)]
async fn ejection_outlives_other_settings_and_another_balancer() {
    let mut service = Service::start(4, detection()).await;
    service.eject(1).await;
    service.detect(Some(OutlierDetection { max_ejection_percent: 50, ..detection() })).await;
    assert_eq!(service.serving().await, [2, 3, 4]);
    service.change(|settings, _| settings.lb_policy = LbPolicy::LeastRequest { choice_count: 2 }).await;
    pass(1).await;
    assert_eq!(service.serving().await, [2, 3, 4]);
    service.change(|settings, _| settings.lb_policy = LbPolicy::RoundRobin).await;
    pass(1).await;
    assert_eq!((service.serving().await, service.shown()), (vec![2, 3, 4], vec![address(1)]));
    service.detect(None).await;
    assert_eq!((service.serving().await, service.shown()), (vec![1, 2, 3, 4], vec![]));
}

/// C10 b, C09: an endpoint that leaves is forgotten, and makes room for another one.
#[tokio::test(start_paused = true)]
async fn endpoint_removed_and_added_starts_without_ejection() {
    let mut service = Service::start(5, OutlierDetection { max_ejection_percent: 10, ..detection() }).await;
    service.eject(1).await;
    service.failing = vec![2];
    service.calls().await;
    pass(5).await;
    service.change(|_, discovery| *discovery = endpoints(2..=5)).await;
    assert_eq!(service.shown(), []);
    pass(1).await;
    service.change(|_, discovery| *discovery = endpoints(1..=5)).await;
    pass(1).await;
    assert!(service.serving().await.contains(&1), "it takes calls at once");
    pass(10).await;
    assert_eq!(service.serving().await, [1, 3, 4, 5]);
    assert_eq!(service.shown(), [address(2)]);
}

/// C08, LB-60: while it is ejected the endpoint is lost and comes back; it returns when its time is over, connected.
#[tokio::test(start_paused = true)]
async fn connection_that_is_lost_meanwhile_ends_no_ejection() {
    let mut service = Service::start(3, detection()).await;
    service.eject(1).await;
    service.net.cut(address(1));
    pass(1).await;
    assert_eq!(service.serving().await, [2, 3]);
    assert_eq!(service.shown(), [address(1)]);
    service.net.set(address(1), Habit::Accept(Duration::from_millis(100)));
    pass(45).await;
    assert_eq!((service.serving().await, service.shown()), (vec![1, 2, 3], vec![]));
}

#[tokio::test(start_paused = true)]
async fn ejected_endpoint_that_is_dead_when_its_time_is_over_takes_no_calls() {
    let mut service = Service::start(3, detection()).await;
    service.eject(1).await;
    service.net.set(address(1), Habit::Refuse);
    service.net.cut(address(1));
    pass(50).await;
    assert_eq!((service.serving().await, service.shown()), (vec![2, 3], vec![]));
    service.net.set(address(1), Habit::Accept(Duration::ZERO));
    pass(200).await;
    assert_eq!(service.serving().await, [1, 2, 3]);
}

/// A61
#[tokio::test(start_paused = true)]
async fn pick_first_ejects_no_endpoint() {
    let mut service = Service::start(2, in_a_row(5)).await;
    service.change(|settings, _| settings.lb_policy = LbPolicy::PickFirst { shuffle: false }).await;
    pass(1).await;
    service.failing = vec![1];
    for _ in 0..3 {
        assert_eq!((service.serving().await, service.shown()), (vec![1], vec![]));
        pass(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_cluster_lists_no_ejections() {
    let mut service = Service::start(2, in_a_row(3)).await;
    service.failing = vec![1];
    service.calls().await;
    assert_eq!(service.shown(), [address(1)]);
    let Service { handle, pool, .. } = service;
    drop(handle);
    settle().await;
    let store = &pool.counts.ejections;
    assert_eq!((store.ejected(), store.counts().active()), (vec![], 0));
    let enforced: u64 = store.counts().methods().map(|counts| counts.enforced).sum();
    assert_eq!(enforced, 1, "totals never fall");
}

/// Outlier detection and the circuit breaker stand above priorities.
///
/// Proves: LB-02.
#[tokio::test(start_paused = true)]
async fn ejection_and_limit_span_priorities() {
    let mut service = Service::start(2, detection()).await;
    service.change(|settings, _| settings.limits.max_requests = MaxRequests(1)).await;
    service.eject(1).await;
    let by_priority = |numbers: [usize; 2]| {
        let priority = |number| {
            let locality = Locality::of(vec![Endpoint::new(address(number))]);
            Priority::new([Arc::new(locality)])
        };
        Discovery::Endpoints(Ok(Arc::new(EndpointSet::new(numbers.map(priority).into()))))
    };
    for order in [[2, 1], [1, 2]] {
        service.change(|_, discovery| *discovery = by_priority(order)).await;
        assert_eq!(service.serving().await, [2], "{order:?}: 1 stays ejected in whatever priority it is");
    }
    let published = service.handle.published();
    let slots: Vec<_> = (0..2).filter_map(|id| published.slot(EndpointId(id))).collect();
    let running = Attempt::admit(slots[0], RoutingPriority::Default);
    assert!(running.is_some());
    assert!(Attempt::admit(slots[1], RoutingPriority::Default).is_none(), "one call in all priorities");
    drop((running, published));
    pass(60).await;
    assert_eq!(service.serving().await, [1], "its ejection is over, and it is in the first priority");
}
