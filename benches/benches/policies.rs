//! What a pick, a report and a change of the endpoints cost, by policy and number of endpoints.
//!
//! ```sh
//! cargo bench -p benches --bench policies             # every policy
//! cargo bench -p benches --bench policies -- maglev   # those whose name has this in it
//! ```
//!
//! Asked: a pick and a report without allocation in at most 100 ns (150 ns for policies by hash), a picker for 10,000 endpoints in
//! at most 5 ms, and one changed endpoint of 10,000 in at most three times of what it costs among 10. `!` marks what is above.

use std::hint::black_box;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use benches::allocations;
use http::HeaderMap;
use mesh_core::config::{
    ClusterSettings, LbPolicy, LocalityId, Maglev, PeakEwma, ReportedWeights, RingHash, SubsetMethod,
    Subsetting, WeightSource, WeightedLeastRequest, WeightedRoundRobin,
};
use mesh_core::policy::lb::{
    Balancer, Connectivity, EndpointId, LbEndpoint, LbLocality, LbPriority, LbUpdate, Pick, PickContext,
    Picker,
};
use mesh_core::shared::SharedList;
use mesh_core::testing;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const PICKS: u32 = 1_000_000;
const CHANGES: u32 = 300;

fn policies() -> Vec<(&'static str, LbPolicy)> {
    let reported = WeightSource::Reported(ReportedWeights::default());
    let subset = |method| {
        let size = std::num::NonZeroU32::MIN.saturating_add(19);
        LbPolicy::Subsetting(Subsetting::random(size, LbPolicy::RoundRobin).with_method(method))
    };
    let one_of_many = SubsetMethod::Deterministic {
        client_index: 7,
        client_count: std::num::NonZeroU32::MIN.saturating_add(99),
    };
    vec![
        ("round_robin", LbPolicy::RoundRobin),
        ("weighted", LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(WeightSource::Configured))),
        ("reported_weights", LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(reported))),
        ("least_request", LbPolicy::LeastRequest { choice_count: 2 }),
        ("weighted_least_request", LbPolicy::WeightedLeastRequest(WeightedLeastRequest::default())),
        ("peak_ewma", LbPolicy::PeakEwma(PeakEwma::default())),
        ("random", LbPolicy::Random),
        ("ring_hash", LbPolicy::RingHash(RingHash::new(1024, 4096))),
        ("maglev", LbPolicy::Maglev(Maglev::default())),
        ("random_subsetting", subset(SubsetMethod::Random)),
        ("deterministic_subsetting", subset(one_of_many)),
    ]
}

/// A balancer whose endpoints are all ready.
struct Subject {
    balancer: Box<dyn Balancer>,
    picker: Arc<dyn Picker>,
    endpoints: SharedList<LbEndpoint>,
    settings: Arc<ClusterSettings>,
    now: Instant,
    rng: SmallRng,
    next_address: u32,
}

impl Subject {
    /// Returns also how long it took from the list of endpoints to the picker.
    fn new(policy: &LbPolicy, count: usize) -> (Self, Duration) {
        let settings = Arc::new(ClusterSettings::new("bench").with_lb_policy(policy.clone()));
        let mut balancer = testing::balancer(policy);
        let endpoints: SharedList<_> = (0..count as u32).map(|id| endpoint(id, id)).collect();
        let (mut rng, now) = (SmallRng::seed_from_u64(7), Instant::now());
        let begin = Instant::now();
        balancer.update(now, update(&settings, &endpoints), &mut rng);
        while balancer.poll_command().is_some() {}
        for id in 0..count as u32 {
            balancer.on_connectivity(now, EndpointId(id), Connectivity::Ready, &mut rng);
        }
        let picker = balancer.poll_picker().map(|(_, picker)| picker);
        let took = begin.elapsed();
        let picker = picker.unwrap_or_else(|| unreachable!("the first update leads to a picker"));
        let subject = Self { balancer, picker, endpoints, settings, now, rng, next_address: count as u32 };
        (subject, took)
    }

    /// Nanoseconds and allocations of a pick.
    fn pick(&mut self) -> (f64, f64) {
        let headers = HeaderMap::new();
        let mut context = PickContext::new("/pkg.Service/Method", &headers);
        let mut each = || {
            context.hash = Some(self.rng.next_u64());
            black_box(matches!(self.picker.pick(&context, &mut self.rng), Pick::Endpoint(_)));
        };
        (0..PICKS / 10).for_each(|_| each());
        measured(PICKS, each)
    }

    /// Nanoseconds and allocations of what an ended call leaves at its endpoint.
    fn report(&mut self) -> (f64, f64) {
        let loads: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.load.clone()).collect();
        let mut at = 0;
        let (now, took) = (self.now, Duration::from_millis(3));
        measured(PICKS, || {
            at = (at + 7_919) % loads.len();
            let load = &loads[at];
            load.in_flight.fetch_add(1, Ordering::Relaxed);
            testing::report(load, now, took, 42.0);
            load.in_flight.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Nanoseconds of a changed endpoint: from the list to the picker, connected.
    fn change(&mut self) -> f64 {
        let count = self.endpoints.len();
        let mut number = 0;
        let (nanoseconds, _) = measured(CHANGES, || {
            number += 1;
            let at = (number * 7_919) % count;
            self.next_address += 1;
            let id = EndpointId(at as u32);
            let replacement = endpoint(id.0, self.next_address);
            self.endpoints = testing::replaced(&self.endpoints, at, replacement);
            let update = update(&self.settings, &self.endpoints);
            self.balancer.update(self.now, update, &mut self.rng);
            while self.balancer.poll_command().is_some() {}
            self.balancer.on_connectivity(self.now, id, Connectivity::Ready, &mut self.rng);
            while self.balancer.poll_command().is_some() {}
            if let Some((_, picker)) = self.balancer.poll_picker() {
                self.picker = picker;
            }
        });
        nanoseconds
    }
}

fn update(settings: &Arc<ClusterSettings>, endpoints: &SharedList<LbEndpoint>) -> LbUpdate {
    let mut locality = LbLocality::new(LocalityId::default(), 1, []);
    locality.endpoints = endpoints.clone();
    LbUpdate::new(vec![LbPriority::new(settings.clone(), vec![locality])])
}

fn endpoint(id: u32, address: u32) -> LbEndpoint {
    let [a, b, c, d] = (0x0a00_0000 + address).to_be_bytes();
    let mut endpoint = LbEndpoint::new(EndpointId(id), SocketAddr::from(([a, b, c, d], 50_051)).into());
    endpoint.weight = 1 + id % 4;
    endpoint
}

/// Nanoseconds and allocations of each of so many calls of `each`.
fn measured(times: u32, mut each: impl FnMut()) -> (f64, f64) {
    let (before, begin) = (allocations(), Instant::now());
    (0..times).for_each(|_| each());
    let (took, after) = (begin.elapsed(), allocations());
    (took.as_nanos() as f64 / f64::from(times), (after - before) as f64 / f64::from(times))
}

fn main() -> std::io::Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let mut out = std::io::stdout().lock();
    let head =
        "policy, endpoints: pick ns (allocations), report ns (allocations), change us (times 10), picker ms";
    writeln!(out, "{head}")?;
    for (name, policy) in policies() {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let limit = if name == "ring_hash" || name == "maglev" { 150.0 } else { 100.0 };
        let mut among_ten = None;
        for count in SIZES {
            let (mut subject, built) = Subject::new(&policy, count);
            let (pick, report) = (subject.pick(), subject.report());
            let change = subject.change();
            let times = change / *among_ten.get_or_insert(change);
            let built = built.as_secs_f64() * 1e3;
            let mark = |is_above: bool| if is_above { "!" } else { "" };
            writeln!(
                out,
                "{name:26} {count:6}: {:6.1}{} ({:.2}), {:6.1}{} ({:.2}), {:8.2} ({times:.1}{}), {built:.2}{}",
                pick.0,
                mark(pick.0 > limit || pick.1 > 0.0),
                pick.1,
                report.0,
                mark(report.0 > limit || report.1 > 0.0),
                report.1,
                change / 1e3,
                mark(times > 3.0),
                mark(built > 5.0),
            )?;
        }
    }
    Ok(())
}
