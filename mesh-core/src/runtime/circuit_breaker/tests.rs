//! Limits of clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ClusterLoad, ConnectionLimit, LoadRegistry, PendingCall, PriorityLoad};
use crate::config::{CallLimits, ClusterSettings, MaxRequests, RoutingPriority};
use crate::policy::retry::RetryBudget;

/// Proves: LB-23, LB-24.
#[test]
fn clusters_share_a_count_by_cluster_and_service_name() {
    let registry = LoadRegistry::default();
    let settings = ClusterSettings::new("a");
    let other_service = ClusterSettings { service_name: "b".into(), ..settings.clone() };
    let first = registry.load(&settings);
    let limit = MaxRequests(2);
    assert!(first.of(RoutingPriority::Default).in_flight.enter(limit));
    assert!(registry.load(&settings).of(RoutingPriority::Default).in_flight.enter(limit));
    assert!(!first.of(RoutingPriority::Default).in_flight.enter(limit), "as many as the limit");
    assert!(registry.load(&other_service).of(RoutingPriority::Default).in_flight.enter(limit));
    first.of(RoutingPriority::Default).in_flight.leave();
    assert!(first.of(RoutingPriority::Default).in_flight.enter(limit));
}

#[test]
fn count_outlives_its_cluster_while_calls_run() {
    let registry = LoadRegistry::default();
    let settings = ClusterSettings::new("a");
    let call = registry.load(&settings);
    assert!(call.of(RoutingPriority::Default).in_flight.enter(MaxRequests(1)));
    assert!(!registry.load(&settings).of(RoutingPriority::Default).in_flight.enter(MaxRequests(1)));
    let load = Arc::downgrade(&call);
    drop(call);
    assert!(load.upgrade().is_none());
}

#[test]
fn retries_that_wait_count_against_the_budget() {
    let registry = LoadRegistry::default();
    let load = registry.load(&ClusterSettings::new("a"));
    let load = load.of(RoutingPriority::Default);
    let budget = RetryBudget::default();
    assert!((0..3).all(|_| load.start_retry(budget)));
    assert!(!load.start_retry(budget));
    load.send_retry();
    assert!(!load.start_retry(budget), "an attempt that runs is still a retry");
    load.end_retry();
    assert!(load.start_retry(budget));
}

fn load() -> Arc<ClusterLoad> {
    LoadRegistry::default().load(&ClusterSettings::new("a"))
}

/// Calls that fail while these are in flight, one after the other: how many of them may retry.
fn retries_of_failing(load: &PriorityLoad, calls: usize, budget: RetryBudget) -> usize {
    let retries = (0..calls).filter(|_| {
        // the attempt has ended before its retry is decided
        load.in_flight.leave();
        load.start_retry(budget)
    });
    retries.count()
}

/// Cases C43 and C44 b: calls that wait for their retry are active, so that the base does not shrink while calls fail.
///
/// Proves: LB-28.
#[test]
fn retries_are_a_share_of_calls_that_run_or_wait() {
    let rows = [
        // percent, calls that run, calls that fail, retries
        (100, 1, 1, 1),
        (100, 6, 6, 6),
        (20, 1_000, 1_000, 200),
        (10, 100, 20, 10),
    ];
    for (percent, calls, failing, expected) in rows {
        let load = load();
        let load = load.of(RoutingPriority::Default);
        // C44 b: a period without a call changes nothing
        assert!((0..2).all(|_| load.in_flight.count() == 0));
        assert!((0..calls).all(|_| load.in_flight.enter(MaxRequests(u32::MAX))));
        let allowed = retries_of_failing(load, failing, RetryBudget::new(percent, 0));
        // calls that may not retry end, and leave the base
        assert!(allowed <= expected && allowed * 10 >= expected * 8, "{percent} % of {calls}: {allowed}");
        if failing == calls && percent == 100 {
            assert_eq!(allowed, expected, "{percent} % of {calls}");
        }
    }
}

/// Case C44 a: a call that passes two channels of a mesh is paid in once.
#[test]
fn channels_share_the_base_of_retries() {
    let registry = LoadRegistry::default();
    let loads = [(); 2].map(|()| registry.load(&ClusterSettings::new("a")));
    for call in 0..10 {
        let load = loads[call % 2].of(RoutingPriority::Default);
        assert!(load.in_flight.enter(MaxRequests::default()));
    }
    let allowed =
        |load: &Arc<ClusterLoad>| load.of(RoutingPriority::Default).start_retry(RetryBudget::new(20, 0));
    assert!(allowed(&loads[0]) && allowed(&loads[1]));
    assert!(!allowed(&loads[0]) && !allowed(&loads[1]), "2 of 10, or of the 12 that run or wait");
}

/// Proves: LB-27, LB-28.
#[test]
fn priorities_have_counts_of_their_own() {
    let load = load();
    let [default, high] = [RoutingPriority::Default, RoutingPriority::High].map(|priority| load.of(priority));
    assert!(default.in_flight.enter(MaxRequests(1)));
    assert!(!default.in_flight.enter(MaxRequests(1)));
    assert!(high.in_flight.enter(MaxRequests(1)));
    assert!(default.start_retry(RetryBudget::at_most(1)));
    assert!(!default.start_retry(RetryBudget::at_most(1)));
    assert!(high.start_retry(RetryBudget::at_most(1)));
    let pending = |priority| PendingCall::new(&load, priority, 1);
    let held = pending(RoutingPriority::Default);
    assert!(held.is_some() && pending(RoutingPriority::Default).is_none());
    assert!(pending(RoutingPriority::High).is_some());
    drop(held);
    assert!(pending(RoutingPriority::Default).is_some());
    assert!(PendingCall::new(&load, RoutingPriority::Default, 0).is_none());
}

/// Proves: LB-27.
#[test]
fn first_connections_are_always_made_and_further_ones_up_to_the_limit() {
    let load = load();
    let mut settings = ClusterSettings::new("a");
    assert_eq!(ConnectionLimit::of(&settings, &load), None, "no limit");
    settings.limits = CallLimits::default().with_max_connections(2);
    let limit = ConnectionLimit::of(&settings, &load).unwrap();
    let first = [limit.first(), limit.first(), limit.first()];
    assert!(limit.further().is_none());
    drop(first);
    let further = [limit.further(), limit.further()];
    assert!(further.iter().all(Option::is_some) && limit.further().is_none());
    settings.high_priority_limits = CallLimits::default().with_max_connections(1);
    let both = ConnectionLimit::of(&settings, &load).unwrap();
    assert!(both != limit && both.further().is_some(), "the limits of both priorities add up");
}

/// Proves: LB-28.
#[test]
fn remainders_of_tracked_limits_are_shown() {
    let load = load();
    let shown = || -> Vec<String> {
        let rows = load.remaining().into_iter();
        rows.map(|row| format!("{} {} {}", row.priority.name(), row.resource.name(), row.remaining)).collect()
    };
    let mut limits = CallLimits::default().with_max_requests(MaxRequests(9)).with_max_pending(3);
    let high = CallLimits { track_remaining: true, ..limits.with_retry_budget(RetryBudget::default()) };
    let priorities = |limits| [(RoutingPriority::Default, limits), (RoutingPriority::High, high)];
    load.track(priorities(limits));
    assert_eq!(shown(), ["high requests 9", "high pending 3"], "a budget has no remainder");
    limits = limits.with_retry_budget(RetryBudget::at_most(2)).with_max_connections(4);
    limits.track_remaining = true;
    load.track(priorities(limits));
    assert!(load.of(RoutingPriority::Default).in_flight.enter(limits.max_requests));
    assert!(load.of(RoutingPriority::Default).start_retry(RetryBudget::at_most(2)));
    let _pending = PendingCall::new(&load, RoutingPriority::Default, 3);
    let expected = ["default requests 8", "default pending 2", "default connections 4", "default retries 1"];
    assert_eq!(shown()[..4], expected);
    load.track(priorities(CallLimits::default()));
    assert_eq!(shown(), ["high requests 9", "high pending 3"]);
}

/// Case C49: three tiers, each with three retries, and the last one fails always. The clock is the test's.
#[test]
fn retries_of_three_tiers_multiply_unless_budgets_limit_them() {
    let unlimited = attempts_at_last_tier(RetryBudget::new(100, u32::MAX));
    assert_eq!(unlimited, 64.0, "4 times 4 times 4 for each call");
    let limited = attempts_at_last_tier(RetryBudget::new(20, 0));
    // 20 of 100 that run may be retries: 1.25 at each tier, and retries of one tier make the calls of the tier before it longer
    assert!((1.0..=2.5).contains(&limited), "about 1.25 to the third power: {limited}");
}

/// How many attempts reach the last of three tiers for each call to the first, of 1,000 calls a second.
fn attempts_at_last_tier(budget: RetryBudget) -> f64 {
    const CALLS: u64 = 4_000;
    let loads = [(); 3].map(|()| load());
    let tiers = [0, 1, 2].map(|tier| loads[tier as usize].of(RoutingPriority::Default));
    // What ends an attempt at the last tier, in the order of time: the attempts of each tier before, and whether it is a retry.
    let mut due: BTreeMap<(u64, u64), [(u32, bool); 3]> = BTreeMap::new();
    let (mut number, mut reached, mut begun) = (0, 0_u32, 0);
    let mut begin = |due: &mut BTreeMap<_, _>, now: u64, state: [(u32, bool); 3]| {
        number += 1;
        reached += 1;
        due.insert((now + 10, number), state);
    };
    let enter = |tier: usize| assert!(tiers[tier].in_flight.enter(MaxRequests(u32::MAX)));
    for now in 0.. {
        if begun < CALLS {
            begun += 1;
            (0..3).for_each(enter);
            begin(&mut due, now, [(1, false); 3]);
        } else if due.is_empty() {
            break;
        }
        while let Some(((at, _), mut state)) =
            due.first_key_value().map(|(key, state)| (*key, *state)).filter(|((at, _), _)| *at <= now)
        {
            due.pop_first();
            // the failure goes up until a tier tries again
            for tier in (0..3).rev() {
                let (attempts, is_retry) = state[tier];
                tiers[tier].in_flight.leave();
                if is_retry {
                    tiers[tier].end_retry();
                }
                if attempts <= 3 && tiers[tier].start_retry(budget) {
                    tiers[tier].send_retry();
                    state[tier] = (attempts + 1, true);
                    (tier..3).for_each(enter);
                    state[tier + 1..].fill((1, false));
                    begin(&mut due, at, state);
                    break;
                }
            }
        }
    }
    f64::from(reached) / CALLS as f64
}
