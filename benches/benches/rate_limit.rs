//! A check of a local rate limit with 10,000 keys, on one thread and on two.

#![expect(clippy::print_stdout, reason = "it is what the bench reports")]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::filter::{DescriptorAction, DescriptorLimit, DescriptorRule, RateLimitPolicy, TokenLimit};
use mesh_core::testing::RateLimitDecision;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const KEYS: usize = 10_000;
const TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn rate_limit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rate_limit");
    let calls: Vec<HeaderMap> = (0..KEYS)
        .map(|key| {
            HeaderMap::from_iter([(
                TENANT,
                HeaderValue::from_str(&format!("tenant-{key}")).expect("a value"),
            )])
        })
        .collect();
    let limit = TokenLimit::new(1_000_000, 1_000_000, Duration::from_secs(1)).expect("a limit");
    let one_bucket = RateLimitDecision::new(RateLimitPolicy::new("all", limit));
    let action = DescriptorAction::Header { name: TENANT, key: "tenant".into(), skip_if_absent: false };
    let open = DescriptorLimit::new([("tenant".into(), None)], limit);
    let mut policy = RateLimitPolicy::new("tenant", None).with_limit(DescriptorRule::new([action]), open);
    policy.max_dynamic_buckets = NonZeroU32::new(20_000).expect("not zero");
    let per_key = RateLimitDecision::new(policy);
    let began = Instant::now();
    calls.iter().for_each(|call| assert!(per_key.passes(call, began.elapsed())));

    let region = Region::new(ALLOCATOR);
    calls.iter().for_each(|call| _ = per_key.passes(call, began.elapsed()));
    println!("allocations of {KEYS} checks: {}", region.change().allocations);
    for (name, decision) in [("one_bucket", &one_bucket), ("bucket_per_key", &per_key)] {
        for threads in [1, 2] {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|count| on_threads(threads, count, &calls, decision, began));
            });
        }
    }
    group.finish();
}

/// The time in which each thread makes so many checks, beginning at another key.
fn on_threads(
    threads: usize,
    count: u64,
    calls: &[HeaderMap],
    decision: &RateLimitDecision,
    began: Instant,
) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mut call = calls.iter().cycle().skip(thread * KEYS / 2);
            scope.spawn(move || {
                for _ in 0..count {
                    let call = call.next().expect("an endless iterator");
                    std::hint::black_box(decision.passes(call, began.elapsed()));
                }
            });
        }
    });
    begin.elapsed()
}

criterion_group!(benches, rate_limit);
criterion_main!(benches);
