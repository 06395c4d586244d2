//! Active health checks between connections and balancers, on the test's clock.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::network::{Habit, Net};
use super::{pick, set};
use crate::config::{
    Cluster, ClusterSettings, ConsecutiveEjection, Discovery, Endpoint, EndpointCheck, HealthCheck,
    HealthCheckIntervals, HealthProbe, LbPolicy, OutlierDetection, SlowStart, WeightSource,
    WeightedRoundRobin,
};
use crate::policy::lb::Pick;
use crate::policy::outlier::{CallResult, FailureKind};
use crate::runtime::balance::{ClusterHandle, Pool, PoolSettings};

/// A cluster whose endpoints are checked every 10 s.
struct Service {
    net: Net,
    pool: Arc<Pool<Net>>,
    handle: Arc<ClusterHandle<Net>>,
    cluster: Cluster,
    rng: StdRng,
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, number], 80))
}

fn number(address: SocketAddr) -> u8 {
    let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
    ip.octets()[3]
}

/// Every 10 s from the start, 1 s for an answer; 2 failures or 2 good checks.
fn check() -> HealthCheck {
    let probe = HealthProbe::http2("/healthy".parse().unwrap());
    let mut check = HealthCheck::new(probe, Duration::from_secs(1), Duration::from_secs(10));
    check.intervals.no_traffic = Duration::from_secs(10);
    check.intervals.no_traffic_healthy = Duration::from_secs(10);
    HealthCheck { unhealthy_threshold: 2, ..check }
}

fn settings(check: HealthCheck) -> ClusterSettings {
    ClusterSettings::new("test").with_health_check(check)
}

impl Service {
    /// `unhealthy` answer with 503.
    async fn start(settings: ClusterSettings, count: u8, unhealthy: &[u8]) -> Self {
        Self::of(settings, (1..=count).map(|number| Endpoint::new(address(number))), unhealthy).await
    }

    async fn of(
        settings: ClusterSettings,
        endpoints: impl IntoIterator<Item = Endpoint>,
        unhealthy: &[u8],
    ) -> Self {
        let net = Net::default();
        unhealthy.iter().for_each(|number| net.answer(address(*number), 503));
        let pool = Pool::new(net.clone(), PoolSettings::default());
        let endpoints = set(endpoints.into_iter().collect());
        let cluster = Cluster {
            settings: Arc::new(settings),
            discovery: Discovery::Endpoints(Ok(Arc::new(endpoints))),
        };
        let handle = ClusterHandle::start(&cluster, &pool, 1);
        let service = Self { net, pool, handle, cluster, rng: StdRng::seed_from_u64(1) };
        pass(1).await;
        service
    }

    async fn change(&mut self, change: impl FnOnce(&mut ClusterSettings)) {
        let mut settings = (*self.cluster.settings).clone();
        change(&mut settings);
        self.cluster.settings = Arc::new(settings);
        self.handle.update(&self.cluster);
        settle().await;
    }

    /// Which endpoints take calls; or why none does.
    fn serving(&mut self) -> Result<Vec<u8>, String> {
        let published = self.handle.published();
        let mut reached = BTreeSet::new();
        for _ in 0..200 {
            match pick(&published, &mut self.rng) {
                Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => {
                    _ = reached.insert(number(published.slot(id).unwrap().addresses.first()))
                }
                Pick::Wait(_) => return Err("wait".to_owned()),
                Pick::Fail(reason) => return Err(reason.to_string()),
                Pick::Drop(category) => return Err(format!("dropped: {category}")),
            }
        }
        Ok(reached.into_iter().collect())
    }

    fn shown(&self) -> Vec<u8> {
        self.pool.counts.ejections.unhealthy().iter().map(|shown| number(shown.addresses.first())).collect()
    }

    fn counted(&self, result: &str) -> u64 {
        let values = self.pool.counts.counters.values();
        values.iter().find(|value| &*value.labels[1] == result).map_or(0, |value| value.value)
    }

    /// Seconds between the checks of an endpoint.
    fn pauses(&self, number: u8) -> Vec<u64> {
        let requests = self.net.requests(address(number));
        requests.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect()
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    settle().await;
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Proves: LB-64.
#[tokio::test(start_paused = true)]
async fn endpoint_whose_checks_fail_takes_no_calls_until_enough_succeed() {
    let mut service = Service::start(settings(check()), 3, &[3]).await;
    assert_eq!(service.serving(), Ok(vec![1, 2]), "the first check decides");
    assert_eq!(service.shown(), [3]);
    service.net.answer(address(2), 0);
    pass(12).await;
    assert_eq!(service.serving(), Ok(vec![1, 2]), "one failure of two");
    pass(11).await;
    assert_eq!((service.serving(), service.shown()), (Ok(vec![1]), vec![2, 3]));
    let shown = service.pool.counts.ejections.unhealthy();
    assert_eq!((&*shown[0].cluster, &*shown[0].reason), ("test", "no answer within 1s"));
    assert_eq!(&*shown[1].reason, "the health check was answered with HTTP status 503");
    // A 503 is a refusal, which needs no second one.
    service.net.answer(address(1), 503);
    pass(10).await;
    let reason = service.serving().unwrap_err();
    assert!(reason.contains("its health check fails: "), "no call goes to an unhealthy endpoint: {reason}");
    service.net.answer(address(2), 200);
    pass(10).await;
    assert!(service.serving().is_err(), "one good check of two");
    pass(11).await;
    assert_eq!((service.serving(), service.shown()), (Ok(vec![2]), vec![1, 3]));
    assert_eq!(service.counted("failed"), 3);
    assert!(service.counted("good") >= 5 && service.counted("refused") >= 5);
    assert_eq!(service.net.all_attempts(), 3, "connections stay, and checks use them");
    drop(service.handle);
    settle().await;
    assert!(service.pool.counts.ejections.unhealthy().is_empty());
}

/// Proves: LB-64.
#[tokio::test(start_paused = true)]
async fn calls_wait_for_the_first_check() {
    let mut jittered = check();
    jittered.initial_jitter = Duration::from_secs(60);
    let mut service = Service::start(settings(jittered), 1, &[]).await;
    service.net.answer(address(1), 200);
    if service.net.requests(address(1)).is_empty() {
        assert_eq!(service.serving(), Err("wait".to_owned()));
    }
    pass(60).await;
    assert_eq!(service.serving(), Ok(vec![1]));
}

/// Case C42.
#[tokio::test(start_paused = true)]
async fn health_outlives_connections_and_failed_attempts_to_connect_count_against_it() {
    let mut once = check();
    (once.unhealthy_threshold, once.timeout) = (1, Duration::from_secs(1));
    let mut service = Service::start(settings(once), 2, &[]).await;
    for _ in 0..5 {
        service.net.cut(address(1));
        settle().await;
        pass(30).await;
        assert_eq!(service.serving(), Ok(vec![1, 2]), "a connection that ends is no failed check");
    }
    assert_eq!((service.counted("failed"), service.counted("refused")), (0, 0));
    service.net.set(address(1), Habit::Refuse);
    service.net.cut(address(1));
    pass(10).await;
    assert_eq!(service.serving(), Ok(vec![2]));
    assert!(service.counted("failed") >= 1);
    service.net.set(address(1), Habit::Accept(Duration::ZERO));
    while service.net.requests(address(1)).last().is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
        pass(1).await;
    }
    assert_eq!(service.serving(), Ok(vec![2]), "connected, and one good check of two");
    pass(11).await;
    assert_eq!(service.serving(), Ok(vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn full_connection_is_no_failed_check() {
    let net = Net::default();
    net.limit_room(1);
    let pool = Pool::new(net.clone(), PoolSettings::default());
    let endpoints = Discovery::Endpoints(Ok(Arc::new(set(vec![Endpoint::new(address(1))]))));
    let cluster = Cluster { settings: Arc::new(settings(check())), discovery: endpoints };
    let handle = ClusterHandle::start(&cluster, &pool, 1);
    let mut service = Service { net, pool, handle, cluster, rng: StdRng::seed_from_u64(1) };
    pass(1).await;
    let published = service.handle.published();
    let Pick::Endpoint(id) = pick(&published, &mut service.rng) else { panic!("no endpoint") };
    let place = published.slot(id).unwrap().reserve();
    drop(published);
    pass(60).await;
    assert_eq!(service.serving(), Ok(vec![1]));
    assert_eq!(service.counted("failed"), 0);
    assert!(service.net.attempts(address(1)).len() > 3, "checks have their own connections meanwhile");
    drop(place);
}

/// Case C40 b.
/// Proves: LB-65.
#[tokio::test(start_paused = true)]
async fn first_call_ends_the_long_pauses_of_an_unused_cluster() {
    let mut seldom = check();
    seldom.intervals = HealthCheckIntervals::every(Duration::from_secs(5));
    let mut service = Service::start(settings(seldom), 1, &[]).await;
    pass(100).await;
    assert_eq!(service.pauses(1), [60]);
    let published = service.handle.published();
    let Pick::Endpoint(id) = pick(&published, &mut service.rng) else { panic!("no endpoint") };
    let priority = crate::config::RoutingPriority::Default;
    drop(crate::runtime::attempt::Attempt::admit(published.slot(id).unwrap(), priority));
    let traffic = Instant::now();
    service.net.answer(address(1), 503);
    while service.serving().is_ok() {
        pass(1).await;
    }
    assert!(traffic.elapsed() <= Duration::from_secs(6), "{:?}", traffic.elapsed());
    pass(30).await;
    assert!(service.pauses(1)[2..].iter().all(|pause| *pause == 5), "{:?}", service.pauses(1));
}

/// Proves: LB-62.
#[tokio::test(start_paused = true)]
async fn good_check_ends_an_ejection_unless_the_settings_say_otherwise() {
    for good_check_ends_ejection in [true, false] {
        let mut detection = OutlierDetection::off();
        detection.max_ejection_percent = 100;
        detection.consecutive_5xx = Some(ConsecutiveEjection { threshold: 1, enforcing_percent: 100 });
        detection.good_check_ends_ejection = good_check_ends_ejection;
        let mut service = Service::start(settings(check()).with_outlier_detection(detection), 2, &[]).await;
        let published = service.handle.published();
        let (_, slot) = published.endpoints().next().unwrap();
        slot.record(CallResult::Failure(FailureKind::Server));
        drop(published);
        pass(1).await;
        assert_eq!(service.serving(), Ok(vec![2]));
        pass(10).await;
        let expected = if good_check_ends_ejection { vec![1, 2] } else { vec![2] };
        assert_eq!(service.serving(), Ok(expected));
        assert_eq!(service.pool.counts.ejections.counts().active(), u64::from(!good_check_ends_ejection));
    }
}

#[tokio::test(start_paused = true)]
async fn changed_settings_keep_health_and_none_ends_the_checks() {
    let mut service = Service::start(settings(check()), 3, &[3]).await;
    let mut often = check();
    often.intervals = HealthCheckIntervals::every(Duration::from_secs(2));
    often.intervals.no_traffic = Duration::from_secs(2);
    service.net.answer(address(2), 0);
    service.change(|settings| settings.health_check = Some(Arc::new(often))).await;
    assert_eq!(service.serving(), Ok(vec![1, 2]));
    pass(5).await;
    assert_eq!(service.serving(), Ok(vec![1]));
    service.change(|settings| settings.health_check = None).await;
    assert_eq!((service.serving(), service.shown()), (Ok(vec![1, 2, 3]), vec![]));
    let requests = service.net.requests(address(1)).len();
    pass(60).await;
    assert_eq!(service.net.requests(address(1)).len(), requests);
    service.change(|settings| settings.health_check = Some(Arc::new(check()))).await;
    pass(1).await;
    assert_eq!(service.serving(), Ok(vec![1]));
    assert_eq!(service.net.all_attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn endpoints_may_be_checked_elsewhere_or_not_at_all() {
    let with = |number, check| Endpoint::new(address(number)).with_health_check(check);
    let unchecked = with(1, EndpointCheck { is_disabled: true, ..Default::default() });
    let other_port = with(2, EndpointCheck { port: Some(9_000), ..Default::default() });
    let other_address = with(3, EndpointCheck { address: Some(address(9).ip()), ..Default::default() });
    let mut service =
        Service::of(settings(check()), [unchecked, other_port, other_address], &[1, 3, 9]).await;
    assert_eq!(service.serving(), Ok(vec![1, 2]));
    let other_port = SocketAddr::new(address(2).ip(), 9_000);
    assert_eq!(service.net.requests(other_port).len(), 1);
    assert_eq!([1, 2, 3].map(|number| service.net.requests(address(number)).len()), [0, 0, 0]);
    assert_eq!(service.shown(), [3]);
    service.net.answer(address(9), 200);
    pass(25).await;
    assert_eq!(service.serving(), Ok(vec![1, 2, 3]));
}

/// Proves: LB-51.
#[tokio::test(start_paused = true)]
async fn slow_start_begins_anew_after_a_failed_check() {
    let policy = WeightedRoundRobin::new(WeightSource::Configured)
        .with_slow_start(SlowStart::new(Duration::from_secs(100)));
    let settings = settings(check()).with_lb_policy(LbPolicy::WeightedRoundRobin(policy));
    let mut service = Service::start(settings, 2, &[]).await;
    let share = |service: &mut Service| {
        let published = service.handle.published();
        let mut picked = || match pick(&published, &mut service.rng) {
            Pick::Endpoint(id) => number(published.slot(id).unwrap().addresses.first()),
            other => panic!("no endpoint: {other:?}"),
        };
        (0..1_000).filter(|_| picked() == 2).count()
    };
    pass(120).await;
    assert!((450..=550).contains(&share(&mut service)));
    service.net.answer(address(2), 503);
    pass(10).await;
    assert_eq!(share(&mut service), 0);
    service.net.answer(address(2), 200);
    while share(&mut service) == 0 {
        pass(1).await;
    }
    assert!((50..=150).contains(&share(&mut service)), "it has a tenth of its weight at first");
    pass(120).await;
    assert!((450..=550).contains(&share(&mut service)));
}
