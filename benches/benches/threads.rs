//! Steps 1 to 5 of a request's way, on one thread and on two.
//!
//! Apart from `call_path`, whose allocator counts: its counters are shared by all threads.

use std::time::{Duration, Instant};

use benches::call_path::{Path, Routes};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn threads(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("threads");
    let path = runtime.block_on(Path::build(Routes::Exact, 1, 10));
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("build_request", threads), |bencher| {
            bencher.iter_custom(|calls| on_threads(threads, calls, &path, |path| drop(path.request())));
        });
        group.bench_function(BenchmarkId::new("call", threads), |bencher| {
            bencher.iter_custom(|calls| on_threads(threads, calls, &path, |path| path.call(path.request())));
        });
    }
    let path = runtime.block_on(Path::build_reporting(Routes::Exact, 1, 10));
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("load_reports", threads), |bencher| {
            bencher.iter_custom(|calls| on_threads(threads, calls, &path, |path| path.call(path.request())));
        });
    }
    group.finish();
}

/// The time in which each of so many threads makes so many calls: the same for two threads as for one if they do not hold each
/// other up.
fn on_threads(threads: usize, calls: u64, path: &Path, call: fn(&Path)) -> Duration {
    let paths: Vec<_> = (0..threads).map(|_| path.with_own_uri()).collect();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(move || (0..calls).for_each(|_| call(path)));
        }
    });
    begin.elapsed()
}

criterion_group!(benches, threads);
criterion_main!(benches);
