//! What a decision of RBAC rules takes, over the number of policies.

use benches::authorization::{Decision, Demand};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn rbac(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rbac");
    for (demand, name) in Demand::ALL {
        for policies in [1, 100, 10_000] {
            let decision = Decision::new(demand, policies);
            assert!(decision.decide(), "{name}: the call is allowed");
            group.bench_with_input(BenchmarkId::new(name, policies), &decision, |bencher, decision| {
                bencher.iter(|| decision.decide());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, rbac);
criterion_main!(benches);
