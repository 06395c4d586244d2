//! Steps 1 to 5 of a request's way: time and heap allocations, over routes and endpoints.
//!
//! `build_request` is what every call pays before the mesh sees it; subtract it from the others.

use std::hint::black_box;
use std::io::Write;

use benches::call_path::{
    Path, Refusal, Routes, allocations_per_call, allocations_per_refusal, allocations_per_wait,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

const ROUTES: [usize; 3] = [1, 100, 10_000];
const ENDPOINTS: [usize; 3] = [10, 1_000, 10_000];

fn call_path(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("call_path");
    let path = runtime.block_on(Path::build(Routes::Exact, 1, 10));
    group.bench_function("build_request", |bencher| bencher.iter(|| black_box(path.request())));
    for (kind, name) in Routes::ALL {
        for routes in ROUTES {
            let path = runtime.block_on(Path::build(kind, routes, 10));
            report(&format!("{name}/{routes} routes, 10 endpoints"), allocations_per_call(&path));
            group.bench_with_input(BenchmarkId::new(name, routes), &path, |bencher, path| {
                bencher.iter(|| path.call(path.request()));
            });
        }
    }
    for endpoints in ENDPOINTS {
        let path = runtime.block_on(Path::build(Routes::Exact, 1, endpoints));
        report(&format!("1 route, {endpoints} endpoints"), allocations_per_call(&path));
        group.bench_with_input(BenchmarkId::new("endpoints", endpoints), &path, |bencher, path| {
            bencher.iter(|| path.call(path.request()));
        });
    }
    let path = runtime.block_on(Path::build_filtered(Routes::Exact, 1, 10));
    report("1 route, 10 endpoints, 3 filters", allocations_per_call(&path));
    group.bench_function("three_filters", |bencher| bencher.iter(|| path.call(path.request())));
    for (refusal, name) in Refusal::ALL {
        let path = runtime.block_on(Path::build_refusing(refusal));
        report(name, allocations_per_refusal(&path, refusal));
        group.bench_function(name, |bencher| bencher.iter(|| path.refused(path.request(), refusal)));
    }
    let path = {
        let _entered = runtime.enter();
        Path::build_waiting()
    };
    report("waiting", allocations_per_wait(&path));
    group.bench_function("waiting", |bencher| bencher.iter(|| path.wait(path.request())));
    group.finish();
}

/// Prints how many allocations a call makes beyond building the request.
fn report(name: &str, beyond: f64) {
    let _ =
        writeln!(std::io::stdout(), "call_path/{name}: {beyond:.2} allocations beyond building the request");
}

criterion_group!(benches, call_path);
criterion_main!(benches);
