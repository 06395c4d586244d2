//! What identity costs: mutual handshakes of our dialer and acceptor beside those of rustls alone, and calls with mutual TLS
//! beside calls in plaintext.
//!
//! Everything runs on one thread over pipes in memory or loopback, so that elapsed time is CPU time of both sides.

use std::sync::Arc;

use benches::identity::{Pair, Peers, Secured};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn handshakes(criterion: &mut Criterion) {
    let runtime = runtime();
    let peers = Arc::new(Peers::new().expect("certificates"));
    for (name, resumes) in [("full", false), ("resumed", true)] {
        let mut group = criterion.benchmark_group(format!("handshake/{name}"));
        group.throughput(Throughput::Elements(1));
        for pair in [Pair::mesh(&peers), Pair::rustls(&peers)] {
            let mut pair = pair.expect("configurations");
            runtime.block_on(pair.handshake(resumes)).expect("the first handshake");
            let resumed = runtime.block_on(pair.handshake(resumes)).expect("the second handshake");
            assert_eq!(resumed, resumes, "{}", pair.name());
            group.bench_function(pair.name(), |bencher| {
                bencher.iter(|| runtime.block_on(pair.handshake(resumes)).expect("a handshake"));
            });
        }
        group.finish();
    }
}

fn calls(criterion: &mut Criterion) {
    let runtime = runtime();
    let peers = Peers::new().expect("certificates");
    let mut group = criterion.benchmark_group("call/32 bytes");
    for secured in [Secured::Plaintext, Secured::MutualTls] {
        let mut caller = runtime.block_on(peers.caller(secured)).expect("a server");
        group.bench_function(secured.name(), |bencher| {
            bencher.iter(|| runtime.block_on(caller.call()).expect("an answer"));
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes, calls);
criterion_main!(benches);
