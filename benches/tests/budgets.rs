//! The budgets that can be held on any machine: allocations.

use benches::authorization::{Decision, Demand};
use benches::call_path::{
    Path, Refusal, Routes, allocations_per_call, allocations_per_refusal, allocations_per_wait,
    first_allocations_per_endpoint,
};

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

/// One test, because the counter is the process's: two at once would count each other's allocations.
#[test]
fn calls_allocate_no_more_than_their_budget() {
    a_call_allocates_nothing_before_its_connection();
    first_calls_allocate_a_reference_count_for_each_endpoint();
    three_filters_that_do_not_wait_allocate_at_most_twice();
    a_refused_call_allocates_at_most_twice();
    a_waiting_call_allocates_nothing();
    a_decision_of_rbac_rules_allocates_nothing();
}

fn a_call_allocates_nothing_before_its_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (kind, name) in Routes::ALL {
        for (routes, endpoints) in [(1, 10), (1000, 10), (1, 1000)] {
            let path = runtime.block_on(Path::build(kind, routes, endpoints));
            let beyond = allocations_per_call(&path);
            assert!(beyond <= 0.0, "{name}, {routes} routes, {endpoints} endpoints: {beyond}");
            let path = runtime.block_on(Path::build_reporting(kind, routes, endpoints));
            let with_reports = allocations_per_call(&path);
            assert!(with_reports <= beyond, "load reports add {}", with_reports - beyond);
        }
    }
}

/// One for the counts of all shards, one for the shard's own.
fn first_calls_allocate_a_reference_count_for_each_endpoint() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let path = runtime.block_on(Path::build(Routes::Exact, 1, 1000));
    let first = first_allocations_per_endpoint(&path);
    assert!(first <= 2.0, "{first}");
    let later = first_allocations_per_endpoint(&path);
    assert!(later <= 0.0, "{later}");
}

fn three_filters_that_do_not_wait_allocate_at_most_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let without = runtime.block_on(Path::build(Routes::Exact, 1, 10));
    let with = runtime.block_on(Path::build_filtered(Routes::Exact, 1, 10));
    let (without, with) = (allocations_per_call(&without), allocations_per_call(&with));
    assert!(with <= without + 2.0, "{without} allocations without filters, {with} with three");
}

/// The text of a refusal is made when it is read.
fn a_refused_call_allocates_at_most_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (refusal, name) in Refusal::ALL {
        let path = runtime.block_on(Path::build_refusing(refusal));
        let beyond = allocations_per_refusal(&path, refusal);
        assert!(beyond <= 2.0, "{name}: {beyond}");
    }
}

fn a_waiting_call_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let beyond = allocations_per_wait(&Path::build_waiting());
    assert!(beyond <= 0.0, "{beyond}");
}

fn a_decision_of_rbac_rules_allocates_nothing() {
    for (demand, name) in Demand::ALL {
        for policies in [1, 100, 10_000] {
            let decision = Decision::new(demand, policies);
            let before = benches::allocations();
            let allowed = (0..100).filter(|_| decision.decide()).count();
            let allocated = benches::allocations() - before;
            assert_eq!((allowed, allocated), (100, 0), "{name}, {policies} policies");
        }
    }
}
